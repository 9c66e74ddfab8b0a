/** The CEL type of a kind's objects, for the type check of policies. */
import { schemaOfModel } from "#shared/api/schema/built-in.ts";
import type { GoType, Schema } from "#shared/api/schema/schema.ts";
import { fieldNames, formats } from "#shared/cel/schema-type.ts";
import { bool, bytes, double, dyn, int, listOf, mapOf, string, type Type, timestamp } from "#shared/cel/types.ts";

/** @param kind names the type in what is found wrong. */
export function typeOfKind(schema: Schema, kind: string): Type {
  const properties = new Map(schema.properties);
  // Schemas of custom kinds do not say it.
  if (!properties.get("metadata")?.properties?.has("labels")) properties.set("metadata", metadata());
  return { kind: "object", name: kind, fields: new LazyFields(properties, kind) };
}

const metadata = (): Schema => schemaOfModel("apimachinery.pkg.apis.meta.v1.ObjectMeta");

const empty: Type = { kind: "object", name: "object", fields: new Map() };

/** Absent: upstream publishes no one type for it, so that expressions cannot look at it. */
const goTypes: Readonly<Partial<Record<GoType, Type>>> = {
  string,
  int32: int,
  int64: int,
  uint32: int,
  float64: double,
  bool,
  bytes,
  time: timestamp,
  microTime: timestamp,
  duration: string,
  intOrString: dyn,
  rawExtension: empty,
  fieldsV1: empty,
};

const scalars: Readonly<Partial<Record<Schema["type"], Type>>> = { boolean: bool, integer: int, number: double };

/** Schemas refer to themselves, so fields are looked at when they are asked for. */
function typeOf(schema: Schema, path: string): Type | undefined {
  if (schema.intOrString) return dyn;
  if (schema.goType !== undefined) return goTypes[schema.goType];
  if (schema.type === "string") return formats[schema.format ?? ""] ?? string;
  if (schema.type === "array") {
    const element = schema.items && typeOf(schema.items, `${path}.@idx`);
    return element && listOf(element);
  }
  if (schema.type !== "object") return scalars[schema.type];
  if (schema.additionalProperties) {
    const value = typeOf(schema.additionalProperties, `${path}.@prop`);
    return value && mapOf(string, value);
  }
  return { kind: "object", name: path, fields: new LazyFields(schema.properties ?? new Map(), path) };
}

class LazyFields extends Map<string, Type> {
  readonly #properties: ReadonlyMap<string, Schema>;
  readonly #path: string;
  /** JSON names by what expressions write. */
  #names: ReadonlyMap<string, string> | undefined;

  constructor(properties: ReadonlyMap<string, Schema>, path: string) {
    super();
    this.#properties = properties;
    this.#path = path;
  }

  override get(written: string): Type | undefined {
    const known = super.get(written);
    if (known) return known;
    this.#names ??= new Map(
      [...this.#properties.keys()].flatMap((name) => fieldNames(name).map((each) => [each, name] as const)),
    );
    const name = this.#names.get(written);
    const property = name === undefined ? undefined : this.#properties.get(name);
    const made = property && typeOf(property, `${this.#path}.${name}`);
    if (made) this.set(written, made);
    return made;
  }
}
