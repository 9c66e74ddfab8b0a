import { isIPv4, isIPv6 } from "node:net";

/** A network or an address with its prefix length, as a number: enough to ask what contains what. */
export interface Cidr {
  readonly bits: 32 | 128;
  readonly address: bigint;
  readonly prefix: number;
}

/** Parses `10.42.1.0/24` or `fd00::/64`; an address alone is a network of one. undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = "", length, ...more] = text.split("/");
  if (more.length > 0) return undefined;
  const value = parseAddress(address);
  if (value === undefined) return undefined;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined;
  const prefix = length === undefined ? value.bits : Number(length);
  if (prefix > value.bits) return undefined;
  return { ...value, prefix };
}

export function contains(network: Cidr, address: Cidr): boolean {
  if (network.bits !== address.bits) return false;
  const shift = BigInt(network.bits - network.prefix);
  return network.address >> shift === address.address >> shift;
}

/** The address in the form of RFC 5952, without its prefix length. */
export function formatCidrAddress({ bits, address }: Cidr): string {
  const [width, count] = bits === 32 ? [8n, 4] : [16n, 8];
  const mask = (1n << width) - 1n;
  const parts = Array.from({ length: count }, (_, index) => (address >> (width * BigInt(count - 1 - index))) & mask);
  if (bits === 32) return parts.join(".");
  // The URL parser brings an address into its short form.
  return new URL(`http://[${parts.map((part) => part.toString(16)).join(":")}]`).hostname.slice(1, -1);
}

/**
 * An address or network of an API object as programs are to be told of it. API fields have always taken sloppy forms (leading zeros are
 * decimal, an IPv4 address in IPv6's clothes is the IPv4 address), which each of them reads in its own way: to ipset `010.0.0.1` is
 * 8.0.0.1. undefined for what is neither.
 */
export function plainForm(text: string): string | undefined {
  // Almost all are.
  if (isIPv4(text)) return text;
  const [address = "", length, ...more] = text.split("/");
  if (more.length > 0) return undefined;
  const [, clothes, dotted] = /^(::ffff:)?([0-9]+(?:\.[0-9]+){3})$/i.exec(address) ?? [];
  if (dotted !== undefined) return plainIPv4(dotted, length, clothes === undefined ? 0 : clothes_bits);
  const found = parseCidr(text);
  if (!found) return undefined;
  if (found.bits === 128 && found.address >> 32n === 0xffffn)
    return plainIPv4(formatCidrAddress({ ...found, bits: 32 }), length, clothes_bits);
  return withLength(formatCidrAddress(found), length);
}

/** Of an IPv4 address as IPv6 writes it, what stands before it. */
const clothes_bits = 96;

function plainIPv4(dotted: string, length: string | undefined, before_bits: number): string | undefined {
  const address = dotted.replace(/\b0+(?=[0-9])/g, "");
  const given = length === undefined || !/^[0-9]+$/.test(length) ? length : String(Number(length) - before_bits);
  const plain = withLength(address, given);
  return parseCidr(plain) && plain;
}

const withLength = (address: string, length: string | undefined): string =>
  length === undefined ? address : `${address}/${length}`;

/** An address by itself, in the form of `plainForm`. */
export const canonicalAddress = (text: string): string | undefined =>
  text.includes("/") ? undefined : plainForm(text);

/** A network in that form, with its length and without what stands behind that: `10.42.0.0/16`. undefined for what is none. */
export function canonicalNetwork(text: string): string | undefined {
  const network = text.includes("/") ? parseCidr(plainForm(text) ?? "") : undefined;
  if (!network) return undefined;
  const shift = BigInt(network.bits - network.prefix);
  return `${formatCidrAddress({ ...network, address: (network.address >> shift) << shift })}/${network.prefix}`;
}

/** The first address of a network, such as 10.42.1.0. */
export function baseAddress(cidr: string): string {
  return cidr.split("/")[0] ?? cidr;
}

function parseAddress(text: string): { bits: 32 | 128; address: bigint } | undefined {
  if (isIPv4(text)) {
    return { bits: 32, address: text.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) };
  }
  if (!isIPv6(text) || text.includes(".") || text.includes("%")) return undefined;
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const middle = Array.from({ length: 8 - front.length - back.length }, () => "0");
  const all = [...front, ...(tail === undefined ? [] : middle), ...back];
  return { bits: 128, address: all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) };
}
