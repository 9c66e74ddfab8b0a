/**
 * Protobuf messages of plain services (CSI, device plugins, container runtimes), declared as values:
 *
 *     const Mount = message({ containerPath: string(1), readOnly: bool(3) });
 *     type Mount = MessageOf<typeof Mount>;
 *     Mount.decode(Mount.encode({ containerPath: "/dev/x" }));
 *
 * As in proto3, what is zero is not written and what is absent reads as zero: "", 0, false, [], {}; messages and
 * fields made `optional` (members of a oneof) read as undefined, and are written whenever they are given.
 */
import { ProtobufError, WireReader, WireWriter, wireBytes, wireFixed64, wireVarint } from "../api/codec/wire.ts";

/** How one value of a type is read and written; `zero` makes what an absent field reads as. */
interface ValueType<T> {
  readonly wireType: number;
  readonly zero: () => T;
  readonly isZero: (value: T) => boolean;
  readonly read: (reader: WireReader) => T;
  readonly write: (writer: WireWriter, value: T) => void;
}

/** A field of a message; T is what reading gives, and `undefined` is in it where the field has presence. */
export interface Field<T> {
  readonly number: number;
  readonly zero: () => T;
  /** The value after one more occurrence of the field on the wire. */
  readonly take: (before: T, reader: WireReader, wireType: number) => T;
  readonly write: (writer: WireWriter, value: T) => void;
}

type Read<F> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** A declared message: what `encode` takes and `decode` gives. */
export interface MessageType<M> {
  readonly encode: (value: Partial<M>) => Buffer;
  /** Throws ProtobufError. */
  readonly decode: (bytes: Buffer) => M;
  readonly value: ValueType<M>;
}

/** What decoding gives. */
export type MessageOf<T> = T extends MessageType<infer M> ? M : never;

// biome-ignore lint/suspicious/noExplicitAny: the fields of one message differ in type; Read<F> gives each its own.
type AnyField = Field<any>;

export function message<F extends Readonly<Record<string, AnyField>>>(fields: F): MessageType<Read<F>> {
  const entries = Object.entries<AnyField>(fields);
  const byNumber = new Map(entries.map(([name, field]) => [field.number, { name, field }]));
  const read = (reader: WireReader): Read<F> => {
    const result: Record<string, unknown> = {};
    for (const [name, field] of entries) result[name] = field.zero();
    while (!reader.done) {
      const { number, wireType } = reader.tag();
      const known = byNumber.get(number);
      if (known) result[known.name] = known.field.take(result[known.name], reader, wireType);
      else reader.skip(wireType);
    }
    return result as Read<F>;
  };
  const encode = (value: Partial<Read<F>>): Buffer => {
    const writer = new WireWriter();
    for (const [name, field] of entries) {
      const given = (value as Readonly<Record<string, unknown>>)[name];
      if (given !== undefined) field.write(writer, given);
    }
    return writer.finish();
  };
  return {
    encode,
    decode: (bytes) => read(new WireReader(bytes)),
    value: {
      wireType: wireBytes,
      zero: () => read(new WireReader(Buffer.alloc(0))),
      isZero: () => false,
      read: (reader) => read(reader.message()),
      write: (writer, value) => writer.bytes(encode(value)),
    },
  };
}

const stringType: ValueType<string> = {
  wireType: wireBytes,
  zero: () => "",
  isZero: (value) => value === "",
  read: (reader) => reader.string(),
  write: (writer, value) => writer.string(value),
};
const bytesType: ValueType<Uint8Array> = {
  wireType: wireBytes,
  zero: () => new Uint8Array(),
  isZero: (value) => value.length === 0,
  read: (reader) => Buffer.from(reader.bytes()),
  write: (writer, value) => writer.bytes(value),
};
const boolType: ValueType<boolean> = {
  wireType: wireVarint,
  zero: () => false,
  isZero: (value) => !value,
  read: (reader) => Number(reader.integer()) !== 0,
  write: (writer, value) => writer.integer(value ? 1 : 0),
};
const integerType: ValueType<number> = {
  wireType: wireVarint,
  zero: () => 0,
  isZero: (value) => value === 0,
  read: (reader) => Number(reader.integer()),
  write: (writer, value) => writer.integer(value),
};
const bigintType: ValueType<bigint> = {
  wireType: wireVarint,
  zero: () => 0n,
  isZero: (value) => value === 0n,
  read: (reader) => BigInt(reader.integer()),
  write: (writer, value) => writer.integer(value),
};
const doubleType: ValueType<number> = {
  wireType: wireFixed64,
  zero: () => 0,
  isZero: (value) => value === 0,
  read: (reader) => reader.double(),
  write: (writer, value) => writer.double(value),
};

const fixed64Type: ValueType<bigint> = {
  wireType: wireFixed64,
  zero: () => 0n,
  isZero: (value) => value === 0n,
  read: (reader) => reader.fixed64(),
  write: (writer, value) => writer.fixed64(value),
};

/** A single field that reads as zero when absent. */
function single<T>(number: number, type: ValueType<T>): Field<T> {
  return {
    number,
    zero: type.zero,
    take: (_, reader, wireType) => {
      expect(wireType, type, number);
      return type.read(reader);
    },
    write: (writer, value) => {
      if (!type.isZero(value)) tagged(writer, number, type, value);
    },
  };
}

export const string = (number: number): Field<string> => single(number, stringType);
export const bytes = (number: number): Field<Uint8Array> => single(number, bytesType);
export const bool = (number: number): Field<boolean> => single(number, boolType);
/** int32, int64, uint32, uint64 and enums as a number; beyond 2^53 the nearest one. */
export const integer = (number: number): Field<number> => single(number, integerType);
/** int64 where each digit counts. */
export const bigint = (number: number): Field<bigint> => single(number, bigintType);
export const double = (number: number): Field<number> => single(number, doubleType);
export const fixed64 = (number: number): Field<bigint> => single(number, fixed64Type);

/** A message within a message: undefined when absent. */
export function nested<M>(number: number, type: MessageType<M>): Field<M | undefined> {
  return optionalOf(number, type.value);
}

const scalars = { string: stringType, bytes: bytesType, bool: boolType, integer: integerType, bigint: bigintType };
type Scalars = typeof scalars;
type ScalarName = keyof Scalars;
type ScalarValue<K extends ScalarName> = Scalars[K] extends ValueType<infer T> ? T : never;

/** A field with presence: a member of a oneof, or proto3 `optional`. */
export function optional<K extends ScalarName>(number: number, scalar: K): Field<ScalarValue<K> | undefined> {
  return optionalOf(number, scalars[scalar] as unknown as ValueType<ScalarValue<K>>);
}

function optionalOf<T>(number: number, type: ValueType<T>): Field<T | undefined> {
  return {
    number,
    zero: () => undefined,
    take: (_, reader, wireType) => {
      expect(wireType, type, number);
      return type.read(reader);
    },
    write: (writer, value) => {
      if (value !== undefined) tagged(writer, number, type, value);
    },
  };
}

export function repeated<K extends ScalarName>(number: number, element: K): Field<readonly ScalarValue<K>[]>;
export function repeated<M>(number: number, element: MessageType<M>): Field<readonly M[]>;
export function repeated(number: number, element: ScalarName | MessageType<unknown>): Field<readonly unknown[]> {
  const type = valueType(element);
  return {
    number,
    zero: () => [],
    take: (before, reader, wireType) => {
      const list = before as unknown[];
      if (wireType === wireBytes && type.wireType === wireVarint) {
        const packed = reader.message();
        while (!packed.done) list.push(type.read(packed));
        return list;
      }
      expect(wireType, type, number);
      list.push(type.read(reader));
      return list;
    },
    write: (writer, values) => {
      for (const value of values) tagged(writer, number, type, value);
    },
  };
}

/** A map with strings for keys. */
export function map<K extends ScalarName>(number: number, element: K): Field<Readonly<Record<string, ScalarValue<K>>>>;
export function map<M>(number: number, element: MessageType<M>): Field<Readonly<Record<string, M>>>;
export function map(number: number, element: ScalarName | MessageType<unknown>): Field<Record<string, unknown>> {
  const type = valueType(element);
  return {
    number,
    zero: () => Object.create(null) as Record<string, unknown>,
    take: (before, reader, wireType) => {
      if (wireType !== wireBytes) throw wrongWireType(wireType, number);
      const [key, value] = readEntry(type, reader.message());
      before[key] = value;
      return before;
    },
    write: (writer, values) => {
      for (const [key, value] of Object.entries(values)) {
        const entry = new WireWriter();
        tagged(entry, 1, stringType, key);
        tagged(entry, 2, type, value);
        writer.tag(number, wireBytes);
        writer.bytes(entry.finish());
      }
    },
  };
}

function readEntry(type: ValueType<unknown>, entry: WireReader): [string, unknown] {
  let key = "";
  let value: unknown;
  while (!entry.done) {
    const { number, wireType } = entry.tag();
    if (number === 1 && wireType === wireBytes) key = entry.string();
    else if (number === 2 && wireType === type.wireType) value = type.read(entry);
    else entry.skip(wireType);
  }
  return [key, value ?? type.zero()];
}

const valueType = (element: ScalarName | MessageType<unknown>): ValueType<unknown> =>
  (typeof element === "string" ? scalars[element] : element.value) as ValueType<unknown>;

function tagged<T>(writer: WireWriter, number: number, type: ValueType<T>, value: T): void {
  writer.tag(number, type.wireType);
  type.write(writer, value);
}

function expect<T>(wireType: number, type: ValueType<T>, number: number): void {
  if (wireType !== type.wireType) throw wrongWireType(wireType, number);
}

const wrongWireType = (wireType: number, number: number): ProtobufError =>
  new ProtobufError(`proto: wrong wireType = ${wireType} for field ${number}`);
