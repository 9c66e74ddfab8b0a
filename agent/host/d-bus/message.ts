/**
 * Messages of D-Bus (D-Bus Specification 0.43, "Message Protocol") as bytes, as far as a client of system services needs
 * them. Little-endian when written, either when read.
 */

/**
 * A value with its type: `s` text, `u` and `i` 32 bits, `t` 64 bits, `h` index of a descriptor, `as` texts, `a(sv)` properties
 * by name, `a(sa(sv))` units with theirs, of which nobody here has any.
 */
export type Argument =
  | { readonly type: "s" | "o" | "g"; readonly value: string }
  | { readonly type: "b"; readonly value: boolean }
  | { readonly type: "u" | "i" | "h"; readonly value: number }
  | { readonly type: "t"; readonly value: bigint }
  | { readonly type: "v"; readonly value: Argument }
  | { readonly type: "as"; readonly value: readonly string[] }
  | { readonly type: "a(sv)"; readonly value: readonly Property[] }
  | { readonly type: "a(sa(sv))"; readonly value: readonly never[] };

export type Property = readonly [name: string, value: Argument];

/** Arrays, structures and entries of dictionaries are lists. */
export type BodyValue = string | number | bigint | boolean | readonly BodyValue[];

export type MessageType = "call" | "return" | "error" | "signal";

export interface MessageHeader {
  readonly type: MessageType;
  readonly path?: string | undefined;
  readonly interface?: string | undefined;
  readonly member?: string | undefined;
  readonly errorName?: string | undefined;
  readonly replySerial?: number | undefined;
  readonly destination?: string | undefined;
  readonly sender?: string | undefined;
  /** How many descriptors come with it. */
  readonly descriptors?: number | undefined;
}

export interface Message extends MessageHeader {
  readonly serial: number;
  readonly signature: string;
  /** A variant gives what is in it. */
  readonly body: readonly BodyValue[];
}

export class DBusError extends Error {
  override readonly name = "DBusError";
  /** The error's name on the bus, such as org.freedesktop.DBus.Error.ServiceUnknown; empty where there is none. */
  readonly errorName: string;
  constructor(message: string, errorName = "", options?: ErrorOptions) {
    super(message, options);
    this.errorName = errorName;
  }
}

/** A system service says little; what claims to be longer is not listened to. */
const longest_bytes = 1 << 20;
const fixedHeader_bytes = 16;
const types: readonly MessageType[] = ["call", "return", "error", "signal"];

/** Number and type of each field of a header. */
const fields = {
  path: [1, "o"],
  destination: [6, "s"],
  interface: [2, "s"],
  member: [3, "s"],
  errorName: [4, "s"],
  replySerial: [5, "u"],
  sender: [7, "s"],
  signature: [8, "g"],
  descriptors: [9, "u"],
} as const;
type FieldName = keyof typeof fields;

export function encodeMessage(header: MessageHeader, serial: number, body: readonly Argument[] = []): Buffer {
  const content = new Writer();
  for (const argument of body) content.argument(argument);
  const out = new Writer();
  out.bytes([0x6c, types.indexOf(header.type) + 1, 0, 1]);
  out.uint32(content.length);
  out.uint32(serial);
  const list = new Writer();
  const signature = body.map(({ type }) => type).join("");
  const known = { ...header, signature: signature === "" ? undefined : signature };
  for (const [name, [code, type]] of Object.entries(fields)) {
    const value = known[name as FieldName];
    if (value === undefined) continue;
    list.align(8);
    list.bytes([code]);
    list.argument({ type: "v", value: { type, value } as Argument });
  }
  out.uint32(list.length);
  out.bytes(list.buffer());
  out.align(8);
  out.bytes(content.buffer());
  return out.buffer();
}

/** The first message of what has been received, and how long it is; undefined while it is not whole. Throws DBusError. */
export function decodeMessage(input: Buffer): { readonly message: Message; readonly length: number } | undefined {
  if (input.length < fixedHeader_bytes) return undefined;
  const reader = new Reader(input, input[0] === 0x6c);
  const type = types[(input[1] ?? 0) - 1];
  if (type === undefined || input[3] !== 1) throw new DBusError("not a message of D-Bus");
  const bodyLength = reader.uint32At(4);
  const fieldsLength = reader.uint32At(12);
  const bodyStart = aligned(fixedHeader_bytes + fieldsLength, 8);
  const length = bodyStart + bodyLength;
  if (length > longest_bytes) throw new DBusError(`a message of ${length} bytes`);
  if (input.length < length) return undefined;
  const found: Partial<Record<FieldName, BodyValue>> = {};
  reader.offset = fixedHeader_bytes;
  while (reader.offset < fixedHeader_bytes + fieldsLength) {
    reader.align(8);
    const code = reader.byte();
    const value = reader.value("v");
    const name = Object.entries(fields).find(([, [number]]) => number === code)?.[0];
    if (name !== undefined) found[name as FieldName] = value;
  }
  reader.offset = bodyStart;
  const signature = String(found.signature ?? "");
  const body: BodyValue[] = [];
  for (const type of typesIn(signature)) body.push(reader.value(type));
  const text = (name: FieldName): string | undefined => found[name] as string | undefined;
  const count = (name: FieldName): number | undefined => found[name] as number | undefined;
  const message: Message = {
    type,
    serial: reader.uint32At(8),
    signature,
    body,
    path: text("path"),
    interface: text("interface"),
    member: text("member"),
    errorName: text("errorName"),
    replySerial: count("replySerial"),
    destination: text("destination"),
    sender: text("sender"),
    descriptors: count("descriptors"),
  };
  return { message, length };
}

/** The complete types of a signature, one after the other: "sa(sv)u" has s, a(sv) and u. */
function typesIn(signature: string): string[] {
  const found: string[] = [];
  for (let from = 0; from < signature.length; ) {
    const to = endOfType(signature, from);
    found.push(signature.slice(from, to));
    from = to;
  }
  return found;
}

function endOfType(signature: string, from: number): number {
  const first = signature[from];
  if (first === "a") return endOfType(signature, from + 1);
  if (first !== "(" && first !== "{") return from + 1;
  let at = from + 1;
  while (at < signature.length && !")}".includes(signature[at] ?? "")) at = endOfType(signature, at);
  return at + 1;
}

const startsAtEight = (type: string): boolean => "({xtd".includes(type[0] ?? "");

const aligned = (offset: number, to: number): number => Math.ceil(offset / to) * to;

class Writer {
  readonly #bytes: number[] = [];

  get length(): number {
    return this.#bytes.length;
  }

  buffer(): Buffer {
    return Buffer.from(this.#bytes);
  }

  align(to: number): void {
    while (this.#bytes.length % to !== 0) this.#bytes.push(0);
  }

  bytes(values: Iterable<number>): void {
    this.#bytes.push(...values);
  }

  uint32(value: number): void {
    this.align(4);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value >>> 0);
    this.bytes(bytes);
  }

  argument({ type, value }: Argument): void {
    switch (type) {
      case "s":
      case "o": {
        const text = Buffer.from(value);
        this.uint32(text.length);
        this.bytes(text);
        this.bytes([0]);
        return;
      }
      case "g": {
        const text = Buffer.from(value);
        this.bytes([text.length, ...text, 0]);
        return;
      }
      case "b":
        this.uint32(value ? 1 : 0);
        return;
      case "u":
      case "i":
      case "h":
        this.uint32(value);
        return;
      case "t": {
        this.align(8);
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64LE(value);
        this.bytes(bytes);
        return;
      }
      case "v":
        this.argument({ type: "g", value: value.type });
        this.argument(value);
        return;
      case "as":
        this.#array(4, () => {
          for (const text of value) this.argument({ type: "s", value: text });
        });
        return;
      case "a(sv)":
        this.#array(8, () => {
          for (const [name, property] of value) {
            this.align(8);
            this.argument({ type: "s", value: name });
            this.argument({ type: "v", value: property });
          }
        });
        return;
      case "a(sa(sv))":
        this.#array(8, () => undefined);
    }
  }

  /** Its length, which leaves out what aligns the first element, comes before it. */
  #array(alignment: 4 | 8, write: () => void): void {
    this.uint32(0);
    const lengthAt = this.length - 4;
    this.align(alignment);
    const start = this.length;
    write();
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(this.length - start);
    this.#bytes.splice(lengthAt, 4, ...bytes);
  }
}

/** Size and form of what is no text. */
const numbers: Readonly<
  Record<string, { readonly size: number; read(view: DataView, at: number, little: boolean): BodyValue }>
> = {
  y: { size: 1, read: (view, at) => view.getUint8(at) },
  n: { size: 2, read: (view, at, little) => view.getInt16(at, little) },
  q: { size: 2, read: (view, at, little) => view.getUint16(at, little) },
  i: { size: 4, read: (view, at, little) => view.getInt32(at, little) },
  u: { size: 4, read: (view, at, little) => view.getUint32(at, little) },
  h: { size: 4, read: (view, at, little) => view.getUint32(at, little) },
  b: { size: 4, read: (view, at, little) => view.getUint32(at, little) !== 0 },
  x: { size: 8, read: (view, at, little) => view.getBigInt64(at, little) },
  d: { size: 8, read: (view, at, little) => view.getFloat64(at, little) },
  t: { size: 8, read: (view, at, little) => view.getBigUint64(at, little) },
};

class Reader {
  offset = 0;
  readonly #view: DataView;

  constructor(
    private readonly input: Buffer,
    private readonly littleEndian: boolean,
  ) {
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  }

  align(to: number): void {
    this.offset = aligned(this.offset, to);
  }

  byte(): number {
    return this.#view.getUint8(this.offset++);
  }

  uint32At(offset: number): number {
    return this.#view.getUint32(offset, this.littleEndian);
  }

  value(type: string): BodyValue {
    const number = numbers[type];
    if (number !== undefined) {
      this.align(number.size);
      const value = number.read(this.#view, this.offset, this.littleEndian);
      this.offset += number.size;
      return value;
    }
    if (type === "s" || type === "o") return this.#text(Number(this.value("u")));
    if (type === "g") return this.#text(this.byte());
    if (type === "v") return this.value(String(this.value("g")));
    if (type.startsWith("a")) return this.#array(type.slice(1));
    if (type.startsWith("(") || type.startsWith("{")) {
      this.align(8);
      return typesIn(type.slice(1, -1)).map((each) => this.value(each));
    }
    throw new DBusError(`a value of type ${type}, which is not read here`);
  }

  #array(element: string): BodyValue[] {
    const length = Number(this.value("u"));
    if (length > longest_bytes) throw new DBusError(`an array of ${length} bytes`);
    if (startsAtEight(element)) this.align(8);
    const end = this.offset + length;
    const found: BodyValue[] = [];
    while (this.offset < end) {
      const from = this.offset;
      found.push(this.value(element));
      if (this.offset === from) throw new DBusError(`an array of ${element}, which is nothing`);
    }
    return found;
  }

  #text(length: number): string {
    const text = this.input.toString("utf8", this.offset, this.offset + length);
    this.offset += length + 1;
    return text;
  }
}
