import { createHash } from "node:crypto";
import { isIpv6 } from "#shared/net/ip-family.ts";
import { attempt, run } from "./run.ts";

/**
 * The boards' network: a bridge in a namespace of its own (`<cluster>-lan`) that has no way out, so that nothing a test
 * sends leaves this machine. This machine reaches the boards through one veth.
 */
export interface Lan {
  readonly cluster: string;
  /** The first three bytes of the boards' /24, or the first four groups of their /64: then boards have no IPv4. */
  readonly prefix: string;
}

/** The LAN's n-th machine: `10.1.2.11`, or `fd00:0:0:2::11` with the same digits. */
export const addressIn = (prefix: string, n: number): string => `${prefix}${isIpv6(prefix) ? "::" : "."}${n}`;
const networkOf = (prefix: string): string => (isIpv6(prefix) ? `${prefix}::/64` : `${prefix}.0/24`);
/** As `ip address` takes it. IPv6 would look for who else has the address for a second, in which it cannot be used. */
const asInterface = (address: string): string[] => (isIpv6(address) ? [`${address}/64`, "nodad"] : [`${address}/24`]);
const gatewayOf = (prefix: string): string => addressIn(prefix, 254);
/** The prefix in which an address is. */
const prefixOf = (address: string): string =>
  isIpv6(address) ? (address.split("::")[0] ?? "") : address.split(".").slice(0, 3).join(".");

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
  ip(namespace, "addr", "add", ...asInterface(gatewayOf(lan.prefix)), "dev", "lan");
  ip(namespace, "link", "set", "lan", "up");
  ip(undefined, "link", "add", hostLink(lan), "type", "veth", "peer", "name", "host", "netns", namespace);
  ip(namespace, "link", "set", "host", "master", "lan", "up");
  ip(undefined, "addr", "add", ...asInterface(addressIn(lan.prefix, 1)), "dev", hostLink(lan));
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
  ip(namespace, "addr", "replace", ...asInterface(gatewayOf(subnet)), "dev", "lan");
  // Boards of both subnets are on one wire, but are not to find that out. (In IPv6 those that forward do not listen.)
  const settings = isIpv6(subnet)
    ? ["ipv6.conf.all.forwarding=1"]
    : ["ipv4.ip_forward=1", "ipv4.conf.all.send_redirects=0", "ipv4.conf.lan.send_redirects=0"];
  for (const setting of settings) run(["ip", "netns", "exec", namespace, "sysctl", "-qw", `net.${setting}`]);
  ip(undefined, "route", "replace", networkOf(subnet), "via", gatewayOf(lan.prefix), "dev", hostLink(lan));
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
  ip(namespace, "addr", "add", ...asInterface(address), "dev", "eth0");
  ip(namespace, "link", "set", "eth0", "up");
  const subnet = prefixOf(address);
  if (subnet !== lan.prefix) joinSubnet(lan, subnet);
  ip(namespace, "route", "add", "default", "via", gatewayOf(subnet));
}

/** A socket of the LAN for a machine that is no namespace: a tap interface of the board's name. */
export function plugInGuest(lan: Lan, board: string): void {
  unplug(lan, board);
  ip(lanNamespace(lan), "tuntap", "add", "dev", board, "mode", "tap");
  ip(lanNamespace(lan), "link", "set", board, "master", "lan", "up");
}

/** A board keeps its hardware address when it loses power: its neighbours find it at once when it is back. */
export function hardwareAddress(address: string): string {
  const own = isIpv6(address)
    ? createHash("sha256").update(address).digest().subarray(0, 4)
    : Buffer.from(address.split(".").map(Number));
  const bytes = [...own].map((byte) => byte.toString(16).padStart(2, "0"));
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
