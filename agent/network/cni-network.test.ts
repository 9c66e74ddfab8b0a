import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canMakeNamespaces, makeNamespace, type TestNamespace } from "../../test/support/namespace.ts";
import { NetworkError, type SandboxAttachment } from "../runtime/sandbox-network.ts";
import { findCniConfig, parseCniConfig } from "./cni-config.ts";
import { CniNetwork } from "./cni-network.ts";
import { addressesOf } from "./cni-plugins.ts";
import { renderDefaultCniConfig, writeDefaultCniConfig } from "./default-cni-config.ts";

setDefaultTimeout(300_000);
const pluginSource = "/usr/lib/cni";

describe("configuration", () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "brt-cni-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("the first usable file in name order; unusable ones before it are named", async () => {
    writeFileSync(join(directory, "00-broken.conflist"), "{");
    writeFileSync(join(directory, "10-single.conf"), JSON.stringify({ name: "one", type: "bridge" }));
    writeFileSync(join(directory, "readme.txt"), "no configuration");
    await writeDefaultCniConfig({ podCIDRs: ["10.42.0.0/24"] }, directory);
    const search = await findCniConfig(directory);
    expect(search.found?.config).toMatchObject({ name: "one", plugins: [{ type: "bridge" }] });
    expect(search.problems).toHaveLength(1);
    rmSync(join(directory, "10-single.conf"));
    expect((await findCniConfig(directory)).found?.config.name).toBe("bramble");
    expect((await findCniConfig(join(directory, "absent"))).found).toBeUndefined();
  });

  test("the default is written once, and again when the pod CIDR changed", async () => {
    const own = join(directory, "own");
    expect(await writeDefaultCniConfig({ podCIDRs: ["10.42.0.0/24"] }, own)).toBe(true);
    expect(await writeDefaultCniConfig({ podCIDRs: ["10.42.0.0/24"] }, own)).toBe(false);
    expect(await writeDefaultCniConfig({ podCIDRs: ["10.42.7.0/24"] }, own)).toBe(true);
    expect(readdirSync(own)).toEqual(["99-bramble.conflist"]);
  });

  test("two families get two ranges and two default routes", () => {
    const config = parseCniConfig(renderDefaultCniConfig({ podCIDRs: ["10.42.0.0/24", "fd42::/64"] }));
    expect(config.plugins[0]?.fields["ipam"]).toMatchObject({
      ranges: [[{ subnet: "10.42.0.0/24" }], [{ subnet: "fd42::/64" }]],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
    });
  });

  test("addresses: IPv4 first, without prefix", () => {
    expect(addressesOf({ ips: [{ address: "fd42::5/64" }, { address: "10.42.0.5/24" }] })).toEqual([
      "10.42.0.5",
      "fd42::5",
    ]);
  });
});

describe.skipIf(!canMakeNamespaces() || !existsSync(pluginSource))("real plugins", () => {
  let directory: string;
  let board: TestNamespace;
  let pods: TestNamespace[];
  let binDirectory: string;
  let configDirectory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "brt-cni-"));
    board = makeNamespace();
    pods = [makeNamespace(), makeNamespace()];
    binDirectory = join(directory, "bin");
    configDirectory = join(directory, "net.d");
    mkdirSync(binDirectory);
    for (const plugin of ["bridge", "host-local", "portmap"]) {
      writeFileSync(
        join(binDirectory, plugin),
        `#!/bin/sh\nexec ${board.prefix.join(" ")} ${pluginSource}/${plugin}\n`,
      );
      chmodSync(join(binDirectory, plugin), 0o755);
    }
    await writeDefaultCniConfig(
      { podCIDRs: ["10.77.0.0/24"], leaseDirectory: join(directory, "leases") },
      configDirectory,
    );
  });
  afterAll(() => {
    for (const made of [board, ...pods]) made.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  const network = (overrides: { bin?: string } = {}) =>
    new CniNetwork({
      configDirectory,
      binDirectories: [overrides.bin ?? binDirectory],
      stateDirectory: join(directory, "state"),
      warn: () => undefined,
    });
  const request = (id: string, pod: TestNamespace | undefined, hostPort = 0): SandboxAttachment => ({
    sandboxId: id,
    namespacePath: pod?.path ?? "",
    pod: { uid: `uid-${id}`, namespace: "default", name: id },
    portMappings: [{ protocol: "TCP", containerPort: 80, hostPort }],
    annotations: {},
    labels: {},
  });
  const leases = () => readdirSync(join(directory, "leases", "bramble")).filter((name) => name.startsWith("10."));

  test("pods get addresses and reach each other; a host port is mapped; detaching gives all back", async () => {
    const cni = network();
    const [first] = await cni.attach(request("first", pods[0], 8088));
    const [second] = await cni.attach(request("second", pods[1]));
    expect(first).toBe("10.77.0.2");
    pods[0]?.run("busybox", "ping", "-c", "1", "-W", "5", second ?? "");
    expect(board.run("iptables-save", "-t", "nat")).toContain("--dport 8088");
    await cni.check("second");

    // Another agent process finds what is attached, and can undo it.
    const restarted = network();
    expect(restarted.addresses("first")).toEqual(["10.77.0.2"]);
    expect(restarted.attached().sort()).toEqual(["first", "second"]);
    await restarted.detach("first");
    await restarted.detach("first");
    await restarted.detach("second");
    expect(leases()).toEqual([]);
    expect(board.run("iptables-save", "-t", "nat")).not.toContain("--dport 8088");
    expect(readdirSync(join(directory, "state"))).toEqual([]);
  });

  test("a namespace that is gone, or is another one by now, is detached without being touched", async () => {
    const cni = network();
    const gone = makeNamespace();
    await cni.attach(request("gone", gone));
    gone.remove();
    await cni.detach("gone");
    expect(leases()).toEqual([]);
  });

  test("a failed attachment leaves nothing behind", async () => {
    const cni = network();
    await cni.attach(request("holder", pods[0], 9099));
    // eth0 is there already: the plugin refuses, after an address was taken.
    await expect(cni.attach(request("refused", pods[0]))).rejects.toThrow(NetworkError);
    expect(cni.attached()).toEqual(["holder"]);
    expect(leases()).toHaveLength(1);
    await cni.detach("holder");
  });

  test("a plugin or configuration that is missing is said by name", async () => {
    await expect(network({ bin: join(directory, "empty") }).attach(request("x", pods[0]))).rejects.toThrow(
      /CNI plugin bridge is not in/,
    );
    const bare = new CniNetwork({
      configDirectory: join(directory, "none"),
      stateDirectory: join(directory, "other-state"),
      warn: () => undefined,
    });
    expect(await bare.notReadyReason()).toContain("no CNI configuration");
    expect(await network().notReadyReason()).toBeUndefined();
  });
});
