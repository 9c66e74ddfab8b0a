import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { ifPresentSync } from "../files/if-present.ts";
import { familyOf, type IpFamily, isIpv6 } from "../net/ip-family.ts";
import { contains, formatCidrAddress, parseCidr } from "./cidr.ts";

/** An address of this board on one of its interfaces. */
export interface BoardAddress {
  readonly interfaceName: string;
  readonly address: string;
  readonly isIpv4: boolean;
}

/** Interfaces that lead to pods or containers, not to other boards. */
const virtual = /^(lo|cni|docker|br-|veth|cali|flannel|bramble|kube|weave|tun|virbr)/;

export const isVirtualInterface = (name: string): boolean => virtual.test(name);

/** Which of a board's addresses come first. */
export interface AddressOrder {
  /** Addresses with commas between them, or none; those that the board has come first, in this order. */
  readonly preferred?: string | undefined;
  /** The cluster's first family, by which boards and masters reach each other; IPv4 if absent. */
  readonly family?: IpFamily | undefined;
}

/**
 * The board's addresses for others to reach it, the main one first: those of the cluster's first family, and among them
 * those of the interface with the default route. Link-local ones and those of bridges and tunnels are left out.
 */
export function orderAddresses(
  all: readonly BoardAddress[],
  defaultInterface: string | undefined,
  { preferred = "", family = "IPv4" }: AddressOrder = {},
): string[] {
  const chosen = addressesIn(preferred);
  const isChosen = (address: string): boolean => chosen.includes(address);
  const rank = ({ interfaceName, address, isIpv4 }: BoardAddress): number =>
    (isChosen(address) ? -4 * (chosen.length - chosen.indexOf(address)) : 0) +
    (isIpv4 === (family === "IPv4") ? -2 : 0) +
    (interfaceName === defaultInterface ? -1 : 0);
  return all
    .filter(({ interfaceName, address }) => isChosen(address) || !(virtual.test(interfaceName) || isLinkLocal(address)))
    .map((each, index) => ({ ...each, index }))
    .sort((a, b) => rank(a) - rank(b) || a.index - b.index)
    .map(({ address }) => address);
}

/** `10.0.0.1, fd00::1` as a list, each as the kernel writes it. */
export const addressesIn = (text: string): string[] =>
  text
    .split(",")
    .map((address) => address.trim())
    .filter((address) => address !== "")
    .map((address) => {
      const parsed = parseCidr(address);
      return parsed && !address.includes("/") ? formatCidrAddress(parsed) : address;
    });

/** Why no other machine can reach a board by an address, in the words of upstream's kubelet; undefined: it can. */
export function unfitForOthers(address: string): string | undefined {
  const parsed = parseCidr(address);
  if (!parsed || address.includes("/")) return "nodeIP must be a valid IP address";
  const isWithin = (network: string): boolean => {
    const range = parseCidr(network);
    return range !== undefined && contains(range, parsed);
  };
  if (isWithin("127.0.0.0/8") || isWithin("::1/128")) return "nodeIP can't be loopback address";
  if (isWithin("224.0.0.0/4") || isWithin("ff00::/8")) return "nodeIP can't be a multicast address";
  if (isWithin("169.254.0.0/16") || isWithin("fe80::/10")) return "nodeIP can't be a link-local unicast address";
  return undefined;
}

/** As orderAddresses, read from the kernel now. */
export function boardAddresses(order: AddressOrder = {}): string[] {
  const { preferred = "", family = "IPv4" } = order;
  const named = addressesIn(preferred);
  // Read for every pod that is looked at: no file more than is needed.
  const interfaces = Object.entries(networkInterfaces()).filter(([name]) => preferred !== "" || !virtual.test(name));
  const isOfRouter = ({ address }: { readonly address: string }): boolean => isIpv6(address) && !isLinkLocal(address);
  const hasIpv6 = interfaces.some(([name, addresses]) => name !== "lo" && addresses?.some(isOfRouter));
  const flags = inet6Flags(hasIpv6 ? read("/proc/net/if_inet6") : "");
  const all = interfaces.flatMap(([interfaceName, addresses]) =>
    lastingOrder(addresses ?? [], flags)
      .filter(
        ({ internal, address }) =>
          named.includes(address) || !(internal || ((flags.get(address) ?? 0) & addressFlags.passing) !== 0),
      )
      .map(({ address, family }) => ({ interfaceName, address, isIpv4: family === "IPv4" })),
  );
  const byIpv4 = (): string | undefined => defaultRouteInterface(read("/proc/net/route"));
  const byIpv6 = (): string | undefined =>
    hasIpv6 ? defaultRouteInterfaceV6(read("/proc/net/ipv6_route")) : undefined;
  return orderAddresses(all, family === "IPv6" ? (byIpv6() ?? byIpv4()) : (byIpv4() ?? byIpv6()), order);
}

/**
 * An interface's addresses, those first that are likely to stay the first: of IPv6 those that somebody has set before
 * those of a router's prefix, and among these the oldest, while the kernel names the newest first.
 */
export function lastingOrder<T extends { readonly address: string }>(
  addresses: readonly T[],
  flags: ReadonlyMap<string, number>,
): T[] {
  const isSet = ({ address }: T): boolean => ((flags.get(address) ?? 0) & addressFlags.permanent) !== 0;
  const six = addresses.filter(({ address }) => isIpv6(address)).reverse();
  return [
    ...addresses.filter(({ address }) => !isIpv6(address)),
    ...six.filter(isSet),
    ...six.filter((each) => !isSet(each)),
  ];
}

/** The main address of each family, in their order: what a pod on the host's network has, and says of its host. */
export function mainOfEachFamily(addresses: readonly string[]): string[] {
  const [main] = addresses;
  const other = main === undefined ? undefined : addresses.find((address) => familyOf(address) !== familyOf(main));
  return [main, other].filter((address) => address !== undefined);
}

/** A kernel without IPv6 has not all of these files. */
const read = (path: string): string => ifPresentSync(() => readFileSync(path, "utf8")) ?? "";

/** From the kernel's if_addr.h. Passing: for outgoing connections of a day (0x01), refused as somebody else's (0x08), no
 *  longer to be used (0x20). */
const addressFlags = { passing: 0x01 | 0x08 | 0x20, permanent: 0x80 } as const;

/** The kernel's flags of each IPv6 address, by its short form, from the text of /proc/net/if_inet6. */
export function inet6Flags(table: string): Map<string, number> {
  return new Map(
    table.split("\n").flatMap((line): [string, number][] => {
      const [address = "", , , , flags = "0"] = line.trim().split(/\s+/);
      if (!/^[0-9a-f]{32}$/.test(address)) return [];
      const parsed = parseCidr(address.replace(/(.{4})(?!$)/g, "$1:"));
      return parsed ? [[formatCidrAddress(parsed), Number.parseInt(flags, 16)]] : [];
    }),
  );
}

/** As defaultRouteInterface, from the text of /proc/net/ipv6_route. Routes that refuse are none. */
export function defaultRouteInterfaceV6(table: string): string | undefined {
  const refuses = 0x200;
  const routes = table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([destination = "", length, , , , , , , flags = "0", device]) =>
        /^0{32}$/.test(destination) &&
        length === "00" &&
        device !== "lo" &&
        (Number.parseInt(flags, 16) & refuses) === 0,
    )
    .sort((a, b) => Number.parseInt(a[5] ?? "0", 16) - Number.parseInt(b[5] ?? "0", 16));
  return routes[0]?.[9];
}

/** The interface of the default route with the lowest metric, from the text of /proc/net/route. */
export function defaultRouteInterface(table: string): string | undefined {
  const routes = table
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/))
    .filter((fields) => fields[1] === "00000000" && fields[7] === "00000000")
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  return routes[0]?.[0];
}

function isLinkLocal(address: string): boolean {
  return address.startsWith("169.254.") || /^fe[89ab]/i.test(address);
}
