/** IP addresses and prefixes as Go's net/netip reads them, and what it says of those that it does not read. */
import { goQuote } from "#shared/api/selector/go-quote.ts";

export interface ParsedAddress {
  readonly bits: 32 | 128;
  readonly value: bigint;
  /** Of an IPv6 address; empty for none. */
  readonly zone: string;
}

/** The message is Go's. */
export class AddressFault extends Error {
  override readonly name = "AddressFault";
}

/** `rest` is where in the text it is. */
type Fail = (message: string, rest?: string) => never;

/** Throws AddressFault. */
export function parseAddress(text: string): ParsedAddress {
  const fail: Fail = (message, rest = "") => {
    throw new AddressFault(`ParseAddr(${goQuote(text)}): ${message}${rest === "" ? "" : ` (at ${goQuote(rest)})`}`);
  };
  const [sign] = /[.:%]/.exec(text) ?? [];
  if (sign === ".") return { bits: 32, value: fourBytes(text, fail), zone: "" };
  if (sign === undefined) return fail("unable to parse IP");
  if (sign === "%") return fail("missing IPv6 address");
  const percent = text.indexOf("%");
  if (percent < 0) return { bits: 128, value: new SixReader(text, fail).read(), zone: "" };
  const zone = text.slice(percent + 1);
  if (zone === "") fail("zone must be a non-empty string");
  return { bits: 128, value: new SixReader(text.slice(0, percent), fail).read(), zone };
}

/** An address and the length of its prefix. Throws AddressFault. */
export function parsePrefix(text: string): { readonly address: ParsedAddress; readonly length: number } {
  const fail = (message: string): never => {
    throw new AddressFault(`netip.ParsePrefix(${goQuote(text)}): ${message}`);
  };
  const slash = text.lastIndexOf("/");
  if (slash < 0) return fail("no '/'");
  const address = addressOfPrefix(text.slice(0, slash), fail);
  if (address.zone !== "") fail("IPv6 zones cannot be present in a prefix");
  const digits = text.slice(slash + 1);
  const isNumber = /^(\d|[1-9]\d+)$/.test(digits) && BigInt(digits) < 1n << 63n;
  if (!isNumber) fail(`bad bits after slash: ${goQuote(digits)}`);
  if (Number(digits) > address.bits) fail("prefix length out of range");
  return { address, length: Number(digits) };
}

function addressOfPrefix(text: string, fail: (message: string) => never): ParsedAddress {
  try {
    return parseAddress(text);
  } catch (error) {
    if (error instanceof AddressFault) return fail(error.message);
    throw error;
  }
}

function fourBytes(text: string, fail: Fail): bigint {
  const bytes: bigint[] = [];
  let digits = "";
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (/\d/.test(character)) {
      if (digits === "0") fail("IPv4 field has octet with leading zero");
      digits += character;
      if (Number(digits) > 255) fail("IPv4 field has value >255");
    } else if (character === ".") {
      if (digits === "" || at === text.length - 1) fail("IPv4 field must have at least one digit", text.slice(at));
      if (bytes.length === 3) fail("IPv4 address too long");
      bytes.push(BigInt(digits));
      digits = "";
    } else fail("unexpected character", text.slice(at));
  }
  if (bytes.length < 3) fail("IPv4 address too short");
  return [...bytes, BigInt(digits)].reduce((sum, byte) => (sum << 8n) | byte, 0n);
}

const GROUPS = 8;

/** An IPv6 address without a zone; its last two groups may be written as an IPv4 address. */
class SixReader {
  readonly #groups: bigint[] = [];
  /** Before which group `::` stands. */
  #gap: number | undefined;

  constructor(
    private rest: string,
    private readonly fail: Fail,
  ) {}

  read(): bigint {
    if (this.rest.startsWith("::")) {
      this.#gap = 0;
      this.rest = this.rest.slice(2);
    }
    let isOpen = this.rest !== "" || this.#gap === undefined;
    while (isOpen && this.#groups.length < GROUPS) isOpen = this.#group() && this.#colons();
    if (this.rest !== "") this.fail("trailing garbage after address", this.rest);
    const missing = GROUPS - this.#groups.length;
    if (missing > 0 && this.#gap === undefined) this.fail("address string too short");
    if (missing === 0 && this.#gap !== undefined) this.fail("the :: must expand to at least one field of zeros");
    this.#groups.splice(this.#gap ?? 0, 0, ...Array<bigint>(missing).fill(0n));
    return this.#groups.reduce((sum, group) => (sum << 16n) | group, 0n);
  }

  /** Whether something follows. */
  #group(): boolean {
    const { rest, fail } = this;
    const [digits = ""] = /^[0-9a-f]*/i.exec(rest) ?? [];
    if (digits.length > 4) fail("each group must have 4 or less digits", rest);
    if (digits === "") fail("each colon-separated field must have at least one digit", rest);
    if (rest.charAt(digits.length) === ".") {
      this.#embedded();
      return false;
    }
    this.#groups.push(BigInt(`0x${digits}`));
    this.rest = rest.slice(digits.length);
    return this.rest !== "";
  }

  #embedded(): void {
    const { rest, fail } = this;
    const place = this.#groups.length;
    if (this.#gap === undefined && place !== GROUPS - 2)
      fail("embedded IPv4 address must replace the final 2 fields of the address", rest);
    if (place > GROUPS - 2) fail("too many hex fields to fit an embedded IPv4 at the end of the address", rest);
    const bytes = fourBytes(rest, fail);
    this.#groups.push(bytes >> 16n, bytes & 0xffffn);
    this.rest = "";
  }

  /** Whether another group follows. */
  #colons(): boolean {
    const { rest, fail } = this;
    if (!rest.startsWith(":")) fail("unexpected character, want colon", rest);
    if (rest === ":") fail("colon must be followed by more characters", rest);
    this.rest = rest.slice(1);
    if (!this.rest.startsWith(":")) return true;
    if (this.#gap !== undefined) fail("multiple :: in address", this.rest);
    this.#gap = this.#groups.length;
    this.rest = this.rest.slice(1);
    return this.rest !== "";
  }
}
