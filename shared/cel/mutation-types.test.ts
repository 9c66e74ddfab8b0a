/** Objects that expressions of MutatingAdmissionPolicies make. Faults are in the words and at the places of cel-go 0.26. */
import { describe, expect, test } from "bun:test";
import { FunctionTable } from "./functions.ts";
import { appliedObject, jsonPatchLibrary, jsonPatchOperation, mutationTypes } from "./mutation-types.ts";
import { CompileError, Program } from "./program.ts";
import { standardLibrary } from "./standard-library.ts";
import { dyn, listOf } from "./types.ts";
import { fromJson, toJson } from "./values.ts";

const environment = {
  variables: new Map([["object", dyn]]),
  functions: new FunctionTable(standardLibrary, jsonPatchLibrary),
  types: mutationTypes,
};
const object = { metadata: { name: "web" }, spec: { replicas: 2 } };

const compile = (source: string): Program => Program.compile(source, environment);
const run = (source: string): { value: unknown; cost: number } => {
  const { value, cost, error } = compile(source).evaluate(() => fromJson(object, dyn), 1_000_000);
  if (error) throw error;
  return { value: toJson(value), cost };
};
function faultOf(source: string): string | undefined {
  try {
    compile(source);
    return undefined;
  } catch (error) {
    if (error instanceof CompileError) return error.message.split("\n")[0];
    throw error;
  }
}

describe("objects are made of types that are named by their path", () => {
  test("with any fields", () => {
    const source = "Object{spec: Object.spec{replicas: object.spec.replicas + 1, paused: true}}";
    expect(run(source)).toEqual({ value: { spec: { replicas: 3, paused: true } }, cost: 40 + 40 + 3 + 1 });
    expect(compile(source).givesExactly(appliedObject)).toBe(true);
    expect(compile("Object.spec{}").typeName).toBe("Object.spec");
  });

  test("a field that is optional is left out where there is nothing", () => {
    expect(run("Object{?spec: object.?none, ?metadata: object.?metadata}").value).toEqual({
      metadata: { name: "web" },
    });
  });

  test("of two types they are never the same", () => {
    expect(run("[Object.a{x: 1} == Object.a{x: 1}, Object.a{x: 1} == dyn(Object.b{x: 1})]").value).toEqual([
      true,
      false,
    ]);
  });
});

describe("operations of a JSON patch", () => {
  test("have fields of their types", () => {
    const source = '[JSONPatch{op: "add", path: "/a/" + jsonpatch.escapeKey("x/y~z"), value: {"a": 1}}]';
    expect(run(source).value).toEqual([{ op: "add", path: "/a/x~1y~0z", value: { a: 1 } }]);
    expect(compile(source).givesExactly(listOf(jsonPatchOperation))).toBe(true);
  });

  test("none of them is a list of them, on whichever side it stands", () => {
    const one = '[JSONPatch{op: "add"}]';
    for (const source of [
      `[[], ${one}][1]`,
      `{'a': [], 'b': ${one}}.b`,
      `true ? ${one} : []`,
      `true ? [] : ${one}`,
      `[] + ${one}`,
      `${one} + []`,
      `[] + [] + ${one}`,
    ])
      expect([source, compile(source).typeName]).toEqual([source, "list(JSONPatch)"]);
    expect(compile("[]").typeName).toBe("list(dyn)");
  });
});

test("what cannot be made is told", () => {
  for (const [source, fault] of [
    ["object{}", "ERROR: <input>:1:7: 'dyn' is not a type"],
    ["string{}", "ERROR: <input>:1:7: 'string' is not a message type"],
    ["Other{a: nothing}", "ERROR: <input>:1:6: undeclared reference to 'Other' (in container '')"],
    ["JSONPatch{to: 'a'}", "ERROR: <input>:1:13: expected type of field 'to' is '' but provided type is 'string'"],
    ["JSONPatch{op: 1}", "ERROR: <input>:1:13: expected type of field 'op' is 'string' but provided type is 'int'"],
  ] as const)
    expect([source, faultOf(source)]).toEqual([source, fault]);
});

test("elsewhere there are no such types and functions", () => {
  const plain = { variables: new Map(), functions: new FunctionTable(standardLibrary) };
  for (const source of ["Object{}", "Object", "JSONPatch{}", 'jsonpatch.escapeKey("a")'])
    expect(() => Program.compile(source, plain)).toThrow("undeclared reference");
});
