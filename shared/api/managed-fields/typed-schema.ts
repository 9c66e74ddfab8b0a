/**
 * The view of a Schema that field management walks by: which values are atomic, which lists are keyed and how. Made from
 * Schemas as kube-openapi's schemaconv makes structured-merge-diff's schema from OpenAPI, one level at a time as values need it.
 */

import { isRawNumber } from "../codec/number.ts";
import { isJsonObject } from "../patch/json-value.ts";
import { type Schema, schemaFor } from "../schema/schema.ts";
import { compareBytes } from "../selector/go-quote.ts";

export type Scalar = "numeric" | "string" | "boolean" | "untyped";
export type Shape = "map" | "scalar" | "list";

/** What a value may be here. A free-form value may be all three, and what it is tells. */
export interface Atom {
  readonly scalar?: Scalar | undefined;
  readonly list?: ListAtom | undefined;
  readonly map?: MapAtom | undefined;
}

export interface ListAtom {
  /** Replaced as a whole; else `keys` tell elements apart, or the elements themselves in a set (no keys). */
  readonly isAtomic: boolean;
  /** As declared. */
  readonly keys: readonly string[];
  readonly sortedKeys: readonly string[];
  /** Default of a key field that an element leaves out. */
  keyDefault(key: string): unknown;
  readonly element: Atom;
}

export interface MapAtom {
  readonly isAtomic: boolean;
  /** The field is declared by name. */
  declares(field: string): boolean;
  /** Declared field or value of a map; undefined where the schema allows no such field. */
  fieldAtom(field: string): Atom | undefined;
  /** Free-form: nothing is declared and any value may stand in it. */
  readonly isFreeForm: boolean;
}

/** The shape by which a value is handled; undefined when the atom allows nothing. */
export function shapeOf(atom: Atom, value: unknown): Shape | undefined {
  if (Array.isArray(value)) {
    if (atom.list) return "list";
  } else if (value !== undefined && value !== null && (typeof value !== "object" || isRawNumber(value))) {
    if (atom.scalar) return "scalar";
  } else if (isJsonObject(value) && atom.map) return "map";
  return atom.map ? "map" : atom.scalar ? "scalar" : atom.list ? "list" : undefined;
}

/** Whether the value's own shape narrowed the atom: null and absent values leave a free-form atom open. */
export function isOpen(atom: Atom, value: unknown): boolean {
  const isSingle =
    Number(atom.map !== undefined) + Number(atom.scalar !== undefined) + Number(atom.list !== undefined) === 1;
  return !isSingle && (value === undefined || value === null);
}

/** Any JSON, all of it one atomic value. */
const untypedAtomic: Atom = {
  scalar: "untyped",
  list: atomicList(() => untypedAtomic),
  map: {
    isAtomic: true,
    isFreeForm: false,
    declares: () => false,
    fieldAtom: () => untypedAtomic,
  },
};

/** Any JSON: objects member by member, lists atomic. Custom resources without a schema are this. */
export const deducedAtom: Atom = {
  scalar: "untyped",
  list: atomicList(() => untypedAtomic),
  map: {
    isAtomic: false,
    isFreeForm: true,
    declares: () => false,
    fieldAtom: () => deducedAtom,
  },
};

function atomicList(element: () => Atom): ListAtom {
  return {
    isAtomic: true,
    keys: [],
    sortedKeys: [],
    keyDefault: () => undefined,
    get element() {
      return element();
    },
  };
}

const plainAtoms = new WeakMap<Schema, Atom>();
const preservingAtoms = new WeakMap<Schema, Atom>();
const rootAtoms = new WeakMap<Schema, Atom>();
const stringAtom: Atom = { scalar: "string" };
const untypedScalar: Atom = { scalar: "untyped" };

/** The atom of a kind. An object of a custom resource has the ordinary metadata whatever its schema says. */
export function rootAtom(schema: Schema | undefined): Atom {
  if (schema === undefined) return deducedAtom;
  let atom = rootAtoms.get(schema);
  if (atom === undefined) {
    atom = schema.model === undefined ? withObjectMeta(atomOf(schema, false)) : atomOf(schema, false);
    rootAtoms.set(schema, atom);
  }
  return atom;
}

function atomOf(schema: Schema, preservesUnknown: boolean): Atom {
  const cache = preservesUnknown ? preservingAtoms : plainAtoms;
  let atom = cache.get(schema);
  if (atom === undefined) {
    atom = makeAtom(schema, preservesUnknown);
    if (schema.embeddedResource) atom = withObjectMeta(atom);
    cache.set(schema, atom);
  }
  return atom;
}

function makeAtom(schema: Schema, inheritsPreserve: boolean): Atom {
  switch (schema.goType) {
    case "quantity":
    case "time":
    case "microTime":
    case "intOrString":
      return untypedScalar;
    case "rawExtension":
      return untypedAtomic;
    case "fieldsV1":
      return { map: deducedAtom.map };
    case "json":
    case "schemaOrBool":
    case "schemaOrArray":
    case "schemaOrStrings":
      return deducedAtom;
    default:
  }
  const preserves = schema.model === undefined && (inheritsPreserve || schema.preserveUnknownFields);
  switch (schema.type) {
    case "object":
      return { map: new SchemaMap(schema, preserves) };
    case "array":
      return { list: new SchemaList(schema, preserves) };
    case "integer":
    case "number":
      return { scalar: "numeric" };
    case "boolean":
      return { scalar: "boolean" };
    case "string":
      // Go names strings of any format but `byte` untyped: a date or an int-or-string is checked elsewhere.
      return schema.format === undefined || schema.format === "" || schema.format === "byte"
        ? stringAtom
        : untypedScalar;
    case "any":
      return { scalar: "untyped", list: new SchemaList(schema, preserves), map: new SchemaMap(schema, preserves) };
  }
}

class SchemaMap implements MapAtom {
  readonly isAtomic: boolean;
  readonly #properties: ReadonlyMap<string, Schema> | undefined;
  readonly #value: Atom | undefined;
  readonly #preserves: boolean;

  constructor(schema: Schema, preserves: boolean) {
    this.isAtomic = schema.mapType === "atomic";
    this.#properties = schema.properties;
    this.#preserves = preserves;
    if (schema.additionalProperties) this.#value = atomOf(schema.additionalProperties, preserves);
    else if (preserves || !schema.properties || schema.properties.size === 0) this.#value = deducedAtom;
  }

  get isFreeForm(): boolean {
    return this.#value === deducedAtom && (this.#properties === undefined || this.#properties.size === 0);
  }

  declares(field: string): boolean {
    return this.#properties?.has(field) ?? false;
  }

  fieldAtom(field: string): Atom | undefined {
    const property = this.#properties?.get(field);
    return property ? atomOf(property, this.#preserves) : this.#value;
  }
}

class SchemaList implements ListAtom {
  readonly isAtomic: boolean;
  readonly keys: readonly string[];
  readonly sortedKeys: readonly string[];
  readonly element: Atom;
  readonly #items: Schema | undefined;

  constructor(schema: Schema, preserves: boolean) {
    this.#items = schema.items;
    this.element = schema.items ? atomOf(schema.items, preserves) : untypedAtomic;
    const merges = schema.listType === undefined && (schema.patchStrategy?.includes("merge") ?? false);
    this.isAtomic = schema.listType === undefined ? !merges : schema.listType === "atomic";
    if (schema.listType === "map") this.keys = schema.listMapKeys ?? [];
    else this.keys = merges && schema.patchMergeKey ? [schema.patchMergeKey] : [];
    this.sortedKeys = this.keys.toSorted(compareBytes);
  }

  keyDefault(key: string): unknown {
    return this.#items?.properties?.get(key)?.default;
  }
}

/** An object's atom with apiVersion, kind and metadata as every object has them. */
function withObjectMeta(atom: Atom): Atom {
  const { map } = atom;
  if (map === undefined) return atom;
  const metadata = objectMetaAtom();
  const common = (field: string): Atom | undefined =>
    field === "metadata" ? metadata : field === "apiVersion" || field === "kind" ? stringAtom : undefined;
  return {
    ...atom,
    map: {
      isAtomic: map.isAtomic,
      isFreeForm: false,
      declares: (field) => common(field) !== undefined || map.declares(field),
      fieldAtom: (field) => common(field) ?? map.fieldAtom(field),
    },
  };
}

function objectMetaAtom(): Atom {
  const schema = schemaFor({ group: "", version: "v1", kind: "Pod" })?.properties?.get("metadata");
  return schema ? atomOf(schema, false) : deducedAtom;
}
