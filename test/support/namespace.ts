import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";

/** A network namespace of a test's own; a "board" without a daemon. */
export interface TestNamespace {
  readonly name: string;
  readonly path: string;
  /** What commandRunner takes to run programs in it. */
  readonly prefix: readonly string[];
  run(command: string, ...args: string[]): string;
  remove(): void;
}

/** Whether this machine lets a test make namespaces. */
export function canMakeNamespaces(): boolean {
  return process.getuid?.() === 0 && Bun.which("ip") !== null && Bun.which("nsenter") !== null;
}

export function makeNamespace(): TestNamespace {
  const name = `brt-${randomBytes(4).toString("hex")}`;
  const path = `/run/netns/${name}`;
  execFileSync("ip", ["netns", "add", name]);
  const prefix = ["nsenter", `--net=${path}`];
  const run = (command: string, ...args: string[]): string =>
    execFileSync("nsenter", [`--net=${path}`, command, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  run("ip", "link", "set", "lo", "up");
  return { name, path, prefix, run, remove: () => execFileSync("ip", ["netns", "delete", name]) };
}

/** A cable between two namespaces, with an address at each end. */
export function connect(
  a: TestNamespace,
  b: TestNamespace,
  cable: { readonly device: string; readonly addressA: string; readonly addressB: string },
): void {
  const { device, addressA, addressB } = cable;
  execFileSync("ip", ["link", "add", device, "netns", a.name, "type", "veth", "peer", "name", device, "netns", b.name]);
  for (const [side, address] of [
    [a, addressA],
    [b, addressB],
  ] as const) {
    side.run("ip", "address", "add", address, "dev", device);
    side.run("ip", "link", "set", device, "up");
  }
}
