/**
 * A document of OpenAPI 2 told in OpenAPI 3, for API servers that publish only that. What upstream's conversion leaves as it is
 * or leaves out, this one does too: clients read both. Pure.
 */
import { isJsonObject } from "../patch/json-value.ts";
import type { Info, Member } from "./documents.ts";
import { extensionsOf, type ForeignDocument, referenceTo, withoutExtensions } from "./foreign-document.ts";
import type { JsonObject } from "./models.ts";
import { encodeDocument, encodePath, encodeSchemaMember } from "./v3-protobuf.ts";

export function convertedDocument(document: ForeignDocument & JsonObject): JsonObject {
  const { info, externalDocs, produces, paths, definitions } = document;
  const responses = objectOf(document["responses"]);
  const schemes = objectOf(document["securityDefinitions"]);
  const components = {
    ...(Object.keys(definitions).length > 0 ? { schemas: mapped(definitions, schemaOf) } : {}),
    ...(responses ? { responses: mapped(responses, (each) => responseOf(each, produces)) } : {}),
    ...(schemes ? { securitySchemes: mapped(schemes, securitySchemeOf) } : {}),
  };
  return {
    openapi: "3.0.0",
    info,
    ...("paths" in document ? { paths: mappedBeside(paths, pathItemOf) } : {}),
    components,
    ...(externalDocs ? { externalDocs } : {}),
  };
}

/** The JSON of a converted document in protobuf. */
export function encodedConverted(text: Buffer): Buffer {
  const { info, paths, components } = JSON.parse(text.toString()) as {
    readonly info: Info;
    readonly paths?: JsonObject;
    readonly components: { readonly schemas?: JsonObject };
  };
  const members = (values: JsonObject = {}): Member[] =>
    Object.entries(withoutExtensions(values)).map(([name, each]) => ({ name, render: () => each as JsonObject }));
  return encodeDocument(info, members(paths).map(encodePath), members(components.schemas).map(encodeSchemaMember));
}

const objectOf = (value: unknown): Record<string, JsonObject> | undefined =>
  isJsonObject(value) ? (value as Record<string, JsonObject>) : undefined;

function mapped(members: Readonly<Record<string, unknown>>, map: (member: JsonObject) => JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(members).map(([name, each]) => [name, map(each as JsonObject)]));
}

/** For members among which extensions may stand. */
const mappedBeside = (members: JsonObject, map: (member: JsonObject) => JsonObject): JsonObject => ({
  ...mapped(withoutExtensions(members), map),
  ...extensionsOf(members),
});

/** Those of the members that there are. */
const picked = (object: JsonObject, names: readonly string[]): JsonObject =>
  Object.fromEntries(names.filter((name) => object[name] !== undefined).map((name) => [name, object[name]]));

const methods = new Set(["get", "put", "post", "delete", "options", "head", "patch"]);

const pathItemOf = (item: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(item).map(([name, value]) => {
      if (methods.has(name)) return [name, operationOf(value as JsonObject)];
      return [name, name === "parameters" ? (value as JsonObject[]).map(parameterOf) : value];
    }),
  );

function operationOf(operation: JsonObject): JsonObject {
  const { consumes, produces, responses } = operation;
  const parameters = (operation["parameters"] ?? []) as readonly JsonObject[];
  const body = parameters.findLast(isBody);
  const others = parameters.filter((each) => !isBody(each));
  return {
    ...picked(operation, ["tags", "summary", "description", "externalDocs", "operationId"]),
    ...(others.length > 0 ? { parameters: others.map(parameterOf) } : {}),
    ...(body ? { requestBody: contentOf(consumes, body["schema"] as JsonObject) } : {}),
    responses: mappedBeside((responses ?? {}) as JsonObject, (each) => responseOf(each, produces)),
    ...picked(operation, ["deprecated"]),
    ...extensionsOf(operation),
  };
}

const isBody = ({ name, schema }: JsonObject): boolean => name === "body" && schema !== undefined;

function contentOf(mediaTypes: unknown, schema: JsonObject): JsonObject {
  if (!Array.isArray(mediaTypes) || mediaTypes.length === 0) return {};
  return { content: Object.fromEntries(mediaTypes.map((type: string) => [type, { schema: schemaOf(schema) }])) };
}

function responseOf(response: JsonObject, produces: unknown): JsonObject {
  const { schema, description, $ref: reference } = response;
  return {
    ...(reference === undefined ? {} : { $ref: reference }),
    ...extensionsOf(response),
    ...(description === undefined ? {} : { description }),
    ...(schema === undefined ? {} : contentOf(produces, schema as JsonObject)),
  };
}

function parameterOf(parameter: JsonObject): JsonObject {
  const { schema, type = "", format, uniqueItems, $ref: reference } = parameter;
  return {
    ...(typeof reference === "string"
      ? { $ref: reference.replace(referenceTo.parameters, "#/components/parameters/") }
      : {}),
    ...picked(parameter, ["name", "in", "description", "required", "allowEmptyValue"]),
    schema:
      schema === undefined
        ? { type, ...(format ? { format } : {}), ...(uniqueItems ? { uniqueItems } : {}) }
        : schemaOf(schema as JsonObject),
    ...extensionsOf(parameter),
  };
}

function securitySchemeOf(scheme: JsonObject): JsonObject {
  const { flow, authorizationUrl, tokenUrl, scopes } = scheme;
  return {
    ...picked(scheme, ["type", "description", "name", "in"]),
    ...(typeof flow === "string"
      ? { flows: { [flow]: picked({ authorizationUrl, tokenUrl, scopes }, flowMembers) } }
      : {}),
    ...extensionsOf(scheme),
  };
}

const flowMembers = ["authorizationUrl", "tokenUrl", "scopes"];

/** A reference may have no siblings in OpenAPI 3: it is wrapped where it has. */
function schemaOf(schema: JsonObject): JsonObject {
  const { $ref: reference, properties, items, additionalProperties, ...rest } = schema;
  const converted: JsonObject = {
    ...rest,
    ...(properties === undefined ? {} : { properties: mapped(properties as JsonObject, schemaOf) }),
    ...(items === undefined
      ? {}
      : { items: Array.isArray(items) ? items.map(schemaOf) : schemaOf(items as JsonObject) }),
    ...(additionalProperties === undefined
      ? {}
      : {
          additionalProperties: isJsonObject(additionalProperties)
            ? schemaOf(additionalProperties)
            : additionalProperties,
        }),
  };
  if (typeof reference !== "string") return converted;
  const own = { $ref: reference.replace(referenceTo.definitions, "#/components/schemas/") };
  return Object.keys(converted).length === 0 ? own : { ...converted, allOf: [own] };
}
