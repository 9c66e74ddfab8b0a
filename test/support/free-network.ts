import { createServer, type Server } from "node:net";

/** Networks side by side that nothing on this machine uses, kept until they are let go or the process ends. */
export interface TakenNetwork {
  /** The n-th of them from 0: `10.214.7`, a /24, or `fd02:0:0:7`, a /64. */
  prefix(index: number): string;
  release(): void;
}

export type Family = "IPv4" | "IPv6";

/** The second byte. Clusters in tests use others for their pods and Services. */
const [firstByte, lastByte] = [128, 207];
const attempts = 100;

/**
 * Takes networks for boards. Two runs on one machine never get the same: each /24 has a name among the kernel's abstract
 * sockets, which one process alone can listen on, and which goes with it.
 */
export async function takeNetwork(count: number, family: Family = "IPv4"): Promise<TakenNetwork> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const prefixes = prefixesFrom(crypto.getRandomValues(new Uint32Array(1))[0] ?? 0, count, family);
    if (overlaps(prefixes, routes(family))) continue;
    const held = await hold(prefixes);
    if (!held) continue;
    return {
      prefix(index) {
        const prefix = prefixes[index];
        if (prefix === undefined) throw new Error(`only ${count} networks were taken`);
        return prefix;
      },
      release: () => held.forEach((server) => void server.close()),
    };
  }
  throw new Error("no network is free on this machine");
}

/** Networks side by side, by chance (pure). */
export function prefixesFrom(chance: number, count: number, family: Family): string[] {
  if (family === "IPv6") {
    const first = 1 + (chance % (0xffff - count));
    return Array.from({ length: count }, (_, index) => `fd02:0:0:${(first + index).toString(16)}`);
  }
  const second = firstByte + (chance % (1 + lastByte - firstByte));
  const third = (chance >>> 8) % (257 - count);
  return Array.from({ length: count }, (_, index) => `10.${second}.${third + index}`);
}

/** Whether one of the prefixes is in what `ip route` shows; a default route is no use of any (pure). */
export function overlaps(prefixes: readonly string[], routeText: string): boolean {
  const targets = routeText.split("\n").map((line) => line.trim().split(/\s+/)[0] ?? "");
  return prefixes.some((prefix) => targets.some((target) => isWithin(prefix, target)));
}

function isWithin(prefix: string, target: string): boolean {
  // What the kernel shortens: fd02:0:0:7::/64 is shown as fd02:0:0:7::/64, a host of it with more digits.
  if (prefix.includes(":")) return target.startsWith(`${prefix}:`);
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(target);
  if (!match) return false;
  const bits = Math.min(24, Number(match[5] ?? 32));
  const number = (bytes: readonly number[]): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const size = 2 ** (24 - bits);
  const of = number(match.slice(1, 4).map(Number));
  return bits > 0 && Math.floor(of / size) === Math.floor(number(prefix.split(".").map(Number)) / size);
}

function routes(family: Family): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["ip", family === "IPv6" ? "-6" : "-4", "route", "show"]);
  if (exitCode !== 0) throw new Error(`ip route: ${stderr}`);
  return stdout.toString();
}

/** undefined: another process has one of them. */
async function hold(prefixes: readonly string[]): Promise<Server[] | undefined> {
  const held: Server[] = [];
  for (const prefix of prefixes) {
    const server = await listening(`\0bramble-test-network-${prefix}`);
    if (!server) {
      for (const each of held) each.close();
      return undefined;
    }
    held.push(server);
  }
  return held;
}

function listening(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error) => {
      if ("code" in error && error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => resolve(server.unref()));
  });
}
