/** Of which family an address is, told by its form alone: whether it is an address at all has been found out before. */

/** As the API names them. */
export type IpFamily = "IPv4" | "IPv6";

/** The family of an address or a network: `10.0.0.1`, `fd00::/64`. */
export const familyOf = (address: string): IpFamily => (address.includes(":") ? "IPv6" : "IPv4");

export const isIpv6 = (address: string): boolean => familyOf(address) === "IPv6";

/** The network of one address alone: `10.0.0.1/32`, `fd00::1/128`. */
export const hostNetwork = (address: string): string => `${address}/${isIpv6(address) ? 128 : 32}`;

/** What a socket of node:dgram is to be that sends to an address, or listens at it. */
export const udpTypeOf = (address: string): "udp4" | "udp6" => (isIpv6(address) ? "udp6" : "udp4");
