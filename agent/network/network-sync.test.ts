import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canMakeNamespaces, connect, makeNamespace, type TestNamespace } from "../../test/support/namespace.ts";
import type { RoutedNode } from "./route-plan.ts";

setDefaultTimeout(300_000);

const node = (name: string, podCIDR: string, address: string): RoutedNode => ({
  metadata: { name },
  spec: { podCIDRs: [podCIDR] },
  status: { addresses: [{ type: "InternalIP", address }] },
});
const near = [node("one", "10.42.1.0/24", "192.168.1.10"), node("two", "10.42.2.0/24", "192.168.1.11")];
const far = node("three", "10.42.3.0/24", "192.168.3.10");
const late = node("four", "10.42.4.0/24", "192.168.1.12");

describe.skipIf(!canMakeNamespaces())("a board whose agent starts again", () => {
  let directory: string;
  let board: TestNamespace;
  let other: TestNamespace;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "brt-network-sync-"));
    [board, other] = [makeNamespace(), makeNamespace()];
    connect(board, other, { device: "eth0", addressA: "192.168.1.10/24", addressB: "192.168.1.11/24" });
  });
  afterEach(() => {
    for (const made of [board, other]) made.remove();
    rmSync(directory, { recursive: true });
  });

  test("has its rules before it knows the Nodes, and keeps every route and the tunnel all the time", () => {
    const options = { nodeName: "one", podNetworks: ["10.42.0.0/16"], cniConfigDirectory: join(directory, "net.d") };
    const of = (path: string): string => JSON.stringify(join(import.meta.dir, path));
    const script = `
      import { spawn, spawnSync } from "node:child_process";
      import { nodes } from ${of("../../shared/api/resources.ts")};
      import { ConnectionError } from ${of("../../shared/client/client.ts")};
      import { InformerFactory } from ${of("../../shared/client/informer.ts")};
      import { silentLog } from ${of("../../shared/client/log.ts")};
      import { NetworkSync } from ${of("network-sync.ts")};
      import { PodNetwork } from ${of("pod-network.ts")};
      const ip = (...args) => spawnSync("ip", args).stdout.toString();
      const network = () => new PodNetwork({ ...${JSON.stringify(options)}, warn: () => undefined });
      const before = ${JSON.stringify([...near, far])};
      await network().sync(before);
      const first = { link: ip("-o", "link", "show", "bramble.vxlan"), routes: ip("route") };
      spawnSync("iptables", ["-F", "FORWARD"]);

      const monitor = spawn("ip", ["monitor", "route", "link"]);
      let seen = "";
      monitor.stdout.on("data", (chunk) => (seen += chunk));
      // The monitor listens when it sees what is made for it to be seen.
      for (let metric = 1; !seen.includes("192.0.2."); metric++) {
        spawnSync("ip", ["route", "replace", "192.0.2.0/24", "via", "192.168.1.11", "metric", String(metric)]);
        await Bun.sleep(20);
      }
      const answering = Promise.withResolvers();
      const known = [...before, ${JSON.stringify(late)}];
      const load = () => answering.promise.then(() => known);
      const away = { watch() { throw new ConnectionError("away"); } };
      const checkpoint = { keeps: () => true, load, changed: () => undefined };
      const informers = new InformerFactory(away, { log: silentLog, checkpoint });
      const sync = new NetworkSync(network(), informers, silentLog);
      sync.start();
      informers.start();
      while (!spawnSync("iptables", ["-S", "FORWARD"]).stdout.includes("BRAMBLE-FORWARD")) await Bun.sleep(20);
      answering.resolve();
      while (!ip("route").includes("10.42.4.0/24")) await Bun.sleep(20);
      await sync.stop();
      await informers.stop();
      // What comes last is seen last.
      spawnSync("ip", ["route", "replace", "198.51.100.0/24", "via", "192.168.1.11"]);
      while (!seen.includes("198.51.100.0")) await Bun.sleep(20);
      monitor.kill();
      const deleted = seen.split("\\n").filter((line) => /^Deleted.*(bramble|proto 66)/.test(line));
      const routes = ip("route");
      const kept = first.routes.trim().split("\\n").every((route) => routes.includes(route.trim()));
      console.log(JSON.stringify({ deleted, kept, same: ip("-o", "link", "show", "bramble.vxlan") === first.link }));
      process.exit(0);`;
    expect(JSON.parse(board.run(process.execPath, "-e", script))).toEqual({ deleted: [], kept: true, same: true });
  });
});
