import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linkAddressIn, sendFrames } from "#agent/host/packet-socket.ts";
import { until } from "#shared/testing/until.ts";
import { canMakeNamespaces, connect, makeNamespace, type TestNamespace } from "../../test/support/namespace.ts";
import { announcementFrames, announcementOf } from "./announcement.ts";
import { writeDefaultCniConfig } from "./default-cni-config.ts";

setDefaultTimeout(300_000);
const plugins = "/usr/lib/cni";

test("addresses are announced by ARP and neighbour advertisement, byte by byte", () => {
  const result = {
    interfaces: [
      { name: "bramble0", mac: "16:c7:de:af:58:44" },
      { name: "eth0", mac: "02:00:00:00:00:05", sandbox: "/proc/7/ns/net" },
    ],
    ips: [
      { interface: 1, address: "10.42.0.3/24", gateway: "10.42.0.1" },
      { interface: 1, address: "fd42::3/64", gateway: "fd42::1" },
      { interface: 0, address: "10.42.0.1/24" },
    ],
  };
  const frames = announcementOf(result, "eth0")?.frames.map((frame) => Buffer.from(frame).toString("hex"));
  expect(frames).toEqual(
    [
      [
        "ffffffffffff",
        "020000000005",
        "0806",
        "0001080006040001",
        "020000000005",
        "0a2a0003",
        "000000000000",
        "0a2a0003",
      ],
      [
        ...["333300000001", "020000000005", "86dd", "60000000", "0020", "3aff"],
        ...["fd420000000000000000000000000003", "ff020000000000000000000000000001"],
        // The checksum: the sum of all 16-bit words of pseudo-header and message, in one's complement.
        ...["8800", "5a0f", "20000000", "fd420000000000000000000000000003", "0201020000000005"],
      ],
    ].map((parts) => parts.join("")),
  );
  expect(announcementOf({ ips: result.ips }, "eth0")).toBeUndefined();
  expect(announcementOf({ ...result, interfaces: [{ name: "eth0", sandbox: "/x", mac: "" }] }, "eth0")).toBeUndefined();
});

describe.skipIf(!canMakeNamespaces() || !existsSync(plugins))("on a board", () => {
  const made: TestNamespace[] = [];
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "brt-announce-"));
    for (let count = 0; count < 4; count++) made.push(makeNamespace());
  });
  afterAll(() => {
    for (const namespace of made) namespace.remove();
    rmSync(directory, { recursive: true });
  });

  test("addresses that another program gave are announced by the interface's own link address", async () => {
    const [pod, neighbour] = [makeNamespace(), makeNamespace()];
    made.push(pod, neighbour);
    connect(pod, neighbour, { device: "eth0", addressA: "10.9.0.1/24", addressB: "10.9.0.2/24" });
    // An entry is not to be kept for a while whatever comes.
    neighbour.run("sysctl", "-qw", "net.ipv4.neigh.eth0.locktime=0");
    const former = ["10.9.0.3", "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "reachable"];
    neighbour.run("ip", "neighbour", "replace", ...former);
    pod.run("ip", "address", "add", "10.9.0.3/24", "dev", "eth0");
    const [link] = JSON.parse(pod.run("ip", "-j", "link", "show", "eth0")) as { address: string }[];
    const own = linkAddressIn(pod.path, "eth0");
    expect(own.toString("hex")).toBe(link?.address.replaceAll(":", "") ?? "");
    sendFrames(pod.path, "eth0", announcementFrames(own, ["10.9.0.3"]));
    await until("the neighbour knows it", () =>
      neighbour.run("ip", "neighbour", "show", "10.9.0.3").includes(link?.address ?? "none"),
    );
    expect(() => linkAddressIn(pod.path, "eth9")).toThrow("ENODEV");
  });

  test("a pod that gets the address of a former one is found at once, by the board and by other pods", async () => {
    const [board, other, first, second] = made;
    if (!board || !other || !first || !second) throw new Error("four namespaces were made");
    const configDirectory = join(directory, "net.d");
    const leases = join(directory, "leases");
    await writeDefaultCniConfig({ podCIDRs: ["10.42.0.0/24", "fd42::/64"], leaseDirectory: leases }, configDirectory);
    const options = { configDirectory, binDirectories: [plugins], stateDirectory: join(directory, "state") };
    const script = `
      import { spawnSync } from "node:child_process";
      import { readdirSync, rmSync } from "node:fs";
      import { CniNetwork } from ${JSON.stringify(join(import.meta.dir, "cni-network.ts"))};
      const network = new CniNetwork({ ...${JSON.stringify(options)}, warn: (message) => console.error(message) });
      const paths = ${JSON.stringify({ other: other.path, first: first.path, second: second.path })};
      const rest = { portMappings: [], annotations: {}, labels: {} };
      const attach = (name) => {
        const pod = { uid: name, namespace: "default", name };
        return network.attach({ sandboxId: name, namespacePath: paths[name], pod, ...rest });
      };
      const said = [];
      const ping = (addresses) => {
        for (const address of addresses)
          for (const from of [[], ["nsenter", "--net=" + paths.other]]) {
            const family = address.includes(":") ? ["-6"] : [];
            const [program, ...args] = [...from, "busybox", "ping", ...family, "-c", "1", "-W", "5", address];
            said.push(spawnSync(program, args).status);
          }
      };
      await attach("other");
      const addresses = await attach("first");
      ping(addresses);
      await network.detach("first");
      const leases = ${JSON.stringify(join(leases, "bramble"))};
      for (const name of readdirSync(leases)) if (name.startsWith("last_reserved_ip")) rmSync(leases + "/" + name);
      const again = await attach("second");
      ping(again);
      console.log(JSON.stringify({ addresses, again, said }));`;
    expect(JSON.parse(board.run(process.execPath, "-e", script))).toEqual({
      addresses: ["10.42.0.3", "fd42::3"],
      again: ["10.42.0.3", "fd42::3"],
      said: Array.from({ length: 8 }, () => 0),
    });
  });
});
