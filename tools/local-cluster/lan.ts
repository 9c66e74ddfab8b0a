import { attempt, run } from "./run.ts";

/**
 * The boards' network: a bridge in a namespace of its own (`<cluster>-lan`) that has no way out, so that nothing a test
 * sends leaves this machine. This machine reaches the boards through one veth.
 */
export interface Lan {
  readonly cluster: string;
  /** The first three bytes of the boards' /24. */
  readonly prefix: string;
}

/** The namespace with the LAN's bridge. */
export const lanNamespace = (lan: Lan): string => `${lan.cluster}-lan`;
// Interface names hold 15 characters.
const hostLink = (lan: Lan): string => `${lan.cluster.slice(0, 10)}-host`;
const ip = (namespace: string | undefined, ...args: string[]): string =>
  run(namespace ? ["ip", "-n", namespace, ...args] : ["ip", ...args]);

export function createLan(lan: Lan): void {
  // A run that was killed may have left its own.
  removeLan(lan);
  const namespace = lanNamespace(lan);
  ip(undefined, "netns", "add", namespace);
  ip(namespace, "link", "set", "lo", "up");
  ip(namespace, "link", "add", "lan", "type", "bridge");
  ip(namespace, "addr", "add", `${lan.prefix}.254/24`, "dev", "lan");
  ip(namespace, "link", "set", "lan", "up");
  ip(undefined, "link", "add", hostLink(lan), "type", "veth", "peer", "name", "host", "netns", namespace);
  ip(namespace, "link", "set", "host", "master", "lan", "up");
  ip(undefined, "addr", "add", `${lan.prefix}.1/24`, "dev", hostLink(lan));
  ip(undefined, "link", "set", hostLink(lan), "up");
}

export function removeLan(lan: Lan): void {
  attempt(["ip", "link", "del", hostLink(lan)]);
  attempt(["ip", "netns", "del", lanNamespace(lan)]);
}

export function networkNamespace(lan: Lan, board: string): string {
  return `${lan.cluster}-${board}`;
}

/** Makes the LAN's bridge a router between subnets, and lets this machine reach boards in another one. */
function joinSubnet(lan: Lan, subnet: string): void {
  const namespace = lanNamespace(lan);
  ip(namespace, "addr", "replace", `${subnet}.254/24`, "dev", "lan");
  // Boards of both subnets are on one wire, but are not to find that out.
  for (const setting of ["ip_forward=1", "conf.all.send_redirects=0", "conf.lan.send_redirects=0"]) {
    run(["ip", "netns", "exec", namespace, "sysctl", "-qw", `net.ipv4.${setting}`]);
  }
  ip(undefined, "route", "replace", `${subnet}.0/24`, "via", `${lan.prefix}.254`, "dev", hostLink(lan));
}

/** A board's namespace with `eth0` on the LAN. The default route leads to the bridge, which answers "unreachable". */
export function plugIn(lan: Lan, board: string, address: string): void {
  const namespace = networkNamespace(lan, board);
  unplug(lan, board);
  ip(undefined, "netns", "add", namespace);
  ip(namespace, "link", "set", "lo", "up");
  const hardware = hardwareAddress(address);
  ip(
    namespace,
    "link",
    "add",
    "eth0",
    "address",
    hardware,
    "type",
    "veth",
    "peer",
    "name",
    board,
    "netns",
    lanNamespace(lan),
  );
  ip(lanNamespace(lan), "link", "set", board, "master", "lan", "up");
  ip(namespace, "addr", "add", `${address}/24`, "dev", "eth0");
  ip(namespace, "link", "set", "eth0", "up");
  const subnet = address.split(".").slice(0, 3).join(".");
  if (subnet !== lan.prefix) joinSubnet(lan, subnet);
  ip(namespace, "route", "add", "default", "via", `${subnet}.254`);
}

/** A socket of the LAN for a machine that is no namespace: a tap interface of the board's name. */
export function plugInGuest(lan: Lan, board: string): void {
  unplug(lan, board);
  ip(lanNamespace(lan), "tuntap", "add", "dev", board, "mode", "tap");
  ip(lanNamespace(lan), "link", "set", board, "master", "lan", "up");
}

/** A board keeps its hardware address when it loses power: its neighbours find it at once when it is back. */
export function hardwareAddress(address: string): string {
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return ["02", "42", ...bytes].join(":");
}

/** Takes the cable out for good: the namespace goes with all its interfaces and rules. */
export function unplug(lan: Lan, board: string): void {
  attempt(["ip", "-n", lanNamespace(lan), "link", "del", board]);
  attempt(["ip", "netns", "del", networkNamespace(lan, board)]);
}

export function setLink(lan: Lan, board: string, state: "up" | "down"): void {
  ip(lanNamespace(lan), "link", "set", board, state);
}
