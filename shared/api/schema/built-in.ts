import type { GroupVersionKind } from "../object.ts";
import { type FieldFacts, type ModelFacts, modelFacts, modelOfKind, type TypeExpression } from "./facts.ts";
import type { GoType, Presence, Schema, SchemaType } from "./schema.ts";

const roots = new Map<string, Schema>();
const propertiesOf = new Map<string, ReadonlyMap<string, Schema>>();

/** Schema of a built-in kind from the generated facts; the same object for every call. */
export function builtInSchema(gvk: GroupVersionKind): Schema | undefined {
  const model = modelOfKind(gvk);
  return model === undefined ? undefined : schemaOfModel(model);
}

/** Schema of a model by its short name, `api.core.v1.PodSpec`; throws RangeError when there is none. */
export function schemaOfModel(model: string): Schema {
  let schema = roots.get(model);
  if (!schema) {
    modelFacts(model);
    schema = new BuiltInSchema({ kind: "model", model }, undefined, undefined);
    roots.set(model, schema);
  }
  return schema;
}

/** Fields of a model as they stand in JSON, those of inlined structs in their place. */
export function jsonFields(model: ModelFacts): FieldFacts[] {
  return model.fields.flatMap((field) =>
    field.flags.includes("i") && field.type.kind === "model" ? jsonFields(modelFacts(field.type.model)) : [field],
  );
}

const scalarForms: { readonly [K in GoType]: { type: SchemaType; format?: string; zero: unknown } } = {
  string: { type: "string", zero: "" },
  int32: { type: "integer", format: "int32", zero: 0 },
  int64: { type: "integer", format: "int64", zero: 0 },
  uint32: { type: "integer", format: "int64", zero: 0 },
  float64: { type: "number", format: "double", zero: 0 },
  bool: { type: "boolean", zero: false },
  bytes: { type: "string", format: "byte", zero: null },
  time: { type: "string", format: "date-time", zero: null },
  microTime: { type: "string", format: "date-time", zero: null },
  duration: { type: "string", zero: "0s" },
  quantity: { type: "any", zero: "0" },
  intOrString: { type: "any", format: "int-or-string", zero: 0 },
  rawExtension: { type: "object", zero: null },
  fieldsV1: { type: "object", zero: null },
  json: { type: "any", zero: null },
  schemaOrBool: { type: "any", zero: null },
  schemaOrArray: { type: "any", zero: null },
  schemaOrStrings: { type: "any", zero: null },
};

/** What Go writes for a field of this type that was not given. A struct is an empty object whose own fields follow. */
export function zeroValue(schema: Schema): unknown {
  if (schema.pointer) return null;
  if (schema.goType) return scalarForms[schema.goType].zero;
  return schema.properties ? {} : null;
}

/** One occurrence of a type: as a root, a field, or the element of a list or map. Parts are made when first read. */
class BuiltInSchema implements Schema {
  readonly nullable = true;
  readonly embeddedResource = false;
  // What walkers of every object ask for is worked out once.
  readonly type: SchemaType;
  readonly goType: GoType | undefined;
  readonly model: string | undefined;
  readonly presence: Presence | undefined;
  readonly pointer: boolean | undefined;
  private readonly expression: TypeExpression;
  private readonly field: FieldFacts | undefined;
  private readonly elementOf: FieldFacts | undefined;
  private element: Schema | undefined;
  private fields: ReadonlyMap<string, Schema> | undefined;
  private requiredNames: readonly string[] | undefined;

  constructor(expression: TypeExpression, field: FieldFacts | undefined, elementOf: FieldFacts | undefined) {
    this.expression = expression;
    this.field = field;
    this.elementOf = elementOf;
    this.goType = expression.kind === "scalar" ? expression.scalar : undefined;
    this.type = this.goType ? scalarForms[this.goType].type : expression.kind === "list" ? "array" : "object";
    this.model = expression.kind === "model" ? `io.k8s.${expression.model}` : undefined;
    this.presence = field && presenceOf(field);
    this.pointer = field?.flags.includes("p");
  }

  get format(): string | undefined {
    return this.expression.kind === "scalar" ? scalarForms[this.expression.scalar].format : undefined;
  }

  get properties(): ReadonlyMap<string, Schema> | undefined {
    if (this.fields || this.expression.kind !== "model") return this.fields;
    const { model } = this.expression;
    let properties = propertiesOf.get(model);
    if (!properties) {
      properties = new Map(
        jsonFields(modelFacts(model)).map((field) => [field.name, new BuiltInSchema(field.type, field, undefined)]),
      );
      propertiesOf.set(model, properties);
    }
    this.fields = properties;
    return properties;
  }

  get additionalProperties(): Schema | undefined {
    return this.expression.kind === "map" ? this.elementSchema(this.expression.element) : undefined;
  }

  get items(): Schema | undefined {
    return this.expression.kind === "list" ? this.elementSchema(this.expression.element) : undefined;
  }

  private elementSchema(expression: TypeExpression): Schema {
    this.element ??= new BuiltInSchema(expression, undefined, this.field ?? this.elementOf);
    return this.element;
  }

  get required(): readonly string[] | undefined {
    if (this.expression.kind !== "model") return undefined;
    this.requiredNames ??= jsonFields(modelFacts(this.expression.model))
      .filter((field) => field.flags.includes("r"))
      .map((field) => field.name);
    return this.requiredNames;
  }

  get enum(): readonly unknown[] | undefined {
    return this.field?.more.enum;
  }

  get default(): unknown {
    if (this.field?.more.default !== undefined) return this.field.more.default;
    const hasZero = this.field ? this.field.flags.includes("d") : (this.elementOf?.flags.includes("e") ?? false);
    if (!hasZero) return undefined;
    if (this.expression.kind === "scalar") return scalarForms[this.expression.scalar].zero;
    return this.expression.kind === "model" ? {} : undefined;
  }

  get listType(): "atomic" | "set" | "map" | undefined {
    return this.field?.more.listType;
  }

  get listMapKeys(): readonly string[] | undefined {
    return this.field?.more.listMapKeys;
  }

  get mapType(): "atomic" | "granular" | undefined {
    if (this.field?.more.mapType) return this.field.more.mapType;
    return this.expression.kind === "model" ? modelFacts(this.expression.model).mapType : undefined;
  }

  get patchStrategy(): readonly ("merge" | "replace" | "retainKeys")[] | undefined {
    return this.field?.more.patchStrategy;
  }

  get patchMergeKey(): string | undefined {
    return this.field?.more.patchMergeKey;
  }

  get intOrString(): boolean {
    return this.goType === "intOrString";
  }

  get preserveUnknownFields(): boolean {
    return this.goType === "rawExtension" || this.goType === "fieldsV1" || this.goType === "json";
  }
}

function presenceOf({ flags }: FieldFacts): Presence {
  if (flags.includes("z")) return "omitZero";
  return flags.includes("o") ? "omitEmpty" : "always";
}
