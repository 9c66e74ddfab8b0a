import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { StatusError } from "../errors.ts";
import { type KubeObject, parseApiVersion } from "../object.ts";
import { isJsonObject, type JsonObject } from "../patch/json-value.ts";
import { normalizeObject } from "../schema/normalize-object.ts";
import { type Schema, schemaFor } from "../schema/schema.ts";
import type { ManagedFieldsEntry, StatusCause } from "../types/meta-v1.generated.ts";
import { type ApplyRequest, applyConfiguration } from "./apply.ts";
import { FieldSet } from "./field-set.ts";
import { updateManagedFields } from "./update.ts";

interface Step {
  readonly op: "update" | "apply";
  readonly manager: string;
  readonly subresource?: string;
  readonly version?: string;
  readonly force?: boolean;
  readonly schema?: string;
  readonly reset?: readonly string[];
  readonly only?: readonly string[];
  readonly object: JsonObject;
  readonly error?: { readonly code: number; readonly message: string; readonly causes?: readonly StatusCause[] };
  readonly result?: JsonObject;
  readonly managed?: readonly ManagedFieldsEntry[];
}
interface Script {
  readonly name: string;
  readonly kind: string;
  readonly schema?: string;
  readonly steps: readonly Step[];
}
// What apimachinery's managedfields answers: tools/apply-vectors writes them.
const fixture = process.env["APPLY_VECTORS"] ?? new URL("../../../test/fixtures/apply-vectors.json", import.meta.url);
const vectors: { schemas: Record<string, JsonObject>; scripts: readonly Script[] } = JSON.parse(
  readFileSync(fixture, "utf8"),
);
const customSchemas = new Map(Object.entries(vectors.schemas).map(([name, openApi]) => [name, fromOpenApi(openApi)]));

describe("field management answers as upstream", () => {
  for (const script of vectors.scripts) {
    test(script.name, () => {
      let live: KubeObject | undefined;
      for (const [number, step] of script.steps.entries()) live = replay(script, step, number, live);
    });
  }
});

/** Carries a step out, compares, and gives the object that is stored after it. */
function replay(script: Script, step: Step, number: number, before: KubeObject | undefined): KubeObject | undefined {
  const apiVersion = script.schema ? `example.com/${step.version ?? "v1"}` : String(firstUsable(script)["apiVersion"]);
  const live = before && deepFreeze({ ...before, apiVersion });
  const context = {
    schema: script.schema ? customSchemas.get(step.schema ?? script.schema) : builtIn(apiVersion, script.kind),
    apiVersion,
    subresource: step.subresource,
    resetFields: step.reset ? FieldSet.ofFields(...step.reset.map((field) => [field])) : undefined,
    onlyFields: step.only?.map((path) => path.split("/")),
    manager: step.manager,
    now: new Date(Date.UTC(2000, 0, 1) + number * 1000).toISOString().replace(".000Z", "Z"),
    live,
  };
  const where = `step ${number}`;
  let object = step.object as unknown as KubeObject;
  let managedFields: readonly ManagedFieldsEntry[] | undefined;
  if (step.op === "update") {
    managedFields = updateManagedFields({ ...context, next: deepFreeze(object) });
  } else {
    const config = deepFreeze(step.object);
    const request: ApplyRequest = { ...context, kind: script.kind, config, force: step.force ?? false };
    if (step.error) {
      const error = failureOf(() => applyConfiguration(request));
      expect({ where, ...describeFailure(error.code, error.message, error.options.causes) }).toEqual({
        where,
        ...describeFailure(step.error.code, step.error.message, step.error.causes),
      });
      return before;
    }
    const applied = applyConfiguration(request);
    object = step.result as unknown as KubeObject;
    managedFields = applied.managedFields;
    const { schema } = context;
    const comparable = script.schema || !schema ? withoutBookkeeping : (stored: KubeObject) => asStored(schema, stored);
    expect({ where, object: comparable(applied.object) }).toEqual({ where, object: comparable(object) });
  }
  expect({ where, managed: managedFields ?? [] }).toEqual({ where, managed: [...(step.managed ?? [])] });
  // Stored sets are canonical text: the order of their members counts.
  const texts = (entries: readonly ManagedFieldsEntry[] | undefined) =>
    entries?.map((entry) => JSON.stringify(entry.fieldsV1));
  expect(texts(managedFields) ?? []).toEqual(texts(step.managed) ?? []);
  const metadata = { ...object.metadata, uid: "1", managedFields: managedFields && [...managedFields] };
  return deepFreeze({ ...object, metadata });
}

function firstUsable(script: Script): JsonObject {
  return script.steps.find((step) => step.op === "update" || step.result !== undefined)?.object ?? { apiVersion: "v1" };
}

function builtIn(apiVersion: string, kind: string): Schema {
  const schema = schemaFor({ ...parseApiVersion(apiVersion), kind });
  if (!schema) throw new Error(`no schema of ${apiVersion} ${kind}`);
  return schema;
}

function failureOf(run: () => unknown): StatusError {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error("did not fail");
}

/** Upstream walks Go maps, in random order: causes, and the lines of a message, are compared as sets. */
function describeFailure(code: number, message: string, causes: readonly StatusCause[] | undefined): object {
  const sorted = causes?.map(({ field, message: text, reason }) => `${field} ${text} ${reason}`).sort();
  return { code, message: message.split("\n").sort(), causes: sorted };
}

/** Upstream gives custom resources back in the stored version, and the vectors' objects have been given a UID. */
function withoutBookkeeping({ apiVersion: _, metadata: { uid: __, ...metadata }, ...rest }: KubeObject): unknown {
  return { ...rest, metadata };
}

/** Typed objects come back from upstream as they are stored: with the empty structs that Go writes, without nulls. */
function asStored(schema: Schema, object: KubeObject): unknown {
  const { uid: _, ...metadata } = object.metadata;
  return normalizeObject(schema, { ...object, metadata }).object;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

/** The structural schema of a custom resource, as far as field management reads it. */
function fromOpenApi(openApi: JsonObject): Schema {
  const properties = openApi["properties"];
  const additional = openApi["additionalProperties"];
  const items = openApi["items"];
  return {
    type: openApi["type"] === undefined ? "any" : (openApi["type"] as Schema["type"]),
    format: openApi["format"] as string | undefined,
    properties: isJsonObject(properties)
      ? new Map(Object.entries(properties).map(([name, property]) => [name, fromOpenApi(property as JsonObject)]))
      : undefined,
    additionalProperties: isJsonObject(additional) ? fromOpenApi(additional) : undefined,
    items: isJsonObject(items) ? fromOpenApi(items) : undefined,
    default: openApi["default"],
    nullable: false,
    listType: openApi["x-kubernetes-list-type"] as Schema["listType"],
    listMapKeys: openApi["x-kubernetes-list-map-keys"] as readonly string[] | undefined,
    mapType: openApi["x-kubernetes-map-type"] as Schema["mapType"],
    intOrString: openApi["x-kubernetes-int-or-string"] === true,
    preserveUnknownFields: openApi["x-kubernetes-preserve-unknown-fields"] === true,
    embeddedResource: false,
  };
}
