/**
 * Versions of a definition as upstream prints them in an error: its internal structs as JSON, by the names of their Go fields, with
 * all that is absent (pkg/apis/apiextensions/types.go of apiextensions-apiserver).
 */
import { equalJson, isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import type { CustomResourceDefinitionVersion } from "#shared/api/types/apiextensions-v1.generated.ts";

type Show = (value: unknown) => unknown;

/** A field as Go writes it: its name there where it is not its name in JSON, and what it is when it is absent. */
interface ShownField {
  readonly key: string;
  readonly name: string;
  readonly absent: unknown;
  readonly show: Show;
}

const asIs: Show = (value) => value;
const upper = (key: string): string => key.charAt(0).toUpperCase() + key.slice(1);

const field = (key: string, absent: unknown, show: Show = asIs, name = upper(key)): ShownField => ({
  key,
  name,
  absent,
  show,
});

const struct =
  (fields: () => readonly ShownField[]): Show =>
  (value) => {
    const given = (isJsonObject(value) ? value : {}) as JsonObject;
    return Object.fromEntries(
      fields().map(({ key, name, absent, show }) => {
        const own = given[key];
        return [name, own === undefined || own === null ? absent : show(own)];
      }),
    );
  };

const list =
  (show: Show): Show =>
  (value) =>
    Array.isArray(value) ? value.map(show) : value;

const map =
  (show: Show): Show =>
  (value) =>
    isJsonObject(value)
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, item]) => [key, show(item)]),
        )
      : value;

const schema: Show = struct(() => schemaFields);
const schemaOrList: Show = (value) =>
  Array.isArray(value)
    ? { Schema: null, JSONSchemas: value.map(schema) }
    : { Schema: schema(value), JSONSchemas: null };
const schemaOrBool: Show = (value) =>
  typeof value === "boolean" ? { Allows: value, Schema: null } : { Allows: true, Schema: schema(value) };
const schemaOrNames: Show = (value) =>
  Array.isArray(value) ? { Schema: null, Property: value } : { Schema: schema(value), Property: null };

const extension = (key: string, absent: unknown, name: string, show: Show = asIs): ShownField =>
  field(`x-kubernetes-${key}`, absent, show, `X${name}`);

const rule = struct(() => [
  field("rule", ""),
  field("message", ""),
  field("messageExpression", ""),
  field("reason", null),
  field("fieldPath", ""),
  field("optionalOldSelf", null),
]);

const texts = (...keys: string[]): ShownField[] => keys.map((key) => field(key, ""));
const nils = (...keys: string[]): ShownField[] => keys.map((key) => field(key, null));
const flags = (...keys: string[]): ShownField[] => keys.map((key) => field(key, false));
const schemas = (...keys: string[]): ShownField[] => keys.map((key) => field(key, null, list(schema)));

const schemaFields: readonly ShownField[] = [
  field("id", "", asIs, "ID"),
  field("$schema", "", asIs, "Schema"),
  field("$ref", null, asIs, "Ref"),
  ...texts("description", "type"),
  ...flags("nullable"),
  ...texts("format", "title"),
  ...nils("default", "maximum"),
  ...flags("exclusiveMaximum"),
  ...nils("minimum"),
  ...flags("exclusiveMinimum"),
  ...nils("maxLength", "minLength"),
  ...texts("pattern"),
  ...nils("maxItems", "minItems"),
  ...flags("uniqueItems"),
  ...nils("multipleOf", "enum", "maxProperties", "minProperties", "required"),
  field("items", null, schemaOrList),
  ...schemas("allOf", "oneOf", "anyOf"),
  field("not", null, schema),
  field("properties", null, map(schema)),
  field("additionalProperties", null, schemaOrBool),
  field("patternProperties", null, map(schema)),
  field("dependencies", null, map(schemaOrNames)),
  field("additionalItems", null, schemaOrBool),
  field("definitions", null, map(schema)),
  field(
    "externalDocs",
    null,
    struct(() => [...texts("description"), field("url", "", asIs, "URL")]),
  ),
  ...nils("example"),
  extension("preserve-unknown-fields", null, "PreserveUnknownFields"),
  extension("embedded-resource", false, "EmbeddedResource"),
  extension("int-or-string", false, "IntOrString"),
  extension("list-map-keys", null, "ListMapKeys"),
  extension("list-type", null, "ListType"),
  extension("map-type", null, "MapType"),
  extension("validations", null, "Validations", list(rule)),
];

const scale = struct(() => [...texts("specReplicasPath", "statusReplicasPath"), ...nils("labelSelectorPath")]);
const column = struct(() => [
  ...texts("name", "type", "format", "description"),
  field("priority", 0),
  field("jsonPath", "", asIs, "JSONPath"),
]);
const selectable = struct(() => [field("jsonPath", "", asIs, "JSONPath")]);

const version = struct(() => [
  ...texts("name"),
  ...flags("served", "storage", "deprecated"),
  ...nils("deprecationWarning"),
  field(
    "schema",
    null,
    struct(() => [field("openAPIV3Schema", null, schema)]),
  ),
  field(
    "subresources",
    null,
    struct(() => [field("status", null), field("scale", null, scale)]),
  ),
  field("additionalPrinterColumns", null, list(column)),
  field("selectableFields", null, list(selectable)),
]);

const shared = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"] as const;

/** What all versions have alike stands above them in upstream's internal form. */
export function shownVersions(versions: readonly CustomResourceDefinitionVersion[] | undefined): unknown {
  if (versions === undefined) return null;
  const [first] = versions;
  const alike = shared.filter((key) => versions.every((each) => equalJson(each[key], first?.[key])));
  return versions.map((each) => version({ ...each, ...Object.fromEntries(alike.map((key) => [key, undefined])) }));
}
