import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { numberFromToken } from "../codec/number.ts";
import type { KubeObject } from "../object.ts";
import type { JsonObject } from "../patch/json-value.ts";
import { type Schema, schemaFor } from "../schema/schema.ts";
import type { ManagedFieldsEntry } from "../types/meta-v1.generated.ts";
import { applyConfiguration } from "./apply.ts";
import { MalformedManagedFields, readEntries } from "./entries.ts";
import { entriesAfterScale, scaleEntries } from "./scale.ts";
import { settledManagedFields } from "./settle.ts";
import { managerOfRequest, updateManagedFields } from "./update.ts";

const schema = schemaFor({ group: "", version: "v1", kind: "ConfigMap" });
const resource = { schema, apiVersion: "v1" };
const configMap = (data: Record<string, string>, metadata: JsonObject = {}): KubeObject =>
  ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c", ...metadata }, data }) as unknown as KubeObject;
const stored = (object: KubeObject, managedFields: readonly ManagedFieldsEntry[] | undefined): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, uid: "1", managedFields: managedFields && [...managedFields] },
});
const at = (second: number): string => `2026-01-01T00:00:0${second}Z`;

function created(data: Record<string, string>): KubeObject {
  const next = configMap(data);
  return stored(next, updateManagedFields({ ...resource, live: undefined, next, manager: "one", now: at(1) }));
}

test("a list whose items lack their key leaves the object without managers", () => {
  const account = (secrets: JsonObject[], metadata: JsonObject = {}): KubeObject =>
    ({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "a", ...metadata }, secrets }) as never;
  const typed = { schema: schemaFor({ group: "", version: "v1", kind: "ServiceAccount" }), apiVersion: "v1" };
  const create = (next: KubeObject) =>
    updateManagedFields({ ...typed, live: undefined, next, manager: "one", now: at(1) });
  const live = stored(account([{ name: "s" }]), create(account([{ name: "s" }])));
  expect(live.metadata.managedFields).toHaveLength(1);
  expect(create(account([{}]))).toBeUndefined();
  expect(updateManagedFields({ ...typed, live, next: account([{}]), manager: "one", now: at(2) })).toBeUndefined();
  const config = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "a" }, secrets: [{ name: "t" }] };
  const broken = stored(account([{}]), undefined);
  expect(() =>
    applyConfiguration({
      ...typed,
      kind: "ServiceAccount",
      live: broken,
      config,
      manager: "m",
      force: true,
      now: at(3),
    }),
  ).toThrow(
    "failed to convert new object (/a; /v1, Kind=ServiceAccount) to smd typed: .secrets: element 0: associative list",
  );
});

test("a custom object that is not of its type is without managers", () => {
  const plain = { nullable: false, intOrString: false, preserveUnknownFields: false, embeddedResource: false };
  const text: Schema = { ...plain, type: "string" };
  const objectOf = (properties: Record<string, Schema>): Schema => ({
    ...plain,
    type: "object",
    structural: true,
    properties: new Map(Object.entries(properties)),
  });
  const schema = objectOf({ status: objectOf({ phase: text }) });
  const widget = { schema, apiVersion: "a.example.com/v1" };
  const create = (phase: unknown) => {
    const next = { apiVersion: widget.apiVersion, kind: "Widget", metadata: {}, status: { phase } } as KubeObject;
    return updateManagedFields({ ...widget, live: undefined, next, manager: "one", now: at(1) });
  };
  expect(create("Ready")).toHaveLength(1);
  expect(create(5)).toBeUndefined();
});

describe("a write that changes nothing", () => {
  test("gets the live entries themselves back", () => {
    const live = created({ a: "1" });
    const next = structuredClone(live);
    expect(updateManagedFields({ ...resource, live, next, manager: "two", now: at(2) })).toBe(
      live.metadata.managedFields,
    );
    const bare = configMap({ a: "1" }, { uid: "1", resourceVersion: "7" });
    expect(
      updateManagedFields({
        ...resource,
        live: { ...live, metadata: { ...live.metadata, resourceVersion: "7" } },
        next: bare,
        manager: "two",
        now: at(2),
      }),
    ).toBe(live.metadata.managedFields);
  });

  test("takes entries that it asks for as upstream's answer shows them", () => {
    const live = created({ a: "1", b: "1" });
    const entry = (manager: string, operation: string, second: number, fieldsV1: object): ManagedFieldsEntry => ({
      manager,
      operation,
      apiVersion: "v1",
      time: at(second),
      fieldsType: "FieldsV1",
      fieldsV1: fieldsV1 as NonNullable<ManagedFieldsEntry["fieldsV1"]>,
    });
    const asked = (entries: readonly ManagedFieldsEntry[]) =>
      updateManagedFields({
        ...resource,
        isKnownVersion: (version) => version === "v1",
        live,
        next: stored(structuredClone(live), entries),
        manager: "two",
        now: at(9),
      });
    const update = entry("u", "Update", 1, { "f:data": { "f:b": {} } });
    const [first, second] = [
      entry("b", "Apply", 2, { "f:data": { "f:a": {} } }),
      entry("a", "Apply", 3, { "f:metadata": { "f:name": {} } }),
    ];
    expect(asked([update, first, second])).toEqual([first, second, update]);

    const later = entry("u", "Update", 2, { "f:data": { "f:a": {} } });
    const unknown = { ...update, manager: "old", apiVersion: "v9" };
    expect(asked([update, later, entry("none", "Update", 3, {}), unknown])).toEqual([later]);

    const many = Array.from({ length: 12 }, (_, index) =>
      entry(`m${index}`, "Update", index % 10, { "f:data": { [`f:${index}`]: {} } }),
    );
    expect(asked(many)).toHaveLength(10);
  });

  test("keeps the applier's time and the object itself", () => {
    const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data: { a: "1" } };
    const request = { ...resource, kind: "ConfigMap", config, manager: "one", force: false };
    const first = applyConfiguration({ ...request, live: undefined, now: at(1) });
    const live = stored(first.object, first.managedFields);
    const again = applyConfiguration({ ...request, live, now: at(2) });
    expect(again.managedFields).toEqual([...(first.managedFields ?? [])]);
    expect(again.object).toEqual(configMap({ a: "1" }, { uid: "1" }));
  });

  test("settles to the stored entries when only times differ in the end", () => {
    const live = created({ a: "1" });
    const [entry] = live.metadata.managedFields ?? [];
    const next = stored(configMap({ a: "1" }), [{ ...entry, time: at(5) }]);
    expect(settledManagedFields(live, next)).toBe(live.metadata.managedFields);
    const changed = stored(configMap({ a: "2" }), [{ ...entry, time: at(5) }]);
    expect(settledManagedFields(live, changed)).toBe(changed.metadata.managedFields);
    const joined = stored(configMap({ a: "1" }), [
      ...(live.metadata.managedFields ?? []),
      { ...entry, manager: "two" },
    ]);
    expect(settledManagedFields(live, joined)).toBe(joined.metadata.managedFields);
  });
});

test("entries that a change does not touch are the very same", () => {
  const first = created({ a: "1" });
  const second = configMap({ a: "1", b: "1" });
  const live = stored(
    second,
    updateManagedFields({ ...resource, live: first, next: second, manager: "two", now: at(2) }),
  );
  const third = configMap({ a: "1", b: "2" });
  const entries = updateManagedFields({ ...resource, live, next: third, manager: "three", now: at(3) }) ?? [];
  expect(entries.map(({ manager, time }) => `${manager} ${time}`)).toEqual([`one ${at(1)}`, `three ${at(3)}`]);
  expect(entries[0]).toBe(live.metadata.managedFields?.[0] as ManagedFieldsEntry);
});

test("property: applying the same configuration again changes neither object nor entries", () => {
  const data = fc.dictionary(fc.constantFrom("a", "b", "c", "constructor"), fc.constantFrom("1", "2"), { minKeys: 1 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom("one", "two"), data), { minLength: 1, maxLength: 5 }), (writes) => {
      let live: KubeObject | undefined;
      for (const [manager, values] of writes) {
        const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data: values };
        const request = { ...resource, kind: "ConfigMap", config, manager, force: true };
        const applied = applyConfiguration({ ...request, live, now: at(1) });
        live = stored(applied.object, applied.managedFields);
        const again = applyConfiguration({ ...request, live, now: at(2) });
        expect(again.object as unknown).toEqual({ ...live, metadata: { ...live.metadata, managedFields: undefined } });
        expect(again.managedFields ?? []).toEqual([...(applied.managedFields ?? [])]);
      }
    }),
  );
});

test("free-form numbers that no double can carry are compared exactly", () => {
  const custom = (digits: string): KubeObject =>
    ({
      apiVersion: "e/v1",
      kind: "W",
      metadata: { name: "w", uid: "1" },
      n: numberFromToken(digits),
    }) as unknown as KubeObject;
  const next = custom("9007199254740993");
  const first = updateManagedFields({
    schema: undefined,
    apiVersion: "e/v1",
    live: undefined,
    next,
    manager: "m",
    now: at(1),
  });
  const live = stored(next, first);
  const change = (digits: string) =>
    updateManagedFields({
      schema: undefined,
      apiVersion: "e/v1",
      live,
      next: custom(digits),
      manager: "m",
      now: at(2),
    });
  expect(change("9007199254740993")?.[0]?.time).toBe(at(1));
  expect(change("9007199254740992")?.[0]?.time).toBe(at(2));
});

describe("an entry of another API version", () => {
  const renamed = (object: JsonObject, from: string, to: string, apiVersion: string): JsonObject => {
    const { [from]: value, ...rest } = object;
    return { ...rest, ...(value === undefined ? {} : { [to]: value }), apiVersion };
  };
  /** v1 calls `target` what is `goal` in v2. */
  const v2 = {
    schema: undefined,
    apiVersion: "e/v2",
    kind: "W",
    otherVersion: (apiVersion: string) =>
      apiVersion === "e/v1"
        ? {
            schema: undefined,
            convert: (object: JsonObject) => renamed(object, "goal", "target", "e/v1"),
            revert: (object: JsonObject) => renamed(object, "target", "goal", "e/v2"),
          }
        : undefined,
  };
  const config = (fields: JsonObject): JsonObject => ({
    apiVersion: "e/v2",
    kind: "W",
    metadata: { name: "w" },
    ...fields,
  });
  const live = stored(config({ goal: 1, size: 1 }) as unknown as KubeObject, [
    {
      manager: "old",
      operation: "Apply",
      apiVersion: "e/v1",
      time: at(1),
      fieldsType: "FieldsV1",
      fieldsV1: { "f:target": {}, "f:size": {} },
    },
  ]);
  const apply = (manager: string, fields: JsonObject, force = false) =>
    applyConfiguration({ ...v2, live, config: config(fields), manager, force, now: at(2) });
  const owned = (entries: readonly ManagedFieldsEntry[] | undefined) =>
    Object.fromEntries((entries ?? []).map(({ manager = "", fieldsV1 }) => [manager, fieldsV1]));

  test("conflicts by the name that the field has there", () => {
    expect(() => apply("new", { goal: 2 })).toThrow('conflict with "old": .target');
  });

  test("loses it to force and to updates", () => {
    expect(owned(apply("new", { goal: 2 }, true).managedFields)).toEqual({
      old: { "f:size": {} },
      new: { "f:goal": {} },
    });
    const next = { ...live, goal: 3 } as unknown as KubeObject;
    expect(owned(updateManagedFields({ ...v2, live, next, manager: "editor", now: at(2) }))).toEqual({
      old: { "f:size": {} },
      editor: { "f:goal": {} },
    });
  });

  test("shares it where both apply the same", () => {
    expect(owned(apply("new", { goal: 1 }).managedFields)).toEqual({
      old: { "f:target": {}, "f:size": {} },
      new: { "f:goal": {} },
    });
  });

  test("is what its applier no longer applies", () => {
    const { object, managedFields } = apply("old", { size: 1 });
    expect((object as unknown as JsonObject)["goal"]).toBeUndefined();
    expect(owned(managedFields)).toEqual({ old: { "f:size": {} } });
  });
});

test("entries whose paths hold no paths are not taken from a client", () => {
  const entry = { manager: "x", operation: "Update", apiVersion: "v1", fieldsType: "FieldsV1" } as const;
  expect(() => readEntries([{ ...entry, fieldsV1: { "f:spec": 1 } }])).toThrow(MalformedManagedFields);
  expect(readEntries([{ ...entry, fieldsV1: { "f:spec": { "f:a": {} } } }])).toHaveLength(1);
});

describe("scale", () => {
  const paths = { "apps/v1": ["spec", "replicas"] };
  const entry = (manager: string, fieldsV1: JsonObject, more: JsonObject = {}): ManagedFieldsEntry => ({
    manager,
    operation: "Apply",
    apiVersion: "apps/v1",
    fieldsType: "FieldsV1",
    fieldsV1,
    ...more,
  });
  const replicas = { "f:spec": { "f:replicas": {} } };
  const both = { "f:spec": { "f:replicas": {}, "f:selector": {} } };

  test("owners of the replicas own those of the Scale", () => {
    expect(scaleEntries([entry("one", { "f:spec": { "f:paused": {} } }), entry("two", both)], paths)).toEqual([
      entry("two", replicas, { apiVersion: "autoscaling/v1" }),
    ]);
    expect(scaleEntries([entry("one", replicas, { apiVersion: "apps/v10" })], paths)).toBeUndefined();
  });

  test("a manager of the Scale takes the replicas of the object", () => {
    const scaler = { operation: "Update", subresource: "scale" };
    expect(
      entriesAfterScale(
        [entry("one", both)],
        [entry("s", replicas, { ...scaler, apiVersion: "autoscaling/v1" })],
        "apps/v1",
        paths,
      ),
    ).toEqual([entry("one", { "f:spec": { "f:selector": {} } }), entry("s", replicas, scaler)]);
  });

  test("an applier that keeps them keeps its entry", () => {
    expect(
      entriesAfterScale(
        [entry("one", both)],
        [entry("one", replicas, { apiVersion: "autoscaling/v1" })],
        "apps/v1",
        paths,
      ),
    ).toEqual([entry("one", both)]);
  });
});

test("the manager of a request", () => {
  expect(managerOfRequest("me", "kubectl/v1.35")).toBe("me");
  expect(managerOfRequest(undefined, "kubectl/v1.35 (linux/arm64)")).toBe("kubectl");
  expect(managerOfRequest(undefined, "a\u0007b")).toBe("ab");
  expect(managerOfRequest(undefined, "é".repeat(100))).toBe("é".repeat(64));
  expect(managerOfRequest(undefined, undefined)).toBe("");
});
