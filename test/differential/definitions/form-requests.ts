/** Values of other forms than their schema's: what is pruned of them, and what is said of it. */
import type { OrderedRequest } from "../in-order.ts";
import { definition, judged, list, made, number, object, objectsOf, text } from "./definition.ts";

const plural = "forms";

const open = { "x-kubernetes-preserve-unknown-fields": true };

const spec = object({
  text: text(),
  whole: number,
  flag: { type: "boolean" },
  texts: list(text()),
  objects: list(object({ known: text() })),
  map: { type: "object", additionalProperties: text() },
  mixed: { "x-kubernetes-int-or-string": true },
  bytes: { type: "string", format: "byte" },
  when: { type: "string", format: "date-time" },
  wide: { type: "integer", format: "int64" },
  precise: { type: "number", format: "double" },
  open: { type: "object", properties: { within: object({ known: text() }) }, ...open },
  openList: list(object({ inner: object({ known: text() }) }), open),
  embedded: { type: "object", "x-kubernetes-embedded-resource": true, properties: { spec: object({}) } },
});

const schemaOf = (properties: object, more: object = {}) => ({
  openAPIV3Schema: { type: "object", description: "<all>", properties, ...more },
});
const stored = (name: string, more: object) => ({ name, served: true, storage: true, ...more });
const ruled = { ...text(), default: "x", enum: ["x", "y"], "x-kubernetes-validations": [{ rule: "self != ''" }] };
/** With all that a version can have. */
const twins = [
  stored("v1", {
    schema: schemaOf({
      spec: {
        ...object({ text: ruled, whole: { ...number, minimum: 1, multipleOf: 0.5 }, flag: { type: "boolean" } }),
        required: ["text"],
        externalDocs: { url: "https://example.com", description: "more" },
        anyOf: [{ required: ["text"] }, { not: { required: ["whole"] } }],
      },
      open: { type: "object", "x-kubernetes-preserve-unknown-fields": true, example: { a: [1, null] } },
      listed: list(object({ a: text() }), { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"] }),
      map: { type: "object", additionalProperties: { ...text(), maxLength: 7, pattern: "^a$" } },
      both: { "x-kubernetes-int-or-string": true, nullable: true },
    }),
    subresources: { status: {}, scale: { specReplicasPath: ".spec.whole", statusReplicasPath: ".status.whole" } },
    additionalPrinterColumns: [{ name: "A", type: "string", jsonPath: ".spec.text", priority: 1 }],
  }),
  stored("v1", {
    deprecated: true,
    deprecationWarning: "old",
    selectableFields: [{ jsonPath: ".spec.text" }],
    schema: schemaOf({ spec: object({ text: text() }) }),
  }),
];
const alike = ["v1", "v2"].map((name) => stored(name, { schema: schemaOf({ spec: object({ text: text() }) }) }));

const twoKeys = { b: "b", a: "a" };
const pair = object({ b: text(), a: text() }, { required: ["a", "b"] });
const ordered = object({
  keyed: list(pair, { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["b", "a"] }),
  set: list({ ...pair, "x-kubernetes-map-type": "atomic" }, { "x-kubernetes-list-type": "set" }),
  chosen: { ...object({ b: text(), a: text(), c: text() }), enum: [{ b: "<&>", a: "a" }] },
  open: { type: "object", ...open },
});
const scale = { specReplicasPath: ".spec.open.replicas", statusReplicasPath: ".status.replicas" };
const orders = objectsOf("orders");

const fields = (count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`unknown-${String(index).padStart(4, "0")}`, index]));

export function formRequests(): OrderedRequest[] {
  const { tried, path } = objectsOf(plural);
  const strictly = (name: string, value: unknown): OrderedRequest => ({
    ...tried(name, value),
    path: `${path}?dryRun=All&fieldValidation=Strict`,
  });
  const anObject = { a: 1 };
  return [
    ...made(plural, spec),
    ...["text", "whole", "flag", "texts", "objects", "mixed", "bytes", "when", "wide", "precise"].map((field) =>
      tried(`an object for ${field}`, { [field]: anObject }),
    ),
    ...["text", "whole", "flag", "map", "mixed", "open", "embedded"].map((field) =>
      tried(`a list of objects for ${field}`, { [field]: [anObject, [anObject], 1] }),
    ),
    ...[5, 1.5, true].flatMap((value) =>
      ["bytes", "when", "map"].map((field) => tried(`${value} for ${field}`, { [field]: value })),
    ),
    tried("a fraction for wide", { wide: 1.5 }),
    tried("lists in lists", { texts: [[anObject]], objects: [[{ known: "a", other: "b" }]] }),
    tried("objects for items that are texts", { texts: [anObject, "a"] }),
    tried("values of a map that are objects", { map: { a: anObject } }),
    tried("unknown fields in an open object", { open: { other: anObject, within: { known: "a", other: "b" } } }),
    tried("unknown fields in an open list", { openList: [{ other: 1, inner: { known: "a", other: "b" } }] }),
    tried("very many unknown fields", fields(300)),
    tried("unknown fields with very long names", { ["a".repeat(3000)]: 1, ["b".repeat(3000)]: 2, c: 3 }),
    strictly("very many unknown fields, strictly", fields(300)),
    ...made("orders", ordered, { subresources: { scale } }),
    ...[
      ["a key of two fields that is there twice", { keyed: [twoKeys, twoKeys] }],
      ["an object that is there twice", { set: [twoKeys, twoKeys] }],
      ["an object that is none of those allowed", { chosen: { ...twoKeys, c: "<&>" } }],
    ].map(([name, value]) => orders.tried(name as string, value)),
    ...[{ b: 1, a: [1, "x", null] }, "two", [1, 2.5], true, 1.5, null].map((replicas) =>
      orders.tried(`replicas that are ${JSON.stringify(replicas)}`, { open: { replicas } }),
    ),
    judged("two versions of one name, both stored", definition("lists", spec, {}, { versions: twins })),
    judged("two versions of one schema, both stored", definition("lists", spec, {}, { versions: alike })),
    judged("no list of versions", definition("lists", spec, {}, { versions: null })),
    judged("an empty list of versions", definition("lists", spec, {}, { versions: [] })),
  ];
}
