/** The protobuf wire format, as far as Kubernetes uses it: varints, fixed64 and length-delimited fields. */

/** Bytes that are no protobuf message, or not one of the kind they are said to be. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
}

export const wireVarint = 0;
export const wireFixed64 = 1;
export const wireBytes = 2;
const wireFixed32 = 5;

/** Reads a message within [at, end) of a buffer. */
export class WireReader {
  readonly buffer: Buffer;
  at: number;
  readonly end: number;

  constructor(buffer: Buffer, at = 0, end = buffer.length) {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** An unsigned varint; undefined beyond 2^53, for `bigVarint` to read. */
  private smallVarint(): number | undefined {
    let value = 0;
    let factor = 1;
    for (let at = this.at; at < this.end && factor <= 2 ** 42; at++) {
      const byte = this.buffer[at] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        this.at = at + 1;
        return value;
      }
      factor *= 128;
    }
    return undefined;
  }

  private bigVarint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.at >= this.end) throw new ProtobufError("unexpected EOF");
      const byte = this.buffer[this.at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new ProtobufError("proto: integer overflow");
  }

  /** A varint as a signed 64-bit integer: a number when it fits, else a bigint. */
  integer(): number | bigint {
    const small = this.smallVarint();
    if (small !== undefined) return small;
    const signed = BigInt.asIntN(64, this.bigVarint());
    const number = Number(signed);
    return Number.isSafeInteger(number) ? number : signed;
  }

  /** A tag: field number and wire type. */
  tag(): { number: number; wireType: number } {
    const tag = this.smallVarint();
    if (tag === undefined || tag < 8 || tag >= 2 ** 32) throw new ProtobufError("proto: illegal tag");
    return { number: tag >>> 3, wireType: tag & 7 };
  }

  /** The end of a length-delimited field that begins here; the reader stands at its first byte. */
  private lengthDelimitedEnd(): number {
    const length = this.smallVarint();
    if (length === undefined || this.at + length > this.end) throw new ProtobufError("unexpected EOF");
    return this.at + length;
  }

  /** A length-delimited field as a reader of its own. */
  message(): WireReader {
    const end = this.lengthDelimitedEnd();
    const reader = new WireReader(this.buffer, this.at, end);
    this.at = end;
    return reader;
  }

  string(): string {
    const start = this.at;
    const end = this.lengthDelimitedEnd();
    const text = this.buffer.toString("utf8", this.at, end);
    this.at = start + (end - start);
    return text;
  }

  /** A view of the bytes, not a copy. */
  bytes(): Buffer {
    const end = this.lengthDelimitedEnd();
    const view = this.buffer.subarray(this.at, end);
    this.at = end;
    return view;
  }

  double(): number {
    if (this.at + 8 > this.end) throw new ProtobufError("unexpected EOF");
    this.at += 8;
    return this.buffer.readDoubleLE(this.at - 8);
  }

  /** Eight bytes as they are: fixed64. */
  fixed64(): bigint {
    if (this.at + 8 > this.end) throw new ProtobufError("unexpected EOF");
    this.at += 8;
    return this.buffer.readBigUInt64LE(this.at - 8);
  }

  skip(wireType: number): void {
    switch (wireType) {
      case wireVarint:
        this.integer();
        return;
      case wireFixed64:
        this.at += 8;
        break;
      case wireBytes:
        this.at = this.lengthDelimitedEnd();
        return;
      case wireFixed32:
        this.at += 4;
        break;
      default:
        throw new ProtobufError(`proto: illegal wireType ${wireType}`);
    }
    if (this.at > this.end) throw new ProtobufError("unexpected EOF");
  }
}

/** Writes a message into a buffer that grows. */
export class WireWriter {
  private buffer: Buffer;
  private length = 0;

  constructor(capacity = 256) {
    this.buffer = Buffer.allocUnsafe(capacity);
  }

  /** The bytes written so far: a view, valid until the next write. */
  finish(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  private reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  tag(number: number, wireType: number): void {
    this.unsigned(number * 8 + wireType);
  }

  private unsigned(value: number): void {
    this.reserve(10);
    let rest = value;
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.buffer[this.length++] = rest;
  }

  /** A signed integer of up to 64 bits as a varint: negative ones take ten bytes. */
  integer(value: number | bigint): void {
    if (typeof value === "number" && value >= 0 && Number.isSafeInteger(value)) {
      this.unsigned(value);
      return;
    }
    this.reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 0x80n) {
      this.buffer[this.length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.buffer[this.length++] = Number(rest);
  }

  double(value: number): void {
    this.reserve(8);
    this.length = this.buffer.writeDoubleLE(value, this.length);
  }

  fixed64(value: bigint): void {
    this.reserve(8);
    this.length = this.buffer.writeBigUInt64LE(value, this.length);
  }

  /** Length-delimited bytes. */
  bytes(value: Uint8Array): void {
    this.unsigned(value.length);
    this.reserve(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }

  string(value: string): void {
    const size = Buffer.byteLength(value);
    this.unsigned(size);
    this.reserve(size);
    this.length += this.buffer.write(value, this.length, "utf8");
  }
}
