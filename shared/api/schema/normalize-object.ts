/**
 * What decoding into Go's types and encoding again does to an object: fields that the schema does not know are dropped
 * and named, types are checked, scalars take their canonical form, and zero values are written or left out as Go's
 * encoder would. For schemas of CustomResourceDefinitions the same walk prunes.
 */
import { type DecodedDocument, setField } from "../codec/json.ts";
import { isRawNumber } from "../codec/number.ts";
import { schemaOfModel, zeroValue } from "./built-in.ts";
import { eachField, eachItem, plainValue, sorted } from "./made-of.ts";
import {
  canonicalBase64,
  canonicalDuration,
  canonicalInteger,
  canonicalMicroTime,
  canonicalQuantityValue,
  canonicalTime,
  DecodeError,
  jsonTypeName,
} from "./scalars.ts";
import type { GoType, Schema } from "./schema.ts";

export { DecodeError } from "./scalars.ts";

export interface NormalizedObject {
  readonly object: Record<string, unknown>;
  /** Paths of fields that were dropped, in document order, each once, at most 100: `spec.containers[0].foo`. */
  readonly unknown: readonly string[];
  /** Those of them that a CustomResourceDefinition's schema prunes; the rest of a custom object's are in metadata, its own or
   *  that of an object inside it. */
  readonly pruned: ReadonlySet<string>;
  /** Paths of values that Go keeps as the text they came in, or hands to a decoder of their own: nobody reports what is in them. */
  readonly opaque: readonly string[];
}

const maxReports = 100;
/** Upstream tells of all fields that it prunes; deep ones in great number would be text without end. */
const MAX_PRUNED_CHARACTERS = 1024 * 1024;
const schemaProps = "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

export interface NormalizeOptions {
  readonly earlier?: DecodedDocument["earlier"];
  /** The object is given away: free-form values, maps and lists that are in normal form already become part of the result, where
   *  they would be copied otherwise. A body may have a million values. */
  readonly isOwned?: boolean;
}

/**
 * Normalises a decoded object; the input is not changed. Throws DecodeError with the message of Go's decoder
 * (`json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`), which belongs after
 * `Deployment in version "v1" cannot be handled as a Deployment: ` in a BadRequest.
 */
export function normalizeObject(schema: Schema, decoded: unknown, options: NormalizeOptions = {}): NormalizedObject {
  const walk = new Normalizer(options);
  if (typeof decoded !== "object" || decoded === null || Array.isArray(decoded) || isRawNumber(decoded)) {
    throw new DecodeError(
      `json: cannot unmarshal ${jsonTypeName(decoded)} into Go value of type ${goTypeName(schema)}`,
    );
  }
  const object = walk.value(schema, decoded) as Record<string, unknown>;
  return { object, unknown: walk.unknown, pruned: walk.pruned, opaque: walk.opaque };
}

/** What a zero-valued field of Go's type is in JSON, with the fields inside it that are always written. */
function zeroOf(schema: Schema): unknown {
  const zero = zeroValue(schema);
  return schema.properties && zero !== null ? new Normalizer().value(schema, {}) : zero;
}

const textForms = {
  string: (text: string) => text,
  bytes: canonicalBase64,
  time: canonicalTime,
  microTime: canonicalMicroTime,
  duration: canonicalDuration,
};

class Normalizer {
  readonly unknown: string[] = [];
  readonly pruned = new Set<string>();
  readonly opaque: string[] = [];
  private readonly earlier: DecodedDocument["earlier"];
  private readonly isOwned: boolean;
  private readonly names: string[] = [];
  /** The way to the value that is walked: fields, keys of maps, indices of lists. */
  private readonly steps: (string | number)[] = [];
  private struct: Schema | undefined;
  private quiet = 0;
  private prunedCharacters = 0;

  constructor({ earlier, isOwned = false }: NormalizeOptions = {}) {
    this.earlier = earlier;
    this.isOwned = isOwned;
  }

  value(schema: Schema, value: unknown): unknown {
    if (schema.goType) return this.scalar(schema, schema.goType, value);
    if (isStructural(schema)) return this.structural(schema, value);
    if (schema.type === "array") return this.array(schema, value);
    if (schema.type === "object" || schema.properties || schema.additionalProperties) return this.object(schema, value);
    return plainValue(value, this.isOwned);
  }

  private array(schema: Schema, value: unknown): unknown {
    const { items } = schema;
    if (!Array.isArray(value)) {
      if (value === null) return null;
      return this.mismatch(schema, value);
    }
    if (!items) return plainValue(value, this.isOwned);
    return this.each(value, (item) => (item === null ? zeroOf(items) : this.value(items, item)));
  }

  private each(values: readonly unknown[], normalized: (item: unknown) => unknown): readonly unknown[] {
    return eachItem(values, this.isOwned, (item, index) => {
      this.steps.push(index);
      const next = normalized(item);
      this.steps.pop();
      return next;
    });
  }

  private object(schema: Schema, value: unknown): unknown {
    if (typeof value !== "object" || value === null || Array.isArray(value) || isRawNumber(value)) {
      if (value === null) return null;
      return this.mismatch(schema, value);
    }
    const fields = value as Record<string, unknown>;
    if (schema.properties) return this.goStruct(schema, schema.properties, fields);
    return this.goMap(schema, fields);
  }

  private goStruct(schema: Schema, properties: ReadonlyMap<string, Schema>, fields: Record<string, unknown>): unknown {
    const given = Object.create(null) as Record<string, unknown>;
    const { struct } = this;
    for (const key in fields) {
      if (fields[key] === undefined) continue;
      this.steps.push(key);
      const property = properties.get(key);
      if (property === undefined) this.report();
      else {
        this.struct = schema;
        this.names.push(key);
        const value = this.earlier ? filledTwice(property, fields[key], this.earlier) : fields[key];
        if (value !== null) given[key] = this.value(property, value);
        this.names.pop();
      }
      this.steps.pop();
    }
    this.struct = struct;
    const result: Record<string, unknown> = {};
    for (const [name, property] of properties) {
      const value = given[name];
      // A pointer to a zero time is written as null, unlike a pointer to nothing.
      const isAbsent = value === undefined || (value === null && !(property.pointer && name in given));
      const written = isAbsent ? absent(property) : value;
      if (isAbsent ? written !== undefined : !isOmitted(property, written)) result[name] = written;
    }
    return result;
  }

  private goMap(schema: Schema, fields: Record<string, unknown>): unknown {
    const element = schema.additionalProperties;
    return eachField(fields, this.isOwned, (value, key) => {
      if (!element) return value;
      if (value === null) return zeroOf(element);
      this.steps.push(key);
      const next = this.value(element, value);
      this.steps.pop();
      return next;
    });
  }

  /** A node of a CRD's schema: pruned by the form that the value has, for types are left to validation. */
  private structural(schema: Schema, value: unknown): unknown {
    if (isRecord(value)) return this.structuralFields(schema, value);
    if (!Array.isArray(value)) return plainValue(value, this.isOwned);
    if (!schema.preserveUnknownFields) return this.each(value, (item) => this.value(schema.items ?? unspecified, item));
    if (!schema.items) return plainValue(value, this.isOwned);
    const items = { ...schema.items, preserveUnknownFields: true };
    return this.each(value, (item) => this.value(items, item));
  }

  /** Sorted by name. */
  private structuralFields(schema: Schema, fields: Record<string, unknown>): unknown {
    const made = (value: unknown, key: string): unknown => {
      this.steps.push(key);
      const next = this.structuralField(schema, key, value);
      this.steps.pop();
      return next;
    };
    return eachField(fields, this.isOwned, made, "asTheyStand");
  }

  /** undefined where it is pruned. */
  private structuralField(schema: Schema, key: string, value: unknown): unknown {
    // What an object has of its own is not for the schema around it, which may say no more of it than that it is there.
    const property = embedded(schema, key) ?? schema.properties?.get(key) ?? schema.additionalProperties;
    if (property && schema.embeddedResource && key === "metadata") return this.embeddedMetadata(property, value);
    if (property) return this.value(property, value);
    if (schema.preserveUnknownFields) return plainValue(value, this.isOwned);
    this.reportPruned();
    return undefined;
  }

  /** Read by a decoder of its own, which goes by names and tells the whole of what it cannot read. */
  private embeddedMetadata(schema: Schema, value: unknown): unknown {
    const given = isRecord(value) ? sorted(value) : value;
    const depth = this.steps.length;
    try {
      return this.value(schema, given);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.steps.length = depth;
      throw new DecodeError(`${this.path()}: Invalid value: ${JSON.stringify(given)}: ${error.message}`);
    }
  }

  private scalar(schema: Schema, type: GoType, value: unknown): unknown {
    switch (type) {
      case "string":
      case "bytes":
      case "time":
      case "microTime":
      case "duration":
        if (typeof value !== "string") return this.mismatch(schema, value, type === "bytes" ? "[]uint8" : "string");
        return textForms[type](value);
      case "bool":
        return typeof value === "boolean" ? value : this.mismatch(schema, value);
      case "int32":
      case "int64":
      case "uint32":
        return canonicalInteger(value, type) ?? this.mismatch(schema, value);
      case "float64":
        if (isRawNumber(value)) return Number(value.rawJSON);
        return typeof value === "number" ? value : this.mismatch(schema, value);
      case "quantity":
        return canonicalQuantityValue(value);
      case "intOrString":
        if (typeof value === "string") return value;
        return canonicalInteger(value, "int32") ?? this.mismatch(schema, value, "int32");
      case "rawExtension":
      case "fieldsV1":
      case "json":
        this.opaque.push(this.path());
        return value;
      case "schemaOrBool":
      case "schemaOrArray":
      case "schemaOrStrings":
        return this.schemaOr(type, value);
    }
  }

  private schemaOr(type: "schemaOrBool" | "schemaOrArray" | "schemaOrStrings", value: unknown): unknown {
    if (jsonTypeName(value) === "object") return this.nestedSchema(value);
    if (type === "schemaOrBool") {
      if (typeof value === "boolean") return value;
      throw new DecodeError("boolean or JSON schema expected");
    }
    if (!Array.isArray(value) || value.length === 0) return null;
    return type === "schemaOrArray" ? value.map((item) => this.nestedSchema(item)) : value;
  }

  /** A schema inside a schema is decoded by a decoder of its own that does not report unknown fields. */
  private nestedSchema(value: unknown): unknown {
    this.opaque.push(this.path());
    this.quiet++;
    const nested = this.value(schemaOfModel(schemaProps), value);
    this.quiet--;
    return nested;
  }

  private reportPruned(): void {
    if (this.quiet > 0 || this.prunedCharacters >= MAX_PRUNED_CHARACTERS) return;
    const path = this.path();
    this.prunedCharacters += path.length;
    this.unknown.push(path);
    this.pruned.add(path);
  }

  private report(): void {
    if (this.quiet > 0 || this.unknown.length >= maxReports) return;
    this.unknown.push(this.path());
  }

  /** `spec.containers[0].name`; put together when something is to be said of the place. */
  private path(): string {
    let path = "";
    for (const step of this.steps) {
      if (typeof step === "number") path += `[${step}]`;
      else path += path === "" ? step : `.${step}`;
    }
    return path;
  }

  private mismatch(schema: Schema, value: unknown, type = goTypeName(schema)): never {
    let found = jsonTypeName(value);
    if (found === "number" && isNumeric(type)) found = `number ${isRawNumber(value) ? value.rawJSON : String(value)}`;
    const where = this.names.length === 0 ? "value" : `struct field ${goName(this.struct)}.${this.names.join(".")}`;
    throw new DecodeError(`json: cannot unmarshal ${found} into Go ${where} of type ${type}`);
  }
}

/** A struct or map that a body gives more than once has what every time gave it; its maps' values are replaced whole. */
function filledTwice(schema: Schema, value: unknown, earlier: ReadonlyMap<object, object>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const before = earlier.get(value);
  if (before === undefined || schema.goType || isStructural(schema)) return value;
  const result: Record<string, unknown> = {};
  const older = filledTwice(schema, before, earlier) as Record<string, unknown>;
  for (const [key, item] of Object.entries(older)) setField(result, key, item);
  for (const [key, item] of Object.entries(value)) {
    const property = schema.properties?.get(key);
    const isObject = typeof item === "object" && item !== null && Object.hasOwn(older, key) && !earlier.has(item);
    setField(result, key, property && isObject ? filledOver(property, older[key], item, earlier) : item);
  }
  return result;
}

function filledOver(schema: Schema, before: unknown, value: object, earlier: ReadonlyMap<object, object>): unknown {
  const isMap = (each: unknown): each is object => typeof each === "object" && each !== null && !Array.isArray(each);
  if (!isMap(before) || !isMap(value)) return value;
  return filledTwice(schema, value, new Map([...earlier, [value, before]]));
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isRawNumber(value);

function isNumeric(goType: string): boolean {
  return /^(u?int(32|64)|float64)$/.test(goType);
}

/** Schemas of CRDs know nothing of Go: only built-in ones have models, Go types, and fields that say when to be written. */
function isStructural(schema: Schema): boolean {
  return schema.structural === true;
}

function embedded(schema: Schema, key: string): Schema | undefined {
  if (!schema.embeddedResource) return undefined;
  if (key === "metadata") return schemaOfModel("apimachinery.pkg.apis.meta.v1.ObjectMeta");
  return key === "apiVersion" || key === "kind" ? anyScalar : undefined;
}

const anyScalar: Schema = {
  type: "string",
  nullable: false,
  intOrString: false,
  preserveUnknownFields: true,
  embeddedResource: false,
  structural: true,
};

/** Of items that a schema says nothing of: no field of theirs is known. */
const unspecified: Schema = { ...anyScalar, preserveUnknownFields: false };

/** What is written for a field that was not given: undefined for nothing. */
function absent(schema: Schema): unknown {
  return schema.presence === "always" ? zeroOf(schema) : undefined;
}

function isOmitted(schema: Schema, value: unknown): boolean {
  if (schema.presence === undefined || schema.presence === "always") return false;
  if (schema.pointer) return false;
  if (value === null || schema.presence === "omitZero") return value === null;
  if (value === false || value === 0 || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return schema.additionalProperties !== undefined && Object.keys(value as object).length === 0;
}

function goName(schema: Schema | undefined): string {
  return schema?.model?.slice(schema.model.lastIndexOf(".") + 1) ?? "";
}

function goTypeName(schema: Schema): string {
  if (schema.model) return schema.model.split(".").slice(-2).join(".");
  if (schema.items) return `[]${goTypeName(schema.items)}`;
  if (schema.additionalProperties) return `map[string]${goTypeName(schema.additionalProperties)}`;
  return goTypeNames[schema.goType ?? "json"] ?? schema.goType ?? "interface {}";
}

const goTypeNames: { readonly [K in GoType]?: string } = {
  bytes: "[]uint8",
  time: "v1.Time",
  microTime: "v1.MicroTime",
  duration: "v1.Duration",
  quantity: "resource.Quantity",
  intOrString: "intstr.IntOrString",
  rawExtension: "runtime.RawExtension",
  json: "interface {}",
};
