import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { canRunDockerd, startDockerd, type TestDockerd, testImage } from "../../test/support/dockerd.ts";
import { makeNamespace, type TestNamespace } from "../../test/support/namespace.ts";
import { linuxHost } from "../host/linux-host.ts";
import { containerConfig, sandboxConfig } from "../runtime/contract/configs.ts";
import { DockerRuntime } from "../runtime/docker.ts";
import { CniNetwork } from "./cni-network.ts";
import type { RoutedNode } from "./route-plan.ts";

setDefaultTimeout(300_000);

interface Board {
  readonly name: string;
  readonly dockerd: TestDockerd;
  readonly runtime: DockerRuntime;
}

const podNetworks = ["10.42.0.0/16"];
const switchDevice = "lan";

/** Two boards and a machine that knows nothing of pods, on one switch. */
describe.skipIf(!canRunDockerd())("two boards", () => {
  const boards: Board[] = [];
  let lan: TestNamespace;
  let outside: TestNamespace;

  const plug = (namespaceName: string, address: string, run: (command: string, ...args: string[]) => string) => {
    const port = `p-${namespaceName.slice(-8)}`;
    const peer = ["peer", "name", port, "netns", lan.name];
    execFileSync("ip", ["link", "add", "eth0", "netns", namespaceName, "type", "veth", ...peer]);
    lan.run("ip", "link", "set", port, "master", switchDevice, "up");
    run("ip", "address", "add", address, "dev", "eth0");
    run("ip", "link", "set", "eth0", "up");
  };

  beforeAll(async () => {
    lan = makeNamespace();
    lan.run("ip", "link", "add", switchDevice, "type", "bridge");
    lan.run("ip", "link", "set", switchDevice, "up");
    outside = makeNamespace();
    plug(outside.name, "192.168.7.99/24", outside.run);
    for (const [index, name] of ["one", "two"].entries()) {
      const dockerd = await startDockerd();
      plug(dockerd.namespaceName, `192.168.7.${index + 1}/24`, dockerd.run);
      // As Docker leaves a board.
      dockerd.run("iptables", "-P", "FORWARD", "DROP");
      mkdirSync(join(dockerd.directory, "net.d"));
      const network = new CniNetwork({
        configDirectory: join(dockerd.directory, "net.d"),
        binDirectories: [dockerd.cniBinDirectory],
        stateDirectory: join(dockerd.directory, "cni"),
        warn: console.warn,
      });
      const { socketPath } = dockerd;
      const runtime = new DockerRuntime({
        socketPath,
        network,
        host: linuxHost(),
        resolvConfDirectory: join(dockerd.directory, "resolv"),
        warn: () => undefined,
      });
      boards.push({ name, dockerd, runtime });
    }
  });
  afterAll(async () => {
    for (const { dockerd } of boards) await dockerd.stop();
    outside?.remove();
    lan?.remove();
  });

  /** PodNetwork works where it runs: on a board, so in a process of the board's namespace. */
  const sync = ({ name, dockerd }: Board, nodes: readonly RoutedNode[]): string => {
    const options = {
      nodeName: name,
      podNetworks,
      cniConfigDirectory: join(dockerd.directory, "net.d"),
      leaseDirectory: join(dockerd.directory, "leases"),
    };
    const script = `
      import { PodNetwork } from ${JSON.stringify(join(import.meta.dir, "pod-network.ts"))};
      const network = new PodNetwork({ ...${JSON.stringify(options)}, warn: (message) => console.log(message) });
      await network.sync(${JSON.stringify(nodes)});
      await network.sync(${JSON.stringify(nodes)});`;
    return dockerd.run(process.execPath, "-e", script);
  };

  test("what others change in the kernel is noticed and put back, and nothing is done while nobody does", () => {
    const [board] = boards;
    if (board === undefined) throw new Error("there is a board");
    const nodes = boards.map(({ name }, index) => ({
      metadata: { name },
      spec: { podCIDRs: [`10.42.${index}.0/24`] },
      status: { addresses: [{ type: "InternalIP", address: `192.168.7.${index + 1}` }] },
    }));
    const script = `
      import { execFileSync } from "node:child_process";
      import { commandRunner } from ${JSON.stringify(join(import.meta.dir, "command.ts"))};
      import { PodNetwork } from ${JSON.stringify(join(import.meta.dir, "pod-network.ts"))};
      let programs = 0;
      const run = commandRunner();
      const network = new PodNetwork({
        nodeName: ${JSON.stringify(board.name)},
        podNetworks: ["10.42.0.0/16"],
        cniConfigDirectory: ${JSON.stringify(join(board.dockerd.directory, "net.d"))},
        run: (...command) => (programs++, run(...command)),
        warn: () => undefined,
      });
      const nodes = ${JSON.stringify(nodes)};
      const said = {};
      const disturb = async (what, command, withRules) => {
        execFileSync(command[0], command.slice(1));
        said[what] = await network.isDisturbed({ withRules });
        await network.sync(nodes);
        said[what + ", mended"] = !(await network.isDisturbed({ withRules: true }));
      };
      await network.sync(nodes);
      programs = 0;
      for (let look = 0; look < 5; look++) said.quiet = await network.isDisturbed({ withRules: false });
      said.programs = programs;
      await disturb("route", ["ip", "route", "delete", "10.42.1.0/24"], false);
      await disturb("address", ["ip", "address", "add", "192.168.9.1/24", "dev", "eth0"], false);
      await disturb("filter", ["iptables", "-F", "FORWARD"], true);
      await disturb("nat", ["iptables", "-t", "nat", "-F", "POSTROUTING"], true);
      execFileSync("ip", ["address", "delete", "192.168.9.1/24", "dev", "eth0"]);
      console.log(JSON.stringify(said));`;
    const changes = ["route", "address", "filter", "nat"];
    expect(JSON.parse(board.dockerd.run(process.execPath, "-e", script))).toEqual({
      quiet: false,
      programs: 0,
      ...Object.fromEntries(
        changes.flatMap((what) => [
          [what, true],
          [`${what}, mended`, true],
        ]),
      ),
    });
  });

  test("pods reach pods of the other board with their own address, and the LAN with the board's", async () => {
    const nodes = boards.map(({ name }, index) => ({
      metadata: { name },
      spec: { podCIDRs: [`10.42.${index}.0/24`] },
      status: { addresses: [{ type: "InternalIP", address: `192.168.7.${index + 1}` }] },
    }));
    const said = boards.map((board) => sync(board, nodes));
    expect(said.filter((text) => text.includes("ip_forward"))).toEqual([]);

    const pods = await Promise.all(
      boards.map(async ({ runtime }) => {
        const sandbox = sandboxConfig();
        const sandboxId = await runtime.createSandbox(sandbox);
        const command = ["sh", "-c", "sleep 1000"];
        const id = await runtime.createContainer(sandboxId, containerConfig(sandbox, testImage, { command }));
        await runtime.startContainer(id);
        const [status] = await runtime.listSandboxes();
        return { runtime, id, sandboxId, ip: status?.ips[0] ?? "" };
      }),
    );
    const [here, there] = pods;
    if (here === undefined || there === undefined) throw new Error("two pods were made");
    expect([here.ip, there.ip]).toEqual(["10.42.0.2", "10.42.1.2"]);
    const ping = (address: string) => here.runtime.execSync(here.id, ["ping", "-c", "1", "-W", "5", address], 30_000);
    expect((await ping(there.ip)).exitCode).toBe(0);
    // The machine outside has no route to pods: only an answer to the board's address comes back.
    expect((await ping("192.168.7.99")).exitCode).toBe(0);
    expect(boards[0]?.dockerd.run("iptables", "-S", "FORWARD")).toContain("-P FORWARD DROP");
    for (const { runtime, sandboxId } of pods) await runtime.removeSandbox(sandboxId);
  });
});
