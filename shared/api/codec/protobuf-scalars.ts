/** The types whose protobuf is not that of their JSON structure: times, quantities, raw JSON and the like. */

import { formatGoDuration } from "../go-duration.ts";
import type { TypeExpression } from "../schema/facts.ts";
import { isoSeconds, parseDuration } from "../schema/scalars.ts";
import type { GoType } from "../schema/schema.ts";
import { decodeJson, encodeJson, JsonSyntaxError } from "./json.ts";
import { integerOf, isRawNumber, numberFromBigInt } from "./number.ts";
import { ProtobufError, type WireReader, WireWriter, wireBytes, wireFixed64, wireVarint } from "./wire.ts";

const schemaProps = "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
const zeroTime = "0001-01-01T00:00:00Z";
const zeroMicroTime = "0001-01-01T00:00:00.000000Z";
const magicBytes = [0x6b, 0x38, 0x73, 0];

/** What decoding of these types needs from the walker of messages. */
export interface MessageDecoder {
  decodeModel(model: string, message: WireReader): Record<string, unknown>;
  decodeObject(bytes: Uint8Array): Record<string, unknown>;
}

export function scalarWireType(type: GoType): number {
  switch (type) {
    case "int32":
    case "int64":
    case "uint32":
    case "bool":
      return wireVarint;
    case "float64":
      return wireFixed64;
    default:
      return wireBytes;
  }
}

export function isVarint(type: TypeExpression): boolean {
  return type.kind === "scalar" && scalarWireType(type.scalar) === wireVarint;
}

/** Go's generated code leaves out bytes that are nil, and writes every other field that is not a pointer. */
export function zeroScalarIsWritten(type: GoType): boolean {
  return type !== "bytes";
}

/** Reads one value; the reader stands behind its tag. */
export function decodeScalar(type: GoType, reader: WireReader, decoder: MessageDecoder): unknown {
  switch (type) {
    case "string":
      return reader.string();
    case "bool":
      return reader.integer() !== 0;
    case "int32":
      return Number(BigInt.asIntN(32, BigInt(reader.integer())));
    case "uint32":
      return Number(BigInt.asUintN(32, BigInt(reader.integer())));
    case "int64":
      return numberOf(reader.integer());
    case "float64":
      return reader.double();
    case "bytes":
      return reader.bytes().toString("base64");
    case "quantity":
      return stringFields(reader.message()).get(1) ?? "";
    case "time":
      return timeOf(reader.message(), 0);
    case "microTime":
      return timeOf(reader.message(), 6);
    case "duration":
      return formatGoDuration(BigInt(integerFields(reader.message()).get(1) ?? 0));
    case "intOrString":
      return intOrStringOf(reader.message());
    case "rawExtension":
      return rawOf(reader.message(), decoder);
    case "fieldsV1":
    case "json":
      return rawOf(reader.message(), undefined);
    case "schemaOrBool":
    case "schemaOrArray":
    case "schemaOrStrings":
      return schemaOrOf(type, reader.message(), decoder);
  }
}

function numberOf(value: number | bigint): unknown {
  return typeof value === "bigint" ? numberFromBigInt(value) : value;
}

function integerFields(message: WireReader): Map<number, number | bigint> {
  const fields = new Map<number, number | bigint>();
  while (!message.done) {
    const { number, wireType } = message.tag();
    if (wireType === wireVarint) fields.set(number, message.integer());
    else message.skip(wireType);
  }
  return fields;
}

function stringFields(message: WireReader): Map<number, string> {
  const fields = new Map<number, string>();
  while (!message.done) {
    const { number, wireType } = message.tag();
    if (wireType === wireBytes) fields.set(number, message.string());
    else message.skip(wireType);
  }
  return fields;
}

/** Timestamp{seconds=1, nanos=2}; nothing at all is Go's zero time. */
function timeOf(message: WireReader, decimals: 0 | 6): string {
  const fields = integerFields(message);
  const seconds = Number(fields.get(1) ?? 0);
  const nanos = Number(fields.get(2) ?? 0);
  if (seconds === 0 && nanos === 0) return decimals === 0 ? zeroTime : zeroMicroTime;
  if (Math.abs(seconds) > 1e12) throw new ProtobufError("time out of range");
  const text = isoSeconds(seconds * 1000);
  return decimals === 0 ? `${text}Z` : `${text}.${String(Math.floor(nanos / 1000)).padStart(6, "0")}Z`;
}

/** IntOrString{type=1, intVal=2, strVal=3}. */
function intOrStringOf(message: WireReader): unknown {
  let type = 0;
  let integer = 0;
  let text = "";
  while (!message.done) {
    const { number, wireType } = message.tag();
    if (number === 1 && wireType === wireVarint) type = Number(message.integer());
    else if (number === 2 && wireType === wireVarint) integer = Number(message.integer());
    else if (number === 3 && wireType === wireBytes) text = message.string();
    else message.skip(wireType);
  }
  return type === 1 ? text : integer;
}

/** A message with JSON text in field 1. RawExtension may carry an enveloped object instead. */
function rawOf(message: WireReader, decoder: MessageDecoder | undefined): unknown {
  let raw: Buffer | undefined;
  while (!message.done) {
    const { number, wireType } = message.tag();
    if (number === 1 && wireType === wireBytes) raw = message.bytes();
    else message.skip(wireType);
  }
  if (raw === undefined || raw.length === 0) return null;
  if (decoder && magicBytes.every((byte, index) => raw[index] === byte)) return decoder.decodeObject(raw);
  try {
    return decodeJson(raw).value;
  } catch (cause) {
    if (cause instanceof JsonSyntaxError) throw new ProtobufError(cause.message, { cause });
    throw cause;
  }
}

/** JSONSchemaPropsOrBool{allows=1, schema=2}, …OrArray{schema=1, jSONSchemas=2}, …OrStringArray{schema=1, property=2}. */
function schemaOrOf(
  type: "schemaOrBool" | "schemaOrArray" | "schemaOrStrings",
  message: WireReader,
  decoder: MessageDecoder,
): unknown {
  const schemaNumber = type === "schemaOrBool" ? 2 : 1;
  let allows = false;
  let schema: unknown = null;
  const list: unknown[] = [];
  while (!message.done) {
    const { number, wireType } = message.tag();
    if (wireType === wireVarint && type === "schemaOrBool" && number === 1) allows = message.integer() !== 0;
    else if (wireType !== wireBytes) message.skip(wireType);
    else if (number === schemaNumber) schema = decoder.decodeModel(schemaProps, message.message());
    else if (number !== 2) message.skip(wireType);
    else if (type === "schemaOrArray") list.push(decoder.decodeModel(schemaProps, message.message()));
    else list.push(message.string());
  }
  if (type === "schemaOrBool") return schema ?? allows;
  return list.length > 0 ? list : schema;
}

/** Writes one value with its tag; undefined or null writes the zero value. */
export function encodeScalar(
  number: number,
  type: GoType,
  value: unknown,
  writer: WireWriter,
  encodeModel: ModelEncoder,
): void {
  writer.tag(number, scalarWireType(type));
  switch (type) {
    case "string":
      writer.string(textOf(value));
      return;
    case "bool":
      writer.integer(value === true ? 1 : 0);
      return;
    case "int32":
    case "int64":
    case "uint32":
      writer.integer(integer(value));
      return;
    case "float64":
      writer.double(isRawNumber(value) ? Number(value.rawJSON) : Number(value ?? 0));
      return;
    case "bytes":
      writer.bytes(Buffer.from(textOf(value), "base64"));
      return;
    default:
      writer.bytes(encodeSpecial(type, value, encodeModel));
  }
}

type ModelEncoder = (model: string, value: unknown) => Uint8Array;

function encodeSpecial(type: GoType, value: unknown, encodeModel: ModelEncoder): Uint8Array {
  const message = new WireWriter(32);
  switch (type) {
    case "quantity":
      message.tag(1, wireBytes);
      message.string(typeof value === "string" ? value : "0");
      break;
    case "time":
    case "microTime":
      if (value !== undefined && value !== null) writeTime(textOf(value), message);
      break;
    case "duration":
      message.tag(1, wireVarint);
      message.integer(parseDuration(value === undefined || value === null ? "0s" : textOf(value)));
      break;
    case "intOrString":
      message.tag(1, wireVarint);
      message.integer(typeof value === "string" ? 1 : 0);
      message.tag(2, wireVarint);
      message.integer(typeof value === "string" ? 0 : integer(value));
      message.tag(3, wireBytes);
      message.string(typeof value === "string" ? value : "");
      break;
    case "rawExtension":
    case "fieldsV1":
    case "json":
      if (value === undefined || value === null) break;
      message.tag(1, wireBytes);
      message.string(encodeJson(value));
      break;
    case "schemaOrBool":
      message.tag(1, wireVarint);
      message.integer(value === false || value === undefined || value === null ? 0 : 1);
      if (typeof value === "object" && value !== null) writeSchema(2, value, message, encodeModel);
      break;
    case "schemaOrArray":
    case "schemaOrStrings":
      writeSchemas(value, message, encodeModel);
      break;
  }
  return message.finish();
}

function writeTime(text: string, message: WireWriter): void {
  if (text === zeroTime || text === zeroMicroTime) return;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new ProtobufError(`${JSON.stringify(text)} is no time`);
  message.tag(1, wireVarint);
  message.integer(Math.floor(ms / 1000));
  message.tag(2, wireVarint);
  message.integer(Number((/\.(\d+)/.exec(text)?.[1] ?? "0").padEnd(9, "0").slice(0, 9)));
}

function writeSchema(number: number, value: unknown, message: WireWriter, encodeModel: ModelEncoder): void {
  message.tag(number, wireBytes);
  message.bytes(encodeModel(schemaProps, value));
}

function writeSchemas(value: unknown, message: WireWriter, encodeModel: ModelEncoder): void {
  if (Array.isArray(value)) {
    for (const item of value) {
      if (typeof item === "string") {
        message.tag(2, wireBytes);
        message.string(item);
      } else writeSchema(2, item, message, encodeModel);
    }
  } else if (typeof value === "object" && value !== null) writeSchema(1, value, message, encodeModel);
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new ProtobufError(`${encodeJson(value)} is not text`);
  return value;
}

function integer(value: unknown): bigint | number {
  if (value === undefined || value === null) return 0;
  const found = typeof value === "number" && Number.isSafeInteger(value) ? value : integerOf(value);
  if (found === undefined) throw new ProtobufError(`${encodeJson(value)} is no integer`);
  return found;
}
