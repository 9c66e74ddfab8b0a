/** How large values of an OpenAPI schema can be, given that a request has at most 3 MiB (apiserver's cel/common/schemas.go). */
import type { JSONSchemaProps } from "../api/types/apiextensions-v1.generated.ts";
import { escapedName } from "./schema-type.ts";

/** Fixed, whatever a server's own limit is: what a rule may cost does not depend on it. */
const REQUEST_BYTES = 3 * 1024 * 1024;

export interface DeclaredSize {
  /** Characters or items; 0 for what has none. */
  readonly max: number;
  /** Bytes of the shortest JSON text. */
  readonly least_bytes: number;
  /** Of items of a list and values of a map. */
  readonly element?: DeclaredSize | undefined;
  readonly key?: DeclaredSize | undefined;
  readonly fields?: ReadonlyMap<string, DeclaredSize> | undefined;
}

const plain = (least_bytes: number, max = 0): DeclaredSize => ({ max, least_bytes });
const anyText = plain(2, REQUEST_BYTES - 2);
const metadataSize: DeclaredSize = {
  ...plain(2),
  fields: new Map([
    ["name", anyText],
    ["generateName", anyText],
  ]),
};
const resourceFields = new Map([
  ["apiVersion", anyText],
  ["kind", anyText],
  ["metadata", metadataSize],
]);

/** Of texts with such a format. */
const formatSizes: Readonly<Record<string, DeclaredSize>> = {
  duration: plain(3, 32),
  date: plain(12, 12),
  "date-time": plain(21, 32),
};

const positive = (count: number): number => Math.max(count, 0);

/** undefined: expressions cannot look at it, as typeOfSchema says. */
export function sizeOfSchema(schema: JSONSchemaProps, isResource: boolean): DeclaredSize | undefined {
  if (schema["x-kubernetes-int-or-string"]) {
    return plain(1, schema.maxLength === undefined ? REQUEST_BYTES - 2 : positive(schema.maxLength) * 4);
  }
  switch (schema.type) {
    case "string":
      return textSize(schema);
    case "boolean":
      return plain(4);
    case "integer":
    case "number":
      return plain(1);
    case "array":
      return listSize(schema);
    case "object":
      return objectSize(schema, isResource || schema["x-kubernetes-embedded-resource"] === true);
    default:
      return undefined;
  }
}

function textSize({ format = "", maxLength, enum: values = [] }: JSONSchemaProps): DeclaredSize {
  const ofFormat = Object.hasOwn(formatSizes, format) ? formatSizes[format] : undefined;
  if (ofFormat) return ofFormat;
  // Bytes of characters; of encoded bytes each is one.
  if (maxLength !== undefined) return plain(2, positive(maxLength) * (format === "byte" ? 1 : 4));
  if (format === "byte" || values.length === 0) return anyText;
  return plain(2, Math.max(...values.map((each) => (typeof each === "string" ? Buffer.byteLength(each) : 0))));
}

function listSize({ items, maxItems }: JSONSchemaProps): DeclaredSize | undefined {
  if (!items || Array.isArray(items)) return undefined;
  const element = sizeOfSchema(items as JSONSchemaProps, false);
  if (!element) return undefined;
  const fitting = Math.floor((REQUEST_BYTES - 2) / (element.least_bytes + 1));
  return { ...plain(2, maxItems === undefined ? fitting : positive(maxItems)), element };
}

function objectSize(schema: JSONSchemaProps, isResource: boolean): DeclaredSize | undefined {
  const { properties = {}, additionalProperties, maxProperties, required = [] } = schema;
  if (typeof additionalProperties === "object") {
    const element = sizeOfSchema(additionalProperties, false);
    if (!element) return undefined;
    const fitting = Math.floor((REQUEST_BYTES - 2) / (element.least_bytes + 6));
    const max = maxProperties === undefined ? fitting : positive(maxProperties);
    return { ...plain(2, max), element, key: plain(2) };
  }
  const fields = new Map<string, DeclaredSize>();
  let least_bytes = 2;
  for (const [name, property] of Object.entries(properties)) {
    const size = sizeOfSchema(property, false);
    if (!size) continue;
    const escaped = escapedName(name);
    if (escaped !== undefined) fields.set(escaped, size);
    if (required.includes(name) && property.default === undefined) {
      least_bytes += Buffer.byteLength(name) + size.least_bytes + 4;
    }
  }
  if (isResource) for (const [name, size] of resourceFields) fields.set(name, size);
  return { ...plain(least_bytes), fields };
}

/** How often values of so many bytes can stand in one object at most. */
export const mostInRequest = (least_bytes: number): number => Math.floor(REQUEST_BYTES / (least_bytes + 1));

/** The part that a path leads to: names of fields, `@items`, `@values` and `@keys`. */
export function partOf(size: DeclaredSize | undefined, path: readonly string[]): DeclaredSize | undefined {
  let part = size;
  for (const step of path) {
    if (!part) return undefined;
    if (step === "@items" || step === "@values") part = part.element;
    else if (step === "@keys") part = part.key;
    else part = part.fields?.get(step);
  }
  return part;
}
