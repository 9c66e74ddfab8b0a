import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";

/** An address of this board on one of its interfaces. */
export interface BoardAddress {
  readonly interfaceName: string;
  readonly address: string;
  readonly isIpv4: boolean;
}

/** Interfaces that lead to pods or containers, not to other boards. */
const virtual = /^(lo|cni|docker|br-|veth|cali|flannel|bramble|kube|weave|tun|virbr)/;

export const isVirtualInterface = (name: string): boolean => virtual.test(name);

/**
 * The board's addresses for others to reach it, the main one first: those of the interface with the default route, then
 * the rest. Link-local ones and those of bridges and tunnels are left out.
 * @param preferred addresses with commas between them, or none; those that the board has come first, in this order.
 */
export function orderAddresses(
  all: readonly BoardAddress[],
  defaultInterface: string | undefined,
  preferred = "",
): string[] {
  const chosen = preferred.split(",").map((address) => address.trim());
  const isChosen = (address: string): boolean => chosen.includes(address);
  const rank = ({ interfaceName, address, isIpv4 }: BoardAddress): number =>
    (isChosen(address) ? -4 * (chosen.length - chosen.indexOf(address)) : 0) +
    (interfaceName === defaultInterface ? -2 : 0) +
    (isIpv4 ? -1 : 0);
  return all
    .filter(({ interfaceName, address }) => isChosen(address) || !(virtual.test(interfaceName) || isLinkLocal(address)))
    .map((each, index) => ({ ...each, index }))
    .sort((a, b) => rank(a) - rank(b) || a.index - b.index)
    .map(({ address }) => address);
}

/** As orderAddresses, read from the kernel now. */
export function boardAddresses(preferred = ""): string[] {
  const all = Object.entries(networkInterfaces()).flatMap(([interfaceName, addresses]) =>
    (addresses ?? [])
      .filter(({ internal, address }) => !internal || preferred.split(",").includes(address))
      .map(({ address, family }) => ({ interfaceName, address, isIpv4: family === "IPv4" })),
  );
  return orderAddresses(all, defaultRouteInterface(readFileSync("/proc/net/route", "utf8")), preferred);
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
