/** IP addresses and ranges in fields (util/validation/ip.go of apimachinery). */
import type { Field } from "./field.ts";

export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** The address as a number with its width in bits; undefined for what is no address. Leading zeros in IPv4 are read as
 *  decimal, as old API fields always did. */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    const parts = text.split(".");
    if (parts.length !== 4 || !parts.every((part) => /^[0-9]{1,3}$/.test(part) && Number(part) <= 255))
      return undefined;
    return { bits: 32, value: parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) };
  }
  const value = parseIPv6(text);
  if (value === undefined) return undefined;
  // Go takes an IPv4-mapped address for the IPv4 address.
  return value >> 32n === 0xffffn ? { bits: 32, value: value & 0xffffffffn } : { bits: 128, value };
}

function parseIPv6(text: string): bigint | undefined {
  let rest = text;
  const dotted = /^(.*:)([0-9.]+)$/.exec(text);
  if (dotted?.[2]?.includes(".")) {
    const v4 = parseAddress(dotted[2]);
    if (v4 === undefined) return undefined;
    rest = `${dotted[1]}${(v4.value >> 16n).toString(16)}:${(v4.value & 0xffffn).toString(16)}`;
  }
  const halves = rest.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const groups =
    halves.length === 2
      ? [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0"), ...tail]
      : head;
  if (groups.length !== 8 || (halves.length === 2 && head.length + tail.length > 7)) return undefined;
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** An address in the form RFC 5952 asks for. */
export function formatAddress({ bits, value }: Address): string {
  const width = bits === 32 ? 8n : 16n;
  const count = bits === 32 ? 4 : 8;
  const parts = Array.from(
    { length: count },
    (_, i) => (value >> (width * BigInt(count - 1 - i))) & ((1n << width) - 1n),
  );
  if (bits === 32) return parts.join(".");
  const groups = parts.map((part) => part.toString(16));
  let best = { start: -1, length: 1 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === "0") length++;
    if (length > best.length) best = { start, length };
  }
  if (best.start < 0) return groups.join(":");
  return `${groups.slice(0, best.start).join(":")}::${groups.slice(best.start + best.length).join(":")}`;
}

export interface AddressRange {
  readonly bits: 32 | 128;
  readonly base: bigint;
  readonly prefix: number;
}

export function parseRange(text: string): AddressRange | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === undefined || !/^[0-9]{1,3}$/.test(digits)) return undefined;
  const width = text.slice(0, slash).includes(":") ? 128 : 32;
  const prefix = Number(digits);
  if (prefix > width) return undefined;
  const free = BigInt(address.bits - Math.max(0, prefix - (width - address.bits)));
  return { bits: address.bits, base: (address.value >> free) << free, prefix: address.bits - Number(free) };
}

export function formatRange(range: AddressRange): string {
  return `${formatAddress({ bits: range.bits, value: range.base })}/${range.prefix}`;
}

export const isIPv6 = (text: string): boolean => parseAddress(text)?.bits === 128;

/** True when there is at least one address of each family. */
export function isDualStack(addresses: readonly string[]): boolean {
  return addresses.some(isIPv6) && addresses.some((address) => !isIPv6(address));
}

/** An address in a field that has always taken sloppy forms; `known` are old values, accepted as they are. */
export function validateAddress(text: string, field: Field, known: readonly string[] = []): boolean {
  if (known.includes(text) || parseAddress(text) !== undefined) return true;
  field.invalid(text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  return false;
}

export function validateRange(text: string, field: Field, known: readonly string[] = []): boolean {
  if (known.includes(text) || parseRange(text) !== undefined) return true;
  field.invalid(text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
  return false;
}

const leadingZero = /(^|[.:])0[0-9]/;
const isMapped = (text: string): boolean => text.includes(":") && parseAddress(text)?.bits === 32;

/** An address in a field that takes canonical ones only. */
export function validateCanonicalAddress(text: string, field: Field): void {
  const address = parseAddress(text);
  if (address === undefined) {
    field.invalid(text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    return;
  }
  if (!text.includes(":") && leadingZero.test(text)) {
    field.invalid(text, "must not have leading 0s");
    return;
  }
  if (isMapped(text)) {
    field.invalid(text, "must not be an IPv4-mapped IPv6 address");
    return;
  }
  const canonical = formatAddress(address);
  if (text !== canonical) field.invalid(text, `must be in canonical form (${JSON.stringify(canonical)})`);
}

export function validateCanonicalRange(text: string, field: Field): void {
  const range = parseRange(text);
  if (range === undefined) {
    field.invalid(text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    return;
  }
  const [address = "", prefix = ""] = text.split("/");
  if ((!address.includes(":") && leadingZero.test(address)) || /^0[0-9]/.test(prefix)) {
    field.invalid(text, "must not have leading 0s in IP or prefix length");
    return;
  }
  if (isMapped(address)) {
    field.invalid(text, "must not have an IPv4-mapped IPv6 address");
    return;
  }
  if (parseAddress(address)?.value !== range.base) {
    field.invalid(text, "must not have bits set beyond the prefix length");
    return;
  }
  const canonical = formatRange(range);
  if (text !== canonical) field.invalid(text, `must be in canonical form (${JSON.stringify(canonical)})`);
}

/** An address of an interface: with the length of its network's prefix, in canonical form. */
export function validateInterfaceAddress(text: string, field: Field): void {
  const [given = ""] = text.split("/");
  const address = parseAddress(given);
  const range = parseRange(text);
  if (address === undefined || range === undefined) {
    field.invalid(text, "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)");
    return;
  }
  const canonical = `${formatAddress(address)}/${range.prefix}`;
  if (text !== canonical) field.invalid(text, `must be in canonical form (${JSON.stringify(canonical)})`);
}

export function isInRange({ bits, value }: Address, range: AddressRange): boolean {
  const free = BigInt(range.bits - range.prefix);
  return bits === range.bits && value >> free === range.base >> free;
}

const within = (text: string, range: string): boolean => {
  const address = parseAddress(text);
  const area = parseRange(range);
  return address !== undefined && area !== undefined && isInRange(address, area);
};

/** Addresses that no endpoint may have: unspecified, loopback, link-local. */
export function validateEndpointAddress(text: string, field: Field): void {
  const address = parseAddress(text);
  if (address === undefined) {
    field.invalid(text, "must be a valid IP address");
    return;
  }
  if (address.value === 0n) field.invalid(text, `may not be unspecified (${text})`);
  if (within(text, "127.0.0.0/8") || within(text, "::1/128")) {
    field.invalid(text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
  }
  if (within(text, "169.254.0.0/16") || within(text, "fe80::/10")) {
    field.invalid(text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  }
  if (within(text, "224.0.0.0/24") || within(text, "ff02::/16")) {
    field.invalid(text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
  }
}
