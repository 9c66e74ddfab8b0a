import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { ProxyModeName } from "#agent/proxy/service-proxy.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";
import { makeNamespace, type TestNamespace } from "../support/namespace.ts";

/** A process of ours in a namespace, asked and answering by lines of JSON. */
class Inhabitant {
  private readonly waiting = new Map<number, (answer: { error?: string; text?: string }) => void>();
  private next = 1;

  private constructor(
    readonly namespace: TestNamespace,
    private readonly child: ChildProcessWithoutNullStreams,
  ) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as { id: number; error?: string; text?: string };
      this.waiting.get(answer.id)?.(answer);
      this.waiting.delete(answer.id);
    });
    child.stderr.on("data", (data: Buffer) => void process.stderr.write(data));
  }

  static async start(namespace: TestNamespace, script: string, args: readonly string[]): Promise<Inhabitant> {
    const words = [`--net=${namespace.path}`, process.execPath, join(import.meta.dir, script), ...args];
    const inhabitant = new Inhabitant(namespace, spawn("nsenter", words));
    await new Promise((resolve) => inhabitant.waiting.set(0, resolve));
    return inhabitant;
  }

  /** Resolves with what it answers, errors of the network included. */
  ask(request: object): Promise<{ error?: string; text?: string }> {
    const id = this.next++;
    const { promise, resolve } = Promise.withResolvers<{ error?: string; text?: string }>();
    this.waiting.set(id, resolve);
    this.child.stdin.write(`${JSON.stringify({ ...request, id })}\n`);
    return promise;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "close");
    this.child.kill();
    await ended;
  }
}

/** Addresses of the little fleet, by family. */
export const places = {
  IPv4: {
    pods: { a: "10.42.1.2", b: "10.42.1.3", remote: "10.42.2.2" },
    gateway: "10.42.1.1",
    podNetwork: "10.42.1.0/24",
    remoteNetwork: "10.42.2.0/24",
    board: "192.168.77.1",
    otherBoard: "192.168.77.2",
    outside: "192.168.77.99",
    clusterIp: "10.43.0.7",
    services: "10.43.0.0/16",
    noService: "10.43.0.200",
    dns: "10.43.0.10",
    externalIp: "198.51.100.7",
    balancerIp: "198.51.100.8",
    prefix: 24,
  },
  IPv6: {
    pods: { a: "fd42:0:0:1::2", b: "fd42:0:0:1::3", remote: "fd42:0:0:2::2" },
    gateway: "fd42:0:0:1::1",
    podNetwork: "fd42:0:0:1::/64",
    remoteNetwork: "fd42:0:0:2::/64",
    board: "fd77::1",
    otherBoard: "fd77::2",
    outside: "fd77::99",
    clusterIp: "fd43::7",
    services: "fd43::/112",
    noService: "fd43::200",
    dns: "fd43::a",
    externalIp: "2001:db8::7",
    balancerIp: "2001:db8::8",
    prefix: 64,
  },
} as const;

/**
 * A board with two pods (a, b) and a service proxy, another board with a pod (remote), and a machine outside, on one
 * switch. The machine outside sends what is meant for external addresses to the board.
 */
export class Fleet {
  readonly namespaces: TestNamespace[] = [];
  readonly peers: Record<"a" | "b" | "remote" | "outside" | "host", Inhabitant>;

  private constructor(
    readonly family: IpFamily,
    peers: Fleet["peers"],
    readonly boardNamespace: TestNamespace,
    public proxy: Inhabitant,
  ) {
    this.peers = peers;
  }

  static async start(mode: ProxyModeName, family: IpFamily): Promise<Fleet> {
    const at = places[family];
    const [lan, board, other, outside, a, b] = Array.from({ length: 6 }, makeNamespace) as [
      TestNamespace,
      TestNamespace,
      TestNamespace,
      TestNamespace,
      TestNamespace,
      TestNamespace,
    ];
    for (const namespace of [lan, board, other, outside, a, b]) allowAddressesAtOnce(namespace);
    addBridge(lan, "lan");
    plug(lan, "lan", board, [`${at.board}/${at.prefix}`]);
    plug(lan, "lan", other, [`${at.otherBoard}/${at.prefix}`]);
    plug(lan, "lan", outside, [`${at.outside}/${at.prefix}`]);
    addBridge(board, "pods");
    board.run("ip", "address", "add", `${at.gateway}/${at.prefix}`, "dev", "pods");
    plug(board, "pods", a, [`${at.pods.a}/${at.prefix}`], "hairpin");
    plug(board, "pods", b, [`${at.pods.b}/${at.prefix}`], "hairpin");
    for (const pod of [a, b]) pod.run("ip", "route", "add", "default", "via", at.gateway);
    other.run("ip", "address", "add", `${at.pods.remote}/${family === "IPv6" ? 128 : 32}`, "dev", "lo");
    other.run("ip", "route", "add", at.podNetwork, "via", at.board);
    other.run("ip", "route", "add", at.services, "via", at.board);
    outside.run("ip", "route", "add", at.externalIp, "via", at.board);
    outside.run("ip", "route", "add", at.balancerIp, "via", at.board);
    board.run("ip", "route", "add", at.remoteNetwork, "via", at.otherBoard);
    // As on a board with a default route: what is for Services has somewhere to go before it is translated.
    for (const range of [at.services, at.externalIp, at.balancerIp]) {
      board.run("ip", "route", "add", range, "via", at.outside);
    }
    const forwarding = family === "IPv6" ? "net.ipv6.conf.all.forwarding=1" : "net.ipv4.ip_forward=1";
    board.run("sysctl", "-qw", forwarding);
    const peer = (namespace: TestNamespace, name: string, ...addresses: string[]): Promise<Inhabitant> =>
      Inhabitant.start(namespace, "peer.ts", [name, ...addresses]);
    const peers = {
      a: await peer(a, "a", at.pods.a),
      b: await peer(b, "b", at.pods.b),
      remote: await peer(other, "remote", at.pods.remote),
      outside: await peer(outside, "outside"),
      host: await peer(board, "host"),
    };
    const fleet = new Fleet(family, peers, board, await Inhabitant.start(board, "board.ts", [mode, family]));
    fleet.namespaces.push(lan, board, other, outside, a, b);
    return fleet;
  }

  /** Ends the board's proxy and starts one anew, of another mode perhaps. */
  async restartProxy(mode: ProxyModeName): Promise<void> {
    await this.proxy.stop();
    this.proxy = await Inhabitant.start(this.boardNamespace, "board.ts", [mode, this.family]);
  }

  async stop(): Promise<void> {
    for (const each of [...Object.values(this.peers), this.proxy]) await each.stop();
    for (const namespace of this.namespaces) namespace.remove();
  }
}

function addBridge(namespace: TestNamespace, name: string): void {
  namespace.run("ip", "link", "add", name, "type", "bridge");
  namespace.run("ip", "link", "set", name, "up");
}

/** IPv6 looks for duplicates of an address for a second before it may be used. */
function allowAddressesAtOnce(namespace: TestNamespace): void {
  for (const scope of ["all", "default"]) namespace.run("sysctl", "-qw", `net.ipv6.conf.${scope}.accept_dad=0`);
}

function plug(
  hub: TestNamespace,
  bridge: string,
  machine: TestNamespace,
  addresses: readonly string[],
  hairpin?: "hairpin",
): void {
  const port = `p-${machine.name.slice(-8)}`;
  hub.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", machine.name);
  hub.run("ip", "link", "set", port, "master", bridge, "up");
  if (hairpin) hub.run("bridge", "link", "set", "dev", port, "hairpin", "on");
  for (const address of addresses) machine.run("ip", "address", "add", address, "dev", "eth0");
  machine.run("ip", "link", "set", "eth0", "up");
}
