import { expect, test } from "bun:test";
import { numberFromToken } from "#shared/api/codec/number.ts";
import { validateValue } from "./value-validator.ts";

/** What upstream's validator said (kube-openapi, pkg/validation/validate). */
const upstream: readonly [type: string, token: string, multipleOf: number, ...said: string[]][] = [
  ["number", "0.3", 0.1],
  ["number", "-0.3", 0.1],
  ["number", "0.7", 0.1],
  ["number", "0.0", 0.1],
  ["number", "1000000000.1", 0.1],
  ["number", "1000000000.5", 1],
  ["number", "4.5", 1.5],
  ["number", "4", 1.5],
  ["number", "3", 1.5],
  ["integer", "-6", 2],
  ["number", "0.35", 0.1, "Invalid value: 0.35: n in body should be a multiple of 0.1"],
  ["number", "4.35", 0.01, "Invalid value: 4.35: n in body should be a multiple of 0.01"],
  ["number", "-1.5", 0.4, "Invalid value: -1.5: n in body should be a multiple of 0.4"],
  ["number", "5", 2.5, "Invalid value: 5: n in body should be a multiple of 2"],
  ["integer", "9007199254740993", 2, "Invalid value: 9007199254740993: n in body should be a multiple of 2"],
  ["integer", "1", 0.5, "Invalid value: 0: factor MultipleOf declared for n must be positive: 0"],
];

test.each(upstream)("a %s of %s as a multiple of %d", (type, token, multipleOf, ...said) => {
  const value = numberFromToken(token);
  expect(validateValue({ type, multipleOf }, value, "n").map(({ message }) => message)).toEqual(said);
});

test("what was wrong before is borne with, but for the version and the kind of the whole object", () => {
  const only = { type: "string", pattern: "^v2$" };
  const schema = { type: "object", properties: { apiVersion: only, kind: only, spec: only } };
  const value = (i: number) => ({ apiVersion: "v1", kind: "v1", spec: "v1", i });
  const fields = validateValue(schema, value(2), "", { value: value(1) }).map(({ field }) => field);
  expect(fields).toEqual(["apiVersion", "kind"]);
  const inner = { type: "object", properties: { spec: schema } };
  expect(validateValue(inner, { spec: value(2) }, "", { value: { spec: value(1) } })).toEqual([]);
});
