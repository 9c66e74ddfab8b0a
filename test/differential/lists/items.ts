/** Every list of a kind that its schema declares, and elements for it. Pure. */
import { parseApiVersion } from "#shared/api/object.ts";
import { type Schema, schemaFor } from "#shared/api/schema/schema.ts";
import type { Json } from "../wire/request.ts";
import { fieldsOfStruct, wordOf } from "./words.ts";

/** A field, with what it begins as where the object has none; or an element of the list that the steps before lead to. */
type Step = { readonly field: string; readonly begun: unknown } | { readonly element: unknown; readonly keys: Json };

export interface ListPlace {
  /** `Container.ports`: where it is declared. */
  readonly declared: string;
  readonly path: readonly Step[];
  readonly schema: Schema;
  /** What the sample has there. */
  readonly elements: readonly unknown[];
}

/** Lists in the fields of an object that are `wanted`. */
export function listsOf(object: Json, wanted: (field: string) => boolean): ListPlace[] {
  const schema = schemaFor({ ...parseApiVersion(String(object["apiVersion"])), kind: String(object["kind"]) });
  return [...(schema?.properties ?? [])]
    .filter(([field]) => wanted(field))
    .flatMap(([field, below]) => [
      ...listsAt(below, object[field], [{ field, begun: {} }], `${object["kind"]}.${field}`, []),
    ]);
}

function* listsAt(
  schema: Schema,
  value: unknown,
  path: readonly Step[],
  declared: string,
  within: readonly string[],
): Generator<ListPlace> {
  if (schema.type === "array" && schema.items) {
    const elements = Array.isArray(value) ? value : [];
    yield { declared, path, schema, elements };
    if (schema.items.type !== "object") return;
    const element = elements[0] ?? elementOf(schema, 0);
    yield* fieldsOf(schema.items, element, [...path, { element, keys: keysOf(schema, element as Json) }], within);
  } else if (schema.type === "object") yield* fieldsOf(schema, value, path, within);
}

/** `Container`, of a built-in struct. */
export const modelOf = (schema: Schema): string => schema.model?.split(".").at(-1) ?? "";

/** What the value has comes first: there most is allowed. Schemas refer to themselves: no model within itself. */
function* fieldsOf(
  schema: Schema,
  value: unknown,
  path: readonly Step[],
  within: readonly string[],
): Generator<ListPlace> {
  const model = modelOf(schema);
  if (within.includes(model)) return;
  const has = (name: string): number => Number((value as Json | undefined)?.[name] !== undefined);
  const fields = [...(schema.properties ?? [])].sort(([a], [b]) => has(b) - has(a));
  for (const [name, field] of fields) {
    const begun = field.type === "object" ? fieldsOfStruct(modelOf(field), 0) : undefined;
    const step = { field: name, begun };
    yield* listsAt(field, (value as Json | undefined)?.[name] ?? begun, [...path, step], `${model}.${name}`, [
      ...within,
      model,
    ]);
  }
}

const keysOf = ({ listMapKeys = [] }: Schema, element: Json): Json =>
  Object.fromEntries(listMapKeys.filter((key) => element[key] !== undefined).map((key) => [key, element[key]]));

/** The `n`th element of a list: the sample's where it has as many, otherwise like its first with other keys. */
export function elementOf(list: Schema, n: number, elements: readonly unknown[] = [], name = ""): unknown {
  if (elements[n] !== undefined) return elements[n];
  if (list.items === undefined) return {};
  const [first] = elements;
  const made = madeValue(list.items, n, list.listMapKeys ?? [], name);
  if (first === null || typeof first !== "object") return made;
  const model = modelOf(list.items);
  return Object.keys(fieldsOfStruct(model, n)).length > 0 ? made : { ...first, ...(made as Json) };
}

/** The same element in another's words: what is no key of it is changed where it can be. */
export function reworded({ items, listMapKeys = [] }: Schema, element: unknown): unknown {
  if (element === null || typeof element !== "object" || Array.isArray(element)) return element;
  const change = [...(items?.properties ?? [])].find(
    ([name, { type }]) =>
      !listMapKeys.includes(name) && name !== "name" && /^(string|integer)$/.test(type) && !wordOf(name, 0),
  );
  return change ? { ...element, [change[0]]: madeValue(change[1], 7, [], change[0]) } : element;
}

/** What a field of this name may well hold. */
export const likelyValue = (schema: Schema, name: string): unknown =>
  madeValue(schema, 0, schema.listMapKeys ?? [], name);

function madeValue(schema: Schema, n: number, keys: readonly string[], name = ""): unknown {
  const said = schema.enum ? schema.enum[n % schema.enum.length] : wordOf(name, n);
  if (said !== undefined && schema.type !== "array" && schema.type !== "object") return said;
  switch (schema.goType) {
    case "quantity":
      return `${n + 1}Gi`;
    case "time":
      return `2024-01-0${n + 1}T00:00:00Z`;
    case "microTime":
      return `2024-01-0${n + 1}T00:00:00.000000Z`;
    case "bytes":
      return "YQ==";
    case "intOrString":
      return n + 1;
  }
  switch (schema.type) {
    case "string":
      return `${name.toLowerCase() || "v"}-${n}`;
    case "integer":
    case "number":
      return n + 1;
    case "boolean":
      return n % 2 === 0;
    case "array":
      return [madeValue(schema.items ?? schema, n, [], name)];
    case "any":
      return { a: `v-${n}` };
    case "object":
      return objectOf(schema, n, keys);
  }
}

function objectOf(schema: Schema, n: number, keys: readonly string[]): Json {
  if (!schema.properties)
    return schema.additionalProperties ? { a: madeValue(schema.additionalProperties, n, []) } : {};
  const wanted = new Set([...keys, ...(schema.required ?? [])]);
  const fields = [...schema.properties]
    .filter(([key]) => wanted.has(key))
    .map(([key, field]) => [key, madeValue(field, n, field.listMapKeys ?? [], key)]);
  return { ...Object.fromEntries(fields), ...fieldsOfStruct(modelOf(schema), n) };
}

/** `object` with the list at its place; undefined takes it out. */
export function withList(object: Json, path: readonly Step[], list: readonly unknown[] | undefined): Json {
  return placed(object, path, list) as Json;
}

/** The list alone, with what tells its place. */
export function listAlone(path: readonly Step[], list: readonly unknown[]): Json {
  return path.reduceRight<unknown>(
    (inner, step) => ("field" in step ? { [step.field]: inner } : [{ ...step.keys, ...(inner as Json) }]),
    list,
  ) as Json;
}

function placed(value: unknown, [step, ...rest]: readonly Step[], list: readonly unknown[] | undefined): unknown {
  if (step === undefined) return list;
  if ("element" in step) {
    const [first = step.element, ...others] = Array.isArray(value) ? value : [];
    return [placed(first, rest, list), ...others];
  }
  const { [step.field]: before = step.begun, ...others } = (value ?? {}) as Json;
  const inner = placed(before, rest, list);
  return inner === undefined ? others : { ...others, [step.field]: inner };
}
