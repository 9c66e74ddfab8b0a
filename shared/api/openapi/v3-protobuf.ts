/**
 * OpenAPI 3.0 in protobuf, `application/com.github.proto-openapi.spec.v3@v1.0+protobuf`. Field numbers are those of
 * gnostic's OpenAPIv3.proto.
 */
import { type WireWriter, wireFixed64, wireVarint } from "../codec/wire.ts";
import { type Info, type Member, v3Security } from "./documents.ts";
import type { JsonObject } from "./models.ts";
import {
  type MessageField,
  MessageWriter,
  named,
  writeAnys,
  writeBoolean,
  writeBytes,
  writeDouble,
  writeExtensions,
  writeFields,
  writeInteger,
  writeMessage,
  writeOrderedExtensions,
  writeString,
  writeStrings,
} from "./protobuf-messages.ts";

/** A member of `paths` as an entry of Paths. */
export function encodePath({ name, render }: Member): Uint8Array {
  return named(1, name, encodePathItem(render()));
}

/** A member of `components.schemas` as an entry of SchemasOrReferences. */
export function encodeSchemaMember({ name, render }: Member): Uint8Array {
  return named(1, name, encodeSchemaOrReference(render()));
}

/** The whole Document around entries made by encodePath and encodeSchemaMember. */
export function encodeDocument(info: Info, paths: readonly Uint8Array[], schemas: readonly Uint8Array[]): Buffer {
  const writer = new MessageWriter();
  writeString(writer, 1, "3.0.0");
  writeMessage(writer, 2, (message) => {
    writeString(message, 1, info.title);
    writeString(message, 6, info.version);
  });
  writeBytes(writer, 4, Buffer.concat(paths));
  writeMessage(writer, 5, (components) => {
    if (schemas.length > 0) writeBytes(components, 1, Buffer.concat(schemas));
    const schemes = Object.entries(v3Security(info));
    if (schemes.length === 0) return;
    writeMessage(components, 7, (message) => {
      for (const [name, scheme] of schemes) message.bytesEntry(1, name, encodeSecurityScheme(scheme));
    });
  });
  return Buffer.from(writer.finish());
}

/** SecuritySchemeOrReference{security_scheme = 1} */
function encodeSecurityScheme(scheme: ReturnType<typeof v3Security>[string]): Uint8Array {
  const writer = new MessageWriter();
  const { type, description, name, in: place } = scheme;
  writeMessage(writer, 1, (message) => {
    for (const [index, value] of [type, description, name, place].entries()) writeString(message, index + 1, value);
  });
  return writer.finish();
}

const methodNumbers = { get: 4, put: 5, post: 6, delete: 7, options: 8, head: 9, patch: 10 } as const;

function encodePathItem(item: JsonObject): Uint8Array {
  const writer = new MessageWriter();
  for (const [method, number] of Object.entries(methodNumbers)) {
    const operation = item[method] as JsonObject | undefined;
    if (operation) writeMessage(writer, number, (message) => fillOperation(message, operation));
  }
  writeParameters(writer, 13, item["parameters"]);
  return writer.finish();
}

function fillOperation(writer: MessageWriter, operation: JsonObject): void {
  writeStrings(writer, 1, operation["tags"]);
  writeString(writer, 3, operation["description"]);
  writeString(writer, 5, operation["operationId"]);
  writeParameters(writer, 6, operation["parameters"]);
  const body = operation["requestBody"] as JsonObject | undefined;
  // RequestBodyOrReference{request_body = 1}
  if (body) {
    writeMessage(writer, 7, (either) =>
      writeMessage(either, 1, (message) => {
        writeContent(message, 2, body["content"]);
        writeBoolean(message, 3, body["required"]);
      }),
    );
  }
  writeMessage(writer, 8, (responses) => {
    for (const [code, response] of Object.entries(operation["responses"] as JsonObject)) {
      responses.bytesEntry(2, code, encodeResponse(response as JsonObject));
    }
  });
  writeOrderedExtensions(writer, 13, operation);
}

/** ResponseOrReference{response = 1} */
function encodeResponse(response: JsonObject): Uint8Array {
  const writer = new MessageWriter();
  writeMessage(writer, 1, (message) => {
    writeString(message, 1, response["description"]);
    writeContent(message, 3, response["content"]);
  });
  return writer.finish();
}

/** MediaTypes{additional_properties = 1}, MediaType{schema = 1} */
function writeContent(writer: MessageWriter, number: number, content: unknown): void {
  if (content === undefined) return;
  writeMessage(writer, number, (types) => {
    for (const [type, { schema }] of Object.entries(content as Record<string, { schema: JsonObject }>)) {
      const mediaType = new MessageWriter();
      writeBytes(mediaType, 1, encodeSchemaOrReference(schema));
      types.bytesEntry(1, type, mediaType.finish());
    }
  });
}

/** ParameterOrReference{parameter = 1} */
function writeParameters(writer: MessageWriter, number: number, parameters: unknown): void {
  for (const parameter of (parameters ?? []) as readonly JsonObject[]) {
    writeMessage(writer, number, (either) =>
      writeMessage(either, 1, (message) => {
        writeString(message, 1, parameter["name"]);
        writeString(message, 2, parameter["in"]);
        writeString(message, 3, parameter["description"]);
        writeBoolean(message, 4, parameter["required"]);
        writeBytes(message, 10, encodeSchemaOrReference(parameter["schema"] as JsonObject));
      }),
    );
  }
}

const schemaFields: readonly MessageField[] = [
  ["nullable", 1, writeBoolean],
  ["title", 9, writeString],
  ["multipleOf", 10, writeDouble],
  ["maximum", 11, writeDouble],
  ["exclusiveMaximum", 12, writeBoolean],
  ["minimum", 13, writeDouble],
  ["exclusiveMinimum", 14, writeBoolean],
  ["maxLength", 15, writeInteger],
  ["minLength", 16, writeInteger],
  ["pattern", 17, writeString],
  ["maxItems", 18, writeInteger],
  ["minItems", 19, writeInteger],
  ["uniqueItems", 20, writeBoolean],
  ["maxProperties", 21, writeInteger],
  ["minProperties", 22, writeInteger],
  ["required", 23, writeStrings],
  ["enum", 24, writeAnys],
  ["type", 25, writeString],
  ["allOf", 26, writeSchemas],
  ["oneOf", 27, writeSchemas],
  ["anyOf", 28, writeSchemas],
  ["not", 29, (writer, number, value) => writeBytes(writer, number, encodeSchema(value as JsonObject))],
  ["items", 30, writeItems],
  ["properties", 31, writeProperties],
  ["additionalProperties", 32, writeAdditionalProperties],
  ["default", 33, writeDefault],
  ["description", 34, writeString],
  ["format", 35, writeString],
];

function encodeSchema(schema: JsonObject): Uint8Array {
  const writer = new MessageWriter();
  writeFields(writer, schemaFields, schema);
  writeExtensions(writer, 36, schema);
  return writer.finish();
}

/** SchemaOrReference{schema = 1, reference = 2}, Reference{_ref = 1} */
function encodeSchemaOrReference(schema: JsonObject): Uint8Array {
  const writer = new MessageWriter();
  if (schema["$ref"] === undefined) writeBytes(writer, 1, encodeSchema(schema));
  else writeMessage(writer, 2, (reference) => writeString(reference, 1, schema["$ref"]));
  return writer.finish();
}

function writeSchemas(writer: WireWriter, number: number, schemas: unknown): void {
  for (const schema of schemas as readonly JsonObject[]) writeBytes(writer, number, encodeSchemaOrReference(schema));
}

/** ItemsItem{schema_or_reference = 1} */
function writeItems(writer: WireWriter, number: number, schema: unknown): void {
  writeMessage(writer, number, (item) => writeSchemas(item, 1, [schema]));
}

/** Properties{additional_properties = 1} */
function writeProperties(writer: WireWriter, number: number, properties: unknown): void {
  writeMessage(writer, number, (message) => {
    for (const [name, schema] of Object.entries(properties as Record<string, JsonObject>)) {
      message.bytesEntry(1, name, encodeSchemaOrReference(schema));
    }
  });
}

/** AdditionalPropertiesItem{schema_or_reference = 1, boolean = 2} */
function writeAdditionalProperties(writer: WireWriter, number: number, value: unknown): void {
  writeMessage(writer, number, (item) => {
    if (typeof value === "object" && value !== null) writeSchemas(item, 1, [value]);
    else writeCase(item, 2, value === true);
  });
}

/** DefaultType{number = 1, boolean = 2, string = 3}, empty for any other value. */
function writeDefault(writer: WireWriter, number: number, value: unknown): void {
  writeMessage(writer, number, (item) => {
    if (typeof value === "string") writeBytes(item, 3, Buffer.from(value));
    else if (typeof value === "boolean") writeCase(item, 2, value);
    else if (typeof value === "number") {
      item.tag(1, wireFixed64);
      item.double(value);
    }
  });
}

/** A boolean that is one case of several is written when it is false too. */
function writeCase(writer: WireWriter, number: number, value: boolean): void {
  writer.tag(number, wireVarint);
  writer.integer(value ? 1 : 0);
}
