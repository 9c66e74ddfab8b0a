/**
 * Messages as gnostic's OpenAPI documents have them: members under names are lists of entries with name and value,
 * extensions and other free values are text in YAML.
 */
import { WireWriter, wireBytes, wireFixed64, wireVarint } from "../codec/wire.ts";
import { compareBytes } from "../selector/go-quote.ts";
import { blockYaml } from "./block-yaml.ts";
import type { JsonObject } from "./models.ts";

type FieldWriter = (writer: WireWriter, number: number, value: unknown) => void;

/** How a member of a JSON object is written. */
export type MessageField = readonly [name: string, number: number, write: FieldWriter];

export class MessageWriter extends WireWriter {
  /** A Named… message: name = 1, value = 2. */
  bytesEntry(number: number, name: string, value: Uint8Array): void {
    writeMessage(this, number, (entry) => {
      writeString(entry, 1, name);
      writeBytes(entry, 2, value);
    });
  }
}

export function named(number: number, name: string, value: Uint8Array): Uint8Array {
  const writer = new MessageWriter();
  writer.bytesEntry(number, name, value);
  return Buffer.from(writer.finish());
}

export function writeMessage(writer: WireWriter, number: number, fill: (message: MessageWriter) => void): void {
  const message = new MessageWriter();
  fill(message);
  writeBytes(writer, number, message.finish());
}

export function writeBytes(writer: WireWriter, number: number, value: Uint8Array): void {
  writer.tag(number, wireBytes);
  writer.bytes(value);
}

export function writeString(writer: WireWriter, number: number, value: unknown): void {
  if (typeof value !== "string" || value === "") return;
  writer.tag(number, wireBytes);
  writer.string(value);
}

export function writeStrings(writer: WireWriter, number: number, values: unknown): void {
  if (!Array.isArray(values)) return;
  for (const value of values) {
    writer.tag(number, wireBytes);
    writer.string(String(value));
  }
}

export function writeBoolean(writer: WireWriter, number: number, value: unknown): void {
  if (value !== true) return;
  writer.tag(number, wireVarint);
  writer.integer(1);
}

export function writeInteger(writer: WireWriter, number: number, value: unknown): void {
  if (typeof value !== "number" || value === 0) return;
  writer.tag(number, wireVarint);
  writer.integer(Math.trunc(value));
}

export function writeDouble(writer: WireWriter, number: number, value: unknown): void {
  if (typeof value !== "number" || value === 0) return;
  writer.tag(number, wireFixed64);
  writer.double(value);
}

/** What the object has of these fields, in their order. */
export function writeFields(writer: WireWriter, fields: readonly MessageField[], object: JsonObject): void {
  for (const [name, number, write] of fields) {
    if (object[name] !== undefined) write(writer, number, object[name]);
  }
}

/** Any{yaml = 2} */
export function writeAny(writer: WireWriter, number: number, value: unknown): void {
  writeYaml(writer, number, byName(value));
}

const writeYaml: FieldWriter = (writer, number, value) =>
  writeMessage(writer, number, (any) => writeString(any, 2, blockYaml(value)));

/** As Go writes maps. */
function byName(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(byName);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, byName(member)] as const);
  return Object.fromEntries(members.sort(([a], [b]) => compareBytes(a, b)));
}

export const writeExtensions = (writer: WireWriter, number: number, object: JsonObject): void =>
  extensionsBy(writeAny, writer, number, object);

/** Of what upstream has as a structure, with the members where they stand. */
export const writeOrderedExtensions = (writer: WireWriter, number: number, object: JsonObject): void =>
  extensionsBy(writeYaml, writer, number, object);

function extensionsBy(write: FieldWriter, writer: WireWriter, number: number, object: JsonObject): void {
  for (const [name, value] of Object.entries(object)) {
    if (!name.startsWith("x-")) continue;
    writeMessage(writer, number, (entry) => {
      writeString(entry, 1, name);
      write(entry, 2, value);
    });
  }
}

export function writeAnys(writer: WireWriter, number: number, values: unknown): void {
  for (const value of values as readonly unknown[]) writeAny(writer, number, value);
}
