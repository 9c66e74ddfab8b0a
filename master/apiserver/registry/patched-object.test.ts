/** What is said of patches that cannot be read or do not fit. Expectations were seen at upstream's API server 1.35. */
import { expect, test } from "bun:test";
import { decodeJson } from "#shared/api/codec/json.ts";
import { StatusError } from "#shared/api/errors.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import type { FieldValidation } from "./decode-body.ts";
import { decodePatch, type PatchType } from "./patch.ts";
import { patchedObject } from "./patched-object.ts";

const gvk = { group: "", version: "v1", kind: "ConfigMap" };
const expected = { gvk, schema: schemaFor(gvk), custom: false };
const live = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", labels: { b: "1", a: "2" } },
  data: { k: "1" },
};

function outcome(type: PatchType, text: string, validation: FieldValidation): [said: string, warnings: string[]] {
  const warnings: string[] = [];
  try {
    const patch = { type, document: decodeJson(text) };
    return [JSON.stringify(patchedObject(patch, live, expected, validation, warnings)), warnings];
  } catch (error) {
    if (error instanceof StatusError) return [`${error.code} ${error.message}`, warnings];
    throw error;
  }
}
const said = (type: PatchType, text: string, validation: FieldValidation): string => outcome(type, text, validation)[0];

test("a JSON patch that is none has other words where nobody looks through it first", () => {
  const unread = "json: cannot unmarshal";
  for (const [text, strict, lenient] of [
    [
      "{}",
      `${unread} object into Go value of type []handlers.jsonPatchOp`,
      `${unread} object into Go value of type jsonpatch.Patch`,
    ],
    [
      "[7]",
      `${unread} number into Go value of type handlers.jsonPatchOp`,
      `${unread} number into Go value of type jsonpatch.Operation`,
    ],
  ] as const) {
    for (const validation of ["Warn", "Strict"] as const)
      expect(said("json", text, validation)).toBe(`400 error decoding patch: ${strict}`);
    expect(said("json", text, "Ignore")).toBe(`400 ${lenient}`);
  }
  const [op, misfit] = [
    '[{"op":7,"path":"/data"}]',
    "422 the server rejected our request due to an error in our request",
  ];
  expect(said("json", op, "Warn")).toBe(
    `400 error decoding patch: ${unread} number into Go struct field jsonPatchOp.op of type string`,
  );
  expect(said("json", op, "Ignore")).toBe(misfit);
  expect(said("json", "[null]", "Warn")).toBe(misfit);
});

test("a merge patch that is none has other words where nobody looks through it first", () => {
  const text = "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}";
  expect(said("merge", '"x"', "Warn")).toBe(`400 ${text}`);
  expect(said("merge", '"x"', "Ignore")).toBe("400 Invalid JSON Patch");
  expect(said("merge", "[]", "Ignore")).toStartWith(
    `422  "" is invalid: patch: Invalid value: "[]": couldn't get version/kind; json parse error: json: cannot unmarshal array`,
  );
  const broken = (type: PatchType, validation: FieldValidation) => () =>
    decodePatch({ kind: "bytes", bytes: Buffer.from("{") }, type, validation);
  expect(broken("merge", "Warn")).toThrow("error decoding patch: unexpected end of JSON input");
  expect(broken("merge", "Ignore")).toThrow("Invalid JSON Patch");
  expect(broken("json", "Ignore")).toThrow(/^unexpected end of JSON input$/);
});

test("what a patch makes of an object is shown with members in order as far as it looked", () => {
  const shown = (type: PatchType, text: string): string => said(type, text, "Warn").replaceAll("\\", "");
  const metadata = '"metadata":{"name":"a","labels":{"b":"1","a":"2"}}';
  expect(shown("merge", '{"data":7}')).toContain(
    `"{"apiVersion":"v1","data":7,"kind":"ConfigMap",${metadata}}": json:`,
  );
  const steps = '[{"op":"add","path":"/metadata/labels/c","value":7}]';
  expect(shown("json", steps)).toContain('"metadata":{"labels":{"a":"2","b":"1","c":7},"name":"a"}');
  expect(shown("json", '[{"op":"replace","path":"","value":[]}]')).toContain('patch: Invalid value: "[]": couldn');
});

test("of an object without a version no field is known", () => {
  const [object, warnings] = outcome("merge", '{"apiVersion":null}', "Warn");
  expect(object).toBe('{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}');
  expect(warnings).toEqual(['unknown field "data"', 'unknown field "metadata"']);
  expect(said("json", '[{"op":"remove","path":"/apiVersion"}]', "Strict")).toEndWith(
    'strict decoding error: unknown field "data", unknown field "metadata"',
  );
  expect(said("merge", '{"kind":null}', "Warn")).toContain('"data":{"k":"1"}');
});

test("what is repeated in a field that no operation has is not told", () => {
  const text = '[{"op":"add","path":"/data/z","value":"1","extra":{"a":1,"a":2}}]';
  expect(outcome("json", text, "Warn")[1]).toEqual(['json patch unknown field "[0].extra"']);
});
