/** CEL's `ip` and `cidr` as Kubernetes has them: strict, without zones and IPv4-mapped addresses. */
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { AddressFault, type ParsedAddress, parseAddress, parsePrefix } from "./address-text.ts";
import { type Implementation, namespaced, type Overload, overload } from "./functions.ts";
import { CelError, type Opaque, type Value } from "./values.ts";

class Address implements Opaque {
  readonly opaqueType = "net.IP";
  constructor(
    readonly bits: 32 | 128,
    readonly value: bigint,
  ) {}
  get size(): number {
    return this.bits / 8;
  }
  equals(other: Opaque): boolean {
    return other instanceof Address && other.bits === this.bits && other.value === this.value;
  }
  toString(): string {
    if (this.bits === 32) return [24n, 16n, 8n, 0n].map((shift) => (this.value >> shift) & 0xffn).join(".");
    const groups = Array.from({ length: 8 }, (_, i) => ((this.value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
    // The URL parser writes IPv6 as RFC 5952 asks.
    return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
  }
}

class Range implements Opaque {
  readonly opaqueType = "net.CIDR";
  constructor(
    readonly address: Address,
    readonly prefix: number,
  ) {}
  get size(): number {
    return Math.ceil(this.prefix / 8);
  }
  equals(other: Opaque): boolean {
    return other instanceof Range && other.prefix === this.prefix && other.address.equals(this.address);
  }
  toString(): string {
    return `${this.address}/${this.prefix}`;
  }
  masked(): Range {
    const free = BigInt(this.address.bits - this.prefix);
    return new Range(new Address(this.address.bits, (this.address.value >> free) << free), this.prefix);
  }
  contains({ bits, value }: Address, prefix: number = bits): boolean {
    if (bits !== this.address.bits || prefix < this.prefix) return false;
    const free = BigInt(bits - this.prefix);
    return value >> free === this.address.value >> free;
  }
}

const isMapped = ({ bits, value }: ParsedAddress): boolean => bits === 128 && value >> 32n === 0xffffn;

/** Throws CelError where what is read by `parse` is not an address; `what` begins what is said of it. */
function parsed<T>(parse: () => T, what: string): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof AddressFault)
      throw new CelError(`${what} parse error during conversion from string: ${error.message}`);
    throw error;
  }
}

function ip(text: string): Address {
  const address = parsed(() => parseAddress(text), `IP Address ${goQuote(text)}`);
  if (address.zone !== "") throw new CelError(`IP address ${goQuote(text)} with zone value is not allowed`);
  if (isMapped(address)) throw new CelError(`IPv4-mapped IPv6 address ${goQuote(text)} is not allowed`);
  return new Address(address.bits, address.value);
}

function cidr(text: string): Range {
  const what = "network address parse error during conversion from string: network address";
  const { address, length } = parsed(() => parsePrefix(text), what);
  if (isMapped(address)) {
    const problem = `IPv4-mapped IPv6 address ${goQuote(text)} is not allowed`;
    throw new CelError(`network address parse error during conversion from string: ${problem}`);
  }
  return new Range(new Address(address.bits, address.value), length);
}

function reads(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text);
    return true;
  } catch (error) {
    if (error instanceof CelError) return false;
    throw error;
  }
}

/** As an argument, a text that is none is as a value of another type. */
function argument<T>(parse: (text: string) => T, text: string): T {
  if (!reads(parse, text)) throw new CelError("no such overload");
  return parse(text);
}

const loopback = ({ bits, value }: Address): boolean => (bits === 32 ? value >> 24n === 127n : value === 1n);
const multicast = ({ bits, value }: Address): boolean =>
  bits === 32 ? value >> 28n === 0xen : value >> 120n === 0xffn;
const linkLocal = ({ bits, value }: Address): boolean =>
  bits === 32 ? value >> 16n === 0xa9fen : value >> 118n === 0x3fan;
const linkLocalMulticast = ({ bits, value }: Address): boolean =>
  bits === 32 ? value >> 8n === 0xe00000n : ((value >> 112n) & 0xff0fn) === 0xff02n;
const unspecified = ({ value }: Address): boolean => value === 0n;
const globalUnicast = (address: Address): boolean =>
  !unspecified(address) &&
  !loopback(address) &&
  !multicast(address) &&
  !linkLocal(address) &&
  !(address.bits === 32 && address.value === 0xffffffffn);

export const ipLibrary: readonly Overload[] = [
  overload("ip(string) -> net.IP", ip as Implementation),
  overload("isIP(string) -> bool", (text: string) => reads(ip, text)),
  namespaced("ip.isCanonical", "(string) -> bool", (text: string) => String(ip(text)) === text),
  overload("string(net.IP) -> string", (address: Address) => String(address) as Value),
  overload("net.IP.family() -> int", ({ bits }: Address) => (bits === 32 ? 4n : 6n)),
  overload("net.IP.isUnspecified() -> bool", unspecified as Implementation),
  overload("net.IP.isLoopback() -> bool", loopback as Implementation),
  overload("net.IP.isLinkLocalMulticast() -> bool", linkLocalMulticast as Implementation),
  overload("net.IP.isLinkLocalUnicast() -> bool", linkLocal as Implementation),
  overload("net.IP.isGlobalUnicast() -> bool", globalUnicast as Implementation),
  overload("cidr(string) -> net.CIDR", cidr as Implementation),
  overload("isCIDR(string) -> bool", (text: string) => reads(cidr, text)),
  overload("string(net.CIDR) -> string", (range: Range) => String(range) as Value),
  overload("net.CIDR.ip() -> net.IP", (range: Range) => range.address as unknown as Value),
  overload("net.CIDR.prefixLength() -> int", (range: Range) => BigInt(range.prefix)),
  overload("net.CIDR.masked() -> net.CIDR", (range: Range) => range.masked() as unknown as Value),
  overload("net.CIDR.containsIP(net.IP) -> bool", (range: Range, address: Address) => range.contains(address)),
  overload("net.CIDR.containsIP(string) -> bool", (range: Range, text: string) => range.contains(argument(ip, text))),
  overload("net.CIDR.containsCIDR(net.CIDR) -> bool", (range: Range, other: Range) =>
    range.contains(other.address, other.prefix),
  ),
  overload("net.CIDR.containsCIDR(string) -> bool", (range: Range, text: string) => {
    const other = cidr(text);
    return range.contains(other.address, other.prefix);
  }),
];
