import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canMakeNamespaces, makeNamespace, type TestNamespace } from "../../test/support/namespace.ts";
import { writeDefaultCniConfig } from "./default-cni-config.ts";
import type { RoutedNode } from "./route-plan.ts";

setDefaultTimeout(300_000);
const plugins = "/usr/lib/cni";
const podCIDRs = ["10.42.0.0/24", "fd42::/64"];
const nodes: RoutedNode[] = [
  {
    metadata: { name: "one" },
    spec: { podCIDRs },
    status: { addresses: [{ type: "InternalIP", address: "10.1.0.1" }] },
  },
];

describe.skipIf(!canMakeNamespaces() || !existsSync(plugins))("the first pod of a board", () => {
  let directory: string;
  let board: TestNamespace;
  let pod: TestNamespace;
  const configDirectory = (): string => join(directory, "net.d");
  const leaseDirectory = (): string => join(directory, "leases");

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "brt-first-"));
    board = makeNamespace();
    pod = makeNamespace();
  });
  afterEach(() => {
    for (const made of [pod, board]) made.remove();
    rmSync(directory, { recursive: true });
  });

  /** Runs where an agent does: in the board's namespace. Gives which addresses of the bridge cannot be used after it. */
  const attached = (before: string): unknown => {
    const options = {
      configDirectory: configDirectory(),
      binDirectories: [plugins],
      stateDirectory: join(directory, "state"),
    };
    const script = `
      import { readFileSync } from "node:fs";
      import { CniNetwork } from ${JSON.stringify(join(import.meta.dir, "cni-network.ts"))};
      import { PodNetwork } from ${JSON.stringify(join(import.meta.dir, "pod-network.ts"))};
      ${before}
      const network = new CniNetwork({ ...${JSON.stringify(options)}, warn: (message) => console.error(message) });
      const pod = { uid: "u", namespace: "default", name: "first" };
      const rest = { portMappings: [], annotations: {}, labels: {} };
      await network.attach({ sandboxId: "first", namespacePath: ${JSON.stringify(pod.path)}, pod, ...rest });
      const lines = readFileSync("/proc/net/if_inet6", "utf8").split("\\n").filter((line) => line.endsWith(" bramble0"));
      const tentative = lines.filter((line) => Number.parseInt(line.split(/\\s+/)[4], 16) & 0x40);
      console.log(JSON.stringify({ addresses: lines.length, tentative }));`;
    return JSON.parse(board.run(process.execPath, "-e", script));
  };
  const usable = { addresses: 2, tentative: [] };

  test("has a gateway that answers at once by IPv6: the bridge's addresses are not looked at for duplicates", () => {
    const options = {
      nodeName: "one",
      podNetworks: ["10.42.0.0/16", "fd42::/56"],
      cniConfigDirectory: configDirectory(),
      leaseDirectory: leaseDirectory(),
    };
    const before = `
      const pods = new PodNetwork({ ...${JSON.stringify(options)}, warn: () => undefined });
      for (const _ of "12") await pods.sync(${JSON.stringify(nodes)});`;
    expect(attached(before)).toEqual(usable);
    expect(board.run("cat", "/proc/sys/net/ipv6/conf/bramble0/accept_dad")).toBe("0\n");
    pod.run("busybox", "ping", "-6", "-c", "1", "-W", "5", "fd42::1");
  });

  test("waits for a gateway of a bridge that somebody else made", async () => {
    await writeDefaultCniConfig({ podCIDRs, leaseDirectory: leaseDirectory() }, configDirectory());
    expect(attached("")).toEqual(usable);
  });

  test("makes no bridge where another plugin's configuration is there", async () => {
    const other = JSON.stringify({ cniVersion: "1.0.0", name: "other", plugins: [{ type: "ptp" }] });
    board.run("sh", "-c", `mkdir ${configDirectory()} && echo '${other}' >${configDirectory()}/10-other.conflist`);
    const options = { nodeName: "one", podNetworks: ["fd42::/56"], cniConfigDirectory: configDirectory() };
    const script = `
      import { PodNetwork } from ${JSON.stringify(join(import.meta.dir, "pod-network.ts"))};
      const pods = new PodNetwork({ ...${JSON.stringify(options)}, warn: () => undefined });
      await pods.sync(${JSON.stringify(nodes)});`;
    board.run(process.execPath, "-e", script);
    expect(board.run("ip", "-br", "link")).not.toContain("bramble0");
  });
});
