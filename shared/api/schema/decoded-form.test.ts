import { expect, test } from "bun:test";
import { fillRequired, isDecodedForm } from "./decoded-form.ts";
import { type Schema, schemaFor } from "./schema.ts";

const schemaOf = (group: string, version: string, kind: string): Schema => {
  const schema = schemaFor({ group, version, kind });
  if (!schema) throw new Error(`there is no ${kind}`);
  return schema;
};
const pods = schemaOf("", "v1", "Pod");
const pod = (spec: object, metadata: object = { name: "a" }): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata,
  spec: { containers: [{ name: "a", resources: {} }], ...spec },
  status: {},
});

test("an object as it is stored is as Go's types have it, whatever fields nobody knows it has", () => {
  expect(isDecodedForm(pods, pod({ priority: 3, nodeName: "a", another: [1] }))).toBe(true);
});

test.each<[string, object]>([
  ["a number for text", pod({ nodeName: 3 })],
  ["text for a number", pod({ priority: "3" })],
  ["a null", pod({ tolerations: null })],
  ["a null in a list", pod({ tolerations: [null] })],
  ["a list for a struct", pod({ securityContext: [] })],
  ["a struct for a list", pod({ tolerations: {} })],
  ["a time that is none", pod({}, { name: "a", creationTimestamp: "yesterday" })],
  ["labels that are no text", pod({}, { name: "a", labels: { a: 1 } })],
  ["no spec", { apiVersion: "v1", kind: "Pod", metadata: {}, status: {} }],
  ["a required list that is missing", pod({ containers: undefined })],
])("%s is not", (_, value) => {
  expect(isDecodedForm(pods, value)).toBe(false);
});

test("what is required is put where it is missing", () => {
  const levels = { spec: { rules: [{}] } };
  fillRequired(schemaOf("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"), levels);
  expect(levels).toEqual({ spec: { priorityLevelConfiguration: { name: "" }, rules: [{ subjects: [] }] } } as never);
  const address = { spec: {} };
  fillRequired(schemaOf("networking.k8s.io", "v1", "IPAddress"), address);
  // A pointer of Go's stays nil.
  expect(address).toEqual({ spec: {} } as never);
});
