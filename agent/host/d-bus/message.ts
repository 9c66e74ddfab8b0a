/**
 * Messages of D-Bus (D-Bus Specification 0.43, "Message Protocol") as bytes, as far as a client of system services needs
 * them: bodies of basic types, and variants when read. Little-endian when written, either when read.
 */

/** A basic value with the letter of its type: `s` text, `u` and `i` 32 bits, `t` 64 bits, `h` index of a descriptor. */
export type Argument =
  | { readonly type: "s" | "o" | "g"; readonly value: string }
  | { readonly type: "b"; readonly value: boolean }
  | { readonly type: "u" | "i" | "h"; readonly value: number }
  | { readonly type: "t"; readonly value: bigint }
  | { readonly type: "v"; readonly value: Argument };

export type BodyValue = string | number | bigint | boolean;

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
  // Containers are skipped with all that follows: nothing here asks for what has some.
  for (const letter of signature) {
    if (!isBasic(letter)) break;
    body.push(reader.value(letter));
  }
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

const isBasic = (letter: string): boolean => "ybnqiuxtsogvh".includes(letter);

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
    }
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
    throw new DBusError(`a value of type ${type}, which is not read here`);
  }

  #text(length: number): string {
    const text = this.input.toString("utf8", this.offset, this.offset + length);
    this.offset += length + 1;
    return text;
  }
}
