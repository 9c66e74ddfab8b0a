/**
 * Kubernetes' protobuf: `k8s\0`, then runtime.Unknown with the kind and the object, whose messages are walked by the
 * generated facts. Decoding gives the fields that were on the wire; `normalizeObject` then writes and leaves out what
 * Go's encoder would. Field numbers of the special types are those of apimachinery's .proto files.
 */
import type { GroupVersionKind } from "../object.ts";
import { apiVersionOf, parseApiVersion } from "../object.ts";
import { type FieldFacts, type ModelFacts, modelFacts, modelOfKind, type TypeExpression } from "../schema/facts.ts";
import { setField } from "./json.ts";
import { decodeScalar, encodeScalar, isVarint, scalarWireType, zeroScalarIsWritten } from "./protobuf-scalars.ts";
import { ProtobufError, WireReader, WireWriter, wireBytes } from "./wire.ts";

export { ProtobufError } from "./wire.ts";

export const protobufContentType = "application/vnd.kubernetes.protobuf";

export interface ProtobufDocument {
  readonly gvk: GroupVersionKind;
  /** The object with apiVersion and kind; only the fields that were on the wire. */
  readonly value: Record<string, unknown>;
}

const magic = Buffer.from("k8s\0");
const maxDepth = 256;

/**
 * Decodes an enveloped object. `fallback` is taken where the envelope names no kind.
 * Throws ProtobufError when the bytes are no such object or the kind has no facts.
 */
export function decodeProtobuf(body: Uint8Array, fallback?: GroupVersionKind): ProtobufDocument {
  return decodeEnveloped(body, fallback, 0);
}

function decodeEnveloped(body: Uint8Array, fallback: GroupVersionKind | undefined, depth: number): ProtobufDocument {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (!buffer.subarray(0, 4).equals(magic)) {
    throw new ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  }
  if (buffer.length === magic.length) throw new ProtobufError("empty body");
  const envelope = decodeEnvelope(new WireReader(buffer, 4));
  const { group, version } = parseApiVersion(envelope.apiVersion);
  const gvk = {
    group: envelope.apiVersion === "" && fallback ? fallback.group : group,
    version: version || (fallback?.version ?? ""),
    kind: envelope.kind || (fallback?.kind ?? ""),
  };
  const model = modelOfKind(gvk);
  if (model === undefined) {
    throw new ProtobufError(
      `no kind ${JSON.stringify(gvk.kind)} is registered for version ${JSON.stringify(apiVersionOf(gvk))}`,
    );
  }
  const value: Record<string, unknown> = { kind: gvk.kind, apiVersion: apiVersionOf(gvk) };
  if (envelope.raw) decodeModel(modelFacts(model), envelope.raw, value, depth);
  return { gvk, value };
}

/** Encodes an object with its envelope. Throws ProtobufError for a kind without facts or a value of the wrong type. */
export function encodeProtobuf(gvk: GroupVersionKind, object: Readonly<Record<string, unknown>>): Uint8Array {
  const model = modelOfKind(gvk);
  if (model === undefined) throw new ProtobufError(`${apiVersionOf(gvk)}, Kind=${gvk.kind} has no protobuf form`);
  const typeMeta = new WireWriter();
  typeMeta.tag(1, wireBytes);
  typeMeta.string(apiVersionOf(gvk));
  typeMeta.tag(2, wireBytes);
  typeMeta.string(gvk.kind);
  const envelope = new WireWriter(1024);
  envelope.tag(1, wireBytes);
  envelope.bytes(typeMeta.finish());
  envelope.tag(2, wireBytes);
  envelope.bytes(encodeModel(modelFacts(model), object));
  envelope.tag(3, wireBytes);
  envelope.string("");
  envelope.tag(4, wireBytes);
  envelope.string("");
  return Buffer.concat([magic, envelope.finish()]);
}

/** One event of a watch as it stands in a stream: four bytes of length, then a WatchEvent with the object enveloped. */
export function encodeWatchEvent(
  type: string,
  gvk: GroupVersionKind,
  object: Readonly<Record<string, unknown>>,
): Uint8Array {
  const extension = new WireWriter();
  extension.tag(1, wireBytes);
  extension.bytes(encodeProtobuf(gvk, object));
  const event = new WireWriter(1024);
  event.tag(1, wireBytes);
  event.string(type);
  event.tag(2, wireBytes);
  event.bytes(extension.finish());
  const message = event.finish();
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return Buffer.concat([length, message]);
}

/** Whether a kind has a protobuf form: custom resources and Tables have none. */
export const hasProtobufForm = (gvk: GroupVersionKind): boolean => modelOfKind(gvk) !== undefined;

function decodeEnvelope(reader: WireReader): { apiVersion: string; kind: string; raw: WireReader | undefined } {
  let apiVersion = "";
  let kind = "";
  let raw: WireReader | undefined;
  while (!reader.done) {
    const { number, wireType } = reader.tag();
    if (wireType !== wireBytes) reader.skip(wireType);
    else if (number === 1) {
      const typeMeta = reader.message();
      while (!typeMeta.done) {
        const field = typeMeta.tag();
        if (field.wireType !== wireBytes) typeMeta.skip(field.wireType);
        else if (field.number === 1) apiVersion = typeMeta.string();
        else if (field.number === 2) kind = typeMeta.string();
        else typeMeta.skip(field.wireType);
      }
    } else if (number === 2) raw = reader.message();
    else reader.skip(wireType);
  }
  return { apiVersion, kind, raw };
}

const fieldsByNumber = new WeakMap<ModelFacts, Map<number, FieldFacts>>();

function fieldOf(model: ModelFacts, number: number): FieldFacts | undefined {
  let fields = fieldsByNumber.get(model);
  if (!fields) {
    fields = new Map(model.fields.filter((field) => field.number > 0).map((field) => [field.number, field]));
    fieldsByNumber.set(model, fields);
  }
  return fields.get(number);
}

function decodeModel(model: ModelFacts, reader: WireReader, target: Record<string, unknown>, depth: number): void {
  if (depth > maxDepth) throw new ProtobufError("exceeded max depth");
  while (!reader.done) {
    const { number, wireType } = reader.tag();
    const field = fieldOf(model, number);
    if (!field) reader.skip(wireType);
    else if (field.name === "" && field.type.kind === "model") {
      expectWire(wireType, wireBytes, field);
      decodeModel(modelFacts(field.type.model), reader.message(), target, depth + 1);
    } else decodeField(field, wireType, reader, target, depth);
  }
}

function decodeField(
  field: FieldFacts,
  wireType: number,
  reader: WireReader,
  target: Record<string, unknown>,
  depth: number,
): void {
  const { type, name } = field;
  if (type.kind === "list" && !type.wrapped) {
    target[name] ??= [];
    const list = target[name] as unknown[];
    if (isVarint(type.element) && wireType === wireBytes) {
      const packed = reader.message();
      while (!packed.done) list.push(decodeValue(type.element, packed, depth));
      return;
    }
    expectWire(wireType, wireTypeOf(type.element), field);
    list.push(decodeValue(type.element, reader, depth));
  } else if (type.kind === "map") {
    expectWire(wireType, wireBytes, field);
    target[name] ??= {};
    decodeEntry(type.element, reader.message(), target[name] as Record<string, unknown>, depth);
  } else {
    expectWire(wireType, wireTypeOf(type), field);
    const before = target[name];
    if (type.kind === "model" && typeof before === "object" && before !== null) {
      // A message given in parts is one message.
      decodeModel(modelFacts(type.model), reader.message(), before as Record<string, unknown>, depth + 1);
    } else target[name] = decodeValue(type, reader, depth);
  }
}

/** Reads one value; the reader stands behind its tag. */
function decodeValue(type: TypeExpression, reader: WireReader, depth: number): unknown {
  switch (type.kind) {
    case "model": {
      const value: Record<string, unknown> = {};
      decodeModel(modelFacts(type.model), reader.message(), value, depth + 1);
      return value;
    }
    case "list":
      return decodeWrappedList(type.element, reader.message(), depth);
    case "map":
      throw new ProtobufError("a map cannot stand within a list or map");
    case "scalar":
      return decodeScalar(type.scalar, reader, {
        decodeModel: (model, message) => {
          const value: Record<string, unknown> = {};
          decodeModel(modelFacts(model), message, value, depth + 1);
          return value;
        },
        decodeObject: (bytes) => decodeEnveloped(bytes, undefined, depth + 1).value,
      });
  }
}

function decodeWrappedList(element: TypeExpression, message: WireReader, depth: number): unknown[] {
  const items: unknown[] = [];
  while (!message.done) {
    const { number, wireType } = message.tag();
    if (number === 1 && wireType === wireTypeOf(element)) items.push(decodeValue(element, message, depth));
    else message.skip(wireType);
  }
  return items;
}

function decodeEntry(element: TypeExpression, entry: WireReader, map: Record<string, unknown>, depth: number): void {
  let key = "";
  let value: unknown;
  while (!entry.done) {
    const { number, wireType } = entry.tag();
    if (number === 1 && wireType === wireBytes) key = entry.string();
    else if (number === 2 && wireType === wireTypeOf(element)) value = decodeValue(element, entry, depth);
    else entry.skip(wireType);
  }
  setField(map, key, value ?? zeroElement(element));
}

function zeroElement(element: TypeExpression): unknown {
  if (element.kind !== "scalar") return element.kind === "list" ? [] : {};
  if (element.scalar === "string" || element.scalar === "bytes") return "";
  return element.scalar === "bool" ? false : 0;
}

function wireTypeOf(type: TypeExpression): number {
  return type.kind === "scalar" ? scalarWireType(type.scalar) : wireBytes;
}

function expectWire(found: number, expected: number, field: FieldFacts): void {
  if (found !== expected) throw new ProtobufError(`proto: wrong wireType = ${found} for field ${field.name}`);
}

function encodeModel(model: ModelFacts, object: Readonly<Record<string, unknown>>): Uint8Array {
  const writer = new WireWriter();
  for (const field of model.fields.toSorted((a, b) => a.number - b.number)) {
    if (field.number === 0) continue;
    if (field.name === "" && field.type.kind === "model") {
      writer.tag(field.number, wireBytes);
      writer.bytes(encodeModel(modelFacts(field.type.model), object));
    } else encodeField(field, object[field.name], writer);
  }
  return writer.finish();
}

function encodeField(field: FieldFacts, value: unknown, writer: WireWriter): void {
  const { type, number } = field;
  if (type.kind === "list" && !type.wrapped) {
    for (const item of asList(value, field)) encodeTagged(number, type.element, item, writer);
  } else if (type.kind === "map") {
    const entries = Object.entries(asObject(value ?? {}, field));
    for (const [key, item] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
      const entry = new WireWriter();
      entry.tag(1, wireBytes);
      entry.string(key);
      if (!isEmptyBytes(type.element, item)) encodeTagged(2, type.element, item, entry);
      writer.tag(number, wireBytes);
      writer.bytes(entry.finish());
    }
  } else if (value === undefined || value === null) {
    if (!field.flags.includes("p") && isWrittenWhenZero(type)) encodeTagged(number, type, undefined, writer);
  } else encodeTagged(number, type, value, writer);
}

function isEmptyBytes(type: TypeExpression, value: unknown): boolean {
  return type.kind === "scalar" && type.scalar === "bytes" && (value === "" || value === null);
}

function isWrittenWhenZero(type: TypeExpression): boolean {
  return type.kind === "model" || (type.kind === "scalar" && zeroScalarIsWritten(type.scalar));
}

function encodeTagged(number: number, type: TypeExpression, value: unknown, writer: WireWriter): void {
  switch (type.kind) {
    case "model":
      writer.tag(number, wireBytes);
      writer.bytes(encodeModel(modelFacts(type.model), asObject(value ?? {}, type.model)));
      return;
    case "list": {
      const message = new WireWriter();
      for (const item of asList(value, "list")) encodeTagged(1, type.element, item, message);
      writer.tag(number, wireBytes);
      writer.bytes(message.finish());
      return;
    }
    case "map":
      throw new ProtobufError("a map cannot stand within a list or map");
    case "scalar":
      encodeScalar(number, type.scalar, value, writer, (model, nested) =>
        encodeModel(modelFacts(model), asObject(nested, model)),
      );
  }
}

function asList(value: unknown, where: FieldFacts | string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw new ProtobufError(`${nameOf(where)} is not a list`);
}

function asObject(value: unknown, where: FieldFacts | string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ProtobufError(`${nameOf(where)} is not an object`);
}

function nameOf(where: FieldFacts | string): string {
  return typeof where === "string" ? where : where.name;
}
