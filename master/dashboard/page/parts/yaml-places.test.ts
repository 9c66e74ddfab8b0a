import { expect, test } from "bun:test";
import { faultOf, fieldsNamed, lineOf } from "./yaml-places.ts";

const text = `apiVersion: v1
kind: Pod
metadata:
  labels:
    a.b/c: x
spec:
  containers:
  - name: one
  - name: two
    image: web
`;

test("a field's line is found, or that of what should hold it", () => {
  expect(lineOf(text, "spec.containers[1].image")).toBe(10);
  expect(lineOf(text, "metadata.labels[a.b/c]")).toBe(5);
  expect(lineOf(text, "spec.containers[0].image")).toBe(8);
  expect(lineOf(text, "status.phase")).toBeUndefined();
});

test("a text that is no YAML says where", () => {
  expect(faultOf(text)).toBeUndefined();
  expect(faultOf("a: 1\nb: [1, 2\nc: 3\n")?.line).toBeGreaterThan(1);
  expect(faultOf('a: 1\nb: "x\n')?.message).not.toContain("\n");
});

test("strict validation names fields in its message", () => {
  const message = 'strict decoding error: unknown field "dada", duplicate field "spec.a"';
  expect(fieldsNamed(message)).toEqual(["dada", "spec.a"]);
});
