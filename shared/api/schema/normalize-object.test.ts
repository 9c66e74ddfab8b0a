import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeJson, encodeJson } from "../codec/json.ts";
import { decodeYaml } from "../codec/yaml.ts";
import { parseApiVersion } from "../object.ts";
import { normalizeObject } from "./normalize-object.ts";
import { DecodeError } from "./scalars.ts";
import { type Schema, schemaFor } from "./schema.ts";
import { strictMessages } from "./strict-messages.ts";

/** A typed object as strict decoding sees it. */
function decode(body: string, format: "json" | "yaml") {
  const document = format === "yaml" ? decodeYaml(body) : decodeJson(body);
  const { apiVersion, kind } = document.value as { apiVersion: string; kind: string };
  const schema = schemaFor({ ...parseApiVersion(apiVersion), kind });
  if (!schema) throw new Error(`no schema for ${kind}`);
  const normalized = normalizeObject(schema, document.value, { earlier: document.earlier });
  return { object: normalized.object, messages: strictMessages(document, normalized, "typed") };
}

const structural: Schema = {
  type: "object",
  nullable: false,
  intOrString: false,
  preserveUnknownFields: false,
  embeddedResource: false,
  structural: true,
};
const leaf = (type: Schema["type"], more: Partial<Schema> = {}): Schema => ({ ...structural, type, ...more });

describe("custom resources are pruned by their schema", () => {
  const schema = leaf("object", {
    properties: new Map<string, Schema>([
      [
        "spec",
        leaf("object", {
          properties: new Map<string, Schema>([
            ["size", leaf("integer")],
            ["list", leaf("array", { items: leaf("object", { properties: new Map([["a", leaf("string")]]) }) })],
            ["open", leaf("object", { preserveUnknownFields: true, properties: new Map([["known", leaf("string")]]) })],
            [
              "map",
              leaf("object", { additionalProperties: leaf("object", { properties: new Map([["x", leaf("any")]]) }) }),
            ],
            ["resource", leaf("object", { embeddedResource: true, properties: new Map() })],
          ]),
        }),
      ],
    ]),
  });

  const normalized = (body: string) => normalizeObject(schema, decodeJson(body).value);

  test("fields that it does not know go and are named, sorted within an object", () => {
    const { object, unknown } = normalized(
      '{"spec":{"z":1,"size":1,"list":[{"b":1,"a":"x"}],"map":{"k":{"x":1,"y":2}},"a":1,"resource":{"kind":"K","metadata":{"name":"n","nope":1},"other":1}}}',
    );
    expect(encodeJson(object)).toBe(
      '{"spec":{"list":[{"a":"x"}],"map":{"k":{"x":1}},"resource":{"kind":"K","metadata":{"name":"n"}},"size":1}}',
    );
    expect(unknown.toSorted()).toEqual([
      "spec.a",
      "spec.list[0].b",
      "spec.map.k.y",
      "spec.resource.metadata.nope",
      "spec.resource.other",
      "spec.z",
    ]);
  });

  test("values of the wrong type and nulls are left to validation, pruned by the form that they have", () => {
    const body = '{"spec":{"list":{},"map":null,"size":"x"}}';
    expect(encodeJson(normalized(body).object)).toBe(body);
    const { object, unknown } = normalized('{"spec":{"list":{"b":1},"size":[{"c":1}]}}');
    expect(encodeJson(object)).toBe('{"spec":{"list":{},"size":[{}]}}');
    expect(unknown).toEqual(["spec.list.b", "spec.size[0].c"]);
  });

  test("numbers in open parts are exact integers or doubles, and fields are sorted", () => {
    const { object, unknown } = normalized('{"spec":{"open":{"b":[9007199254740993,1.0,1e3],"a":{"d":1,"c":null}}}}');
    expect(encodeJson(object)).toBe('{"spec":{"open":{"a":{"c":null,"d":1},"b":[9007199254740993,1,1000]}}}');
    expect(unknown).toEqual([]);
  });

  test("duplicates come before unknown fields", () => {
    const document = decodeJson('{"spec":{"z":1,"z":2,"size":1,"size":2}}');
    expect(strictMessages(document, normalizeObject(schema, document.value), "custom")?.warnings).toEqual([
      'duplicate field "spec.z"',
      'duplicate field "spec.size"',
      'unknown field "spec.z"',
    ]);
  });

  test("unknown fields are told as they are found: in metadata, by the schema, in metadata of objects inside", () => {
    const document = decodeJson(
      '{"alpha":1,"spec":{"z":1,"a":1,"resource":{"metadata":{"nope":1},"other":1}},"metadata":{"wrong":1,"name":"x"}}',
    );
    const root = { ...schema, embeddedResource: true };
    expect(strictMessages(document, normalizeObject(root, document.value), "custom")?.warnings).toEqual([
      'unknown field "metadata.wrong"',
      'unknown field "alpha"',
      'unknown field "spec.a"',
      'unknown field "spec.resource.other"',
      'unknown field "spec.z"',
      'unknown field "spec.resource.metadata.nope"',
    ]);
  });
});

test("the warnings of YAML stand one by one, the error as a whole", () => {
  const { messages } = decode(
    "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n  name: b\nspec:\n  nope: 1\n  paused: true\n  paused: false\n",
    "yaml",
  );
  expect(messages).toEqual({
    error:
      'strict decoding error: yaml: unmarshal errors:\n  line 5: key "name" already set in map\n  line 9: key "paused" already set in map, unknown field "spec.nope"',
    warnings: [
      'line 5: key "name" already set in map',
      'line 9: key "paused" already set in map',
      'unknown field "spec.nope"',
    ],
  });
});

describe("a field given twice", () => {
  test("fills the same struct or map, and replaces what is free-form", () => {
    const { object, messages } = decode(
      '{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"1"},"annotations":{"x":"1"}},"metadata":{"labels":{"b":"2"}},' +
        '"spec":{"containers":[],"securityContext":{"runAsUser":1}},"spec":{"securityContext":{"runAsGroup":2}}}',
      "json",
    );
    expect(object["metadata"]).toMatchObject({ labels: { a: "1", b: "2" }, annotations: { x: "1" } });
    expect(object["spec"]).toMatchObject({ securityContext: { runAsUser: 1, runAsGroup: 2 } });
    expect(messages?.warnings).toEqual(['duplicate field "metadata"', 'duplicate field "spec"']);
  });

  test("is nobody's business inside of what is kept as it came", () => {
    const { object, messages } = decode(
      '{"apiVersion":"apps/v1","kind":"ControllerRevision","revision":1,"data":{"a":{"x":1},"a":{"y":2},"__proto__":3}}',
      "json",
    );
    expect(encodeJson(object["data"])).toBe('{"a":{"y":2},"__proto__":3}');
    expect(messages).toBeUndefined();
  });
});

test("what is no object is refused", () => {
  const pod = schemaFor({ group: "", version: "v1", kind: "Pod" });
  if (!pod) throw new Error("no schema for Pod");
  expect(() => normalizeObject(pod, [])).toThrow(
    new DecodeError("json: cannot unmarshal array into Go value of type v1.Pod"),
  );
});

describe("what is given away is copied only where it changes", () => {
  const open = leaf("object", { preserveUnknownFields: true });
  const of = (spec: unknown, isOwned: boolean) => normalizeObject(open, { spec }, { isOwned }).object["spec"];

  test("values in normal form become part of the result, others and those of somebody else do not", () => {
    const plain = { a: [{}, { b: "x" }], c: { d: 1 } };
    expect(of(plain, true)).toBe(plain);
    expect(of(plain, false)).not.toBe(plain);
    const changed = { a: plain, b: [plain, { z: 1, y: 2 }, plain] };
    const result = of(changed, true) as typeof changed;
    expect([result.a, result.b[0], result.b[2]].every((each) => each === plain)).toBe(true);
    expect(encodeJson(result.b[1])).toBe('{"y":2,"z":1}');
    expect(encodeJson(changed.b[1])).toBe('{"z":1,"y":2}');
  });

  test("maps and lists of a typed kind too, but no structs", () => {
    const schema = schemaFor({ group: "", version: "v1", kind: "Pod" }) as Schema;
    const pod = { metadata: { labels: { a: "x", b: "y" }, finalizers: ["f"] }, spec: { containers: [] } };
    const { object } = normalizeObject(schema, pod, { isOwned: true });
    const { metadata } = object as typeof pod;
    expect(metadata).not.toBe(pod.metadata);
    expect([metadata.labels, metadata.finalizers]).toEqual([pod.metadata.labels, pod.metadata.finalizers]);
    expect(metadata.labels).toBe(pod.metadata.labels);
  });

  test("property: the result is the same, and the input what it was", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const { value } = decodeJson(`{"spec":${text}}`);
        const before = encodeJson(value);
        const copied = encodeJson(normalizeObject(open, value).object);
        expect(encodeJson(normalizeObject(open, value, { isOwned: true }).object)).toBe(copied);
        expect(encodeJson(value)).toBe(before);
      }),
    );
  });
});

test("the metadata of an embedded object are kept, also where the schema says no more of them than that they are there", () => {
  const properties = new Map([["metadata", leaf("object")]]);
  const schema = leaf("object", {
    properties: new Map([["pod", leaf("object", { embeddedResource: true, properties })]]),
  });
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "n", labels: { a: "b" } } };
  expect(normalizeObject(schema, { pod })).toMatchObject({ object: { pod }, unknown: [] });
  const odd = normalizeObject(schema, { pod: { ...pod, metadata: { name: "n", odd: "x" } } });
  expect(odd.object).toEqual({ pod: { ...pod, metadata: { name: "n" } } });
});
