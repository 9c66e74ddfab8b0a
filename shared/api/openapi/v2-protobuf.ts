/**
 * OpenAPI 2.0 in protobuf, `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`: what clients before OpenAPI 3
 * ask for. Field numbers are those of gnostic's OpenAPIv2.proto.
 */
import { WireWriter, wireVarint } from "../codec/wire.ts";
import { type Info, type Member, v2Head } from "./documents.ts";
import type { JsonObject } from "./models.ts";
import {
  type MessageField,
  MessageWriter,
  named,
  writeAny,
  writeAnys,
  writeBoolean,
  writeBytes,
  writeDouble,
  writeExtensions,
  writeFields,
  writeInteger,
  writeMessage,
  writeString,
  writeStrings,
} from "./protobuf-messages.ts";

/** A member of `paths` as an entry of Paths. */
export function encodePath({ name, render }: Member): Uint8Array {
  return named(2, name, encodePathItem(render()));
}

/** A member of `definitions` as an entry of Definitions. */
export function encodeDefinition({ name, render }: Member): Uint8Array {
  return named(1, name, encodeSchema(render()));
}

/** A shared parameter as an entry of ParameterDefinitions. */
export function encodeParameter({ name, render }: Member): Uint8Array {
  const writer = new MessageWriter();
  fillParameter(writer, render());
  return named(1, name, writer.finish());
}

/** The whole Document around entries made by encodePath, encodeDefinition and encodeParameter. */
export function encodeDocument(
  info: Info,
  paths: readonly Uint8Array[],
  definitions: readonly Uint8Array[],
  parameters: readonly Uint8Array[],
): Buffer {
  const head = v2Head(info);
  const writer = new WireWriter(1024);
  writeString(writer, 1, head.swagger);
  writeMessage(writer, 2, (message) => {
    writeString(message, 1, info.title);
    writeString(message, 2, info.version);
  });
  writeBytes(writer, 8, Buffer.concat(paths));
  writeBytes(writer, 9, Buffer.concat(definitions));
  writeBytes(writer, 10, Buffer.concat(parameters));
  for (const requirement of head.security) {
    writeMessage(writer, 12, (message) => {
      for (const name of Object.keys(requirement)) message.bytesEntry(1, name, new Uint8Array());
    });
  }
  const { description, type, name, in: place } = head.securityDefinitions.BearerToken;
  const apiKey = new MessageWriter();
  for (const [number, value] of [type, name, place, description].entries()) writeString(apiKey, number + 1, value);
  const item = new MessageWriter();
  writeBytes(item, 2, apiKey.finish());
  writeMessage(writer, 13, (message) => message.bytesEntry(1, "BearerToken", item.finish()));
  return Buffer.from(writer.finish());
}

const methodNumbers = { get: 2, put: 3, post: 4, delete: 5, options: 6, head: 7, patch: 8 } as const;

function encodePathItem(item: JsonObject): Uint8Array {
  const writer = new MessageWriter();
  for (const [method, number] of Object.entries(methodNumbers)) {
    const operation = item[method] as JsonObject | undefined;
    if (operation) writeBytes(writer, number, encodeOperation(operation));
  }
  writeParameters(writer, 9, item["parameters"]);
  return writer.finish();
}

function encodeOperation(operation: JsonObject): Uint8Array {
  const writer = new MessageWriter();
  writeStrings(writer, 1, operation["tags"]);
  writeString(writer, 3, operation["description"]);
  writeString(writer, 5, operation["operationId"]);
  writeStrings(writer, 6, operation["produces"]);
  writeStrings(writer, 7, operation["consumes"]);
  writeParameters(writer, 8, operation["parameters"]);
  writeMessage(writer, 9, (responses) => {
    for (const [code, response] of Object.entries((operation["responses"] ?? {}) as JsonObject)) {
      if (code.startsWith("x-")) continue;
      responses.bytesEntry(1, code, encodeResponse(response as JsonObject));
    }
  });
  writeStrings(writer, 10, operation["schemes"]);
  writeExtensions(writer, 13, operation);
  return writer.finish();
}

/** ResponseValue{response = 1} */
function encodeResponse(response: JsonObject): Uint8Array {
  const writer = new MessageWriter();
  writeMessage(writer, 1, (message) => {
    writeString(message, 1, response["description"]);
    const schema = response["schema"] as JsonObject | undefined;
    // SchemaItem{schema = 1}
    if (schema) writeMessage(message, 2, (item) => writeBytes(item, 1, encodeSchema(schema)));
  });
  return writer.finish();
}

/** ParametersItem{parameter = 1, json_reference = 2}, JsonReference{_ref = 1}. */
function writeParameters(writer: WireWriter, number: number, parameters: unknown): void {
  if (!Array.isArray(parameters)) return;
  for (const parameter of parameters as JsonObject[]) {
    writeMessage(writer, number, (item) => {
      if (parameter["$ref"] === undefined) writeMessage(item, 1, (either) => fillParameter(either, parameter));
      else writeMessage(item, 2, (reference) => writeString(reference, 1, parameter["$ref"]));
    });
  }
}

/** Parameter{body_parameter = 1, non_body_parameter = 2} */
function fillParameter(either: MessageWriter, parameter: JsonObject): void {
  if (parameter["in"] === "body") writeMessage(either, 1, (body) => fillBodyParameter(body, parameter));
  else writeMessage(either, 2, (other) => fillOtherParameter(other, parameter));
}

function fillBodyParameter(message: MessageWriter, parameter: JsonObject): void {
  writeString(message, 2, parameter["name"]);
  writeString(message, 3, "body");
  writeBoolean(message, 4, parameter["required"]);
  if (parameter["schema"] !== undefined) writeBytes(message, 5, encodeSchema(parameter["schema"] as JsonObject));
}

/** NonBodyParameter: query = 3, path = 4, whose numbers differ by the query's allow_empty_value. */
function fillOtherParameter(message: MessageWriter, parameter: JsonObject): void {
  const inPath = parameter["in"] === "path";
  writeMessage(message, inPath ? 4 : 3, (fields) => {
    writeBoolean(fields, 1, parameter["required"]);
    writeString(fields, 2, parameter["in"]);
    writeString(fields, 3, parameter["description"]);
    writeString(fields, 4, parameter["name"]);
    writeString(fields, inPath ? 5 : 6, parameter["type"]);
    writeBoolean(fields, inPath ? 19 : 20, parameter["uniqueItems"]);
  });
}

const schemaFields: readonly MessageField[] = [
  ["$ref", 1, writeString],
  ["format", 2, writeString],
  ["title", 3, writeString],
  ["description", 4, writeString],
  ["default", 5, writeAny],
  ["multipleOf", 6, writeDouble],
  ["maximum", 7, writeDouble],
  ["exclusiveMaximum", 8, writeBoolean],
  ["minimum", 9, writeDouble],
  ["exclusiveMinimum", 10, writeBoolean],
  ["maxLength", 11, writeInteger],
  ["minLength", 12, writeInteger],
  ["pattern", 13, writeString],
  ["maxItems", 14, writeInteger],
  ["minItems", 15, writeInteger],
  ["uniqueItems", 16, writeBoolean],
  ["maxProperties", 17, writeInteger],
  ["minProperties", 18, writeInteger],
  ["required", 19, writeStrings],
  ["enum", 20, writeAnys],
  ["additionalProperties", 21, writeAdditionalProperties],
  ["type", 22, writeType],
  ["items", 23, writeSchemaItems],
  ["allOf", 24, writeSchemas],
  ["properties", 25, writeProperties],
  ["readOnly", 27, writeBoolean],
  ["example", 30, writeAny],
];

function encodeSchema(schema: JsonObject): Uint8Array {
  const writer = new MessageWriter();
  writeFields(writer, schemaFields, schema);
  writeExtensions(writer, 31, schema);
  return writer.finish();
}

/** AdditionalPropertiesItem{schema = 1, boolean = 2} */
function writeAdditionalProperties(writer: WireWriter, number: number, value: unknown): void {
  writeMessage(writer, number, (item) => {
    if (typeof value === "object" && value !== null) writeBytes(item, 1, encodeSchema(value as JsonObject));
    else {
      item.tag(2, wireVarint);
      item.integer(value === true ? 1 : 0);
    }
  });
}

/** TypeItem{value = 1} */
function writeType(writer: WireWriter, number: number, value: unknown): void {
  writeMessage(writer, number, (item) => writeStrings(item, 1, [value].flat()));
}

/** ItemsItem{schema = 1} */
function writeSchemaItems(writer: WireWriter, number: number, value: unknown): void {
  writeMessage(writer, number, (items) => writeSchemas(items, 1, [value].flat()));
}

function writeSchemas(writer: WireWriter, number: number, schemas: unknown): void {
  for (const schema of schemas as JsonObject[]) writeBytes(writer, number, encodeSchema(schema));
}

/** Properties{additional_properties = 1} */
function writeProperties(writer: WireWriter, number: number, value: unknown): void {
  writeMessage(writer, number, (properties) => {
    for (const [name, schema] of Object.entries(value as JsonObject)) {
      properties.bytesEntry(1, name, encodeSchema(schema as JsonObject));
    }
  });
}
