import { describe, expect, test } from "bun:test";
import { FunctionTable } from "./functions.ts";
import { listLibrary } from "./list-library.ts";
import { CompileError, Program } from "./program.ts";
import { standardLibrary } from "./standard-library.ts";
import { dyn, int, listOf, mapOf, objectOf, string, type Type } from "./types.ts";
import { fromJson, toJson } from "./values.ts";

const functions = new FunctionTable(standardLibrary, listLibrary);
const self = { name: "web", replicas: 3, ratio: 0.5, tags: ["a", "b"], labels: { app: "x", "a-b": "y" }, "my-key": 1 };
const selfType = objectOf("Object", {
  name: string,
  replicas: int,
  ratio: { kind: "double" } as Type,
  tags: listOf(string),
  labels: mapOf(string, string),
  any: dyn,
});

function evaluate(source: string, type: Type = selfType): unknown {
  const program = Program.compile(source, { variables: new Map([["self", type]]), functions, hasBindings: true });
  const value = program.run((name) => (name === "self" ? fromJson(self, type) : undefined), 100_000);
  return toJson(value);
}

describe("CEL evaluates", () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ["1 + 2 * 3", 7],
    ["-5 / 2", -2],
    ["7 % 3 == 1 && !false", true],
    ["1.5 < 2", true],
    ["'a' + 'b'", "ab"],
    ["self.replicas > 2 ? 'many' : 'few'", "many"],
    ["size(self.tags) == 2", true],
    ["self.tags.size()", 2],
    ["'a' in self.tags", true],
    ["'app' in self.labels", true],
    ["self.labels['a-b']", "y"],
    ["has(self.any)", false],
    ["has(self.name)", true],
    ["self.tags.all(t, t.size() == 1)", true],
    ["self.tags.exists(t, t == 'b')", true],
    ["self.tags.exists_one(t, t == 'b')", true],
    ["self.tags.map(t, t + t)", ["aa", "bb"]],
    ["self.tags.map(t, t != 'a', t)", ["b"]],
    ["self.tags.filter(t, t > 'a')", ["b"]],
    ["self.labels.all(k, k.startsWith('a'))", true],
    ["[1, 2, 3].all(i, v, i < v)", true],
    ["['x', 'y'].transformList(i, v, v + string(i))", ["x0", "y1"]],
    ["{'a': 1, 'b': 2}.transformMap(k, v, v * 2)", { a: 2, b: 4 }],
    ["cel.bind(x, 3, x * x)", 9],
    ["[3, 1, 2].sort()", [1, 2, 3]],
    ["[{'k': 2}, {'k': 1}].sortBy(x, x.k)", [{ k: 1 }, { k: 2 }]],
    ["[1, 2, 1].distinct()", [1, 2]],
    ["['a', 'b', 'c'].reverse()", ["c", "b", "a"]],
    ["[1, 2, 3, 4].slice(1, 3)", [2, 3]],
    ["[[1], [2, 3]].flatten()", [1, 2, 3]],
    ["[[dyn(1), dyn([2])], [dyn(3)]].flatten(2)", [1, 2, 3]],
    ["lists.range(3)", [0, 1, 2]],
    ["optional.of(1).orValue(2)", 1],
    ["self.?any.orValue('none')", "none"],
    ["self.?name.orValue('none')", "web"],
    ["self.labels[?'zz'].hasValue()", false],
    ["optional.of(2).optMap(x, x + 1).value()", 3],
    ["[1, ?optional.none(), 2]", [1, 2]],
    ["'a,b,c'.split(',')", ["a", "b", "c"]],
    ["['a','b'].join('-')", "a-b"],
    ["'héllo'.size()", 5],
    ["'hello'.substring(1, 3)", "el"],
    ["'x%sy%d'.format(['A', 3])", "xAy3"],
    ["'abc'.matches('^[a-c]+$')", true],
    ["b'abc' == bytes('abc')", true],
    ["timestamp('2024-01-02T03:04:05Z').getFullYear()", 2024],
    ["duration('1h30m').getMinutes()", 90],
    ["timestamp('2024-01-01T00:00:00Z') + duration('24h') == timestamp('2024-01-02T00:00:00Z')", true],
    ["type(1) == int", true],
    ["int('42')", 42],
    ["string(1.5)", "1.5"],
    ["1 == 1 || 1 / 0 == 1", true],
    ["1 / 0 == 1 || true", true],
    ["sets.contains([1, 2, 3], [1, 2])", true],
    ["dyn(1) == 1.0", true],
    ["self.ratio * 2.0", 1],
    ["null == null", true],
    ["[1, 2] + [3] == [1, 2, 3]", true],
    ["{'a': [1]} == {'a': [1]}", true],
    ["r'a\\d' + \"\\n\" + '''x\ny'''", "a\\d\nx\ny"],
    ["0x1F", 31],
    ["1u + 2u == 3u", true],
    ["'abc'.lastIndexOf('c')", 2],
    ["'Hello'.lowerAscii().replace('l', 'L')", "heLLo"],
  ];
  for (const [source, result] of cases) test(source, () => expect(evaluate(source)).toEqual(result));
});

describe("CEL refuses to compile", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["self.nope", "undefined field 'nope'"],
    ["foo == 1", "undeclared reference to 'foo' (in container '')"],
    ["self.name + 1", "found no matching overload for '_+_' applied to '(string, int)'"],
    ["1 +", "mismatched input '<EOF>'"],
    ["self.name.foo()", "undeclared reference to 'foo'"],
    ["self.tags.all(t, t)", "expected type 'bool' but found 'string'"],
    ["self.replicas.all(t, true)", "cannot be range of a comprehension"],
    ["'a' == 1", "found no matching overload for '_==_'"],
    ["[1, 2", "Syntax error"],
    ["self.name[0]", "found no matching overload for '_[_]'"],
  ];
  for (const [source, message] of cases) {
    test(source, () => {
      expect(() => evaluate(source)).toThrow(CompileError);
      expect(() => evaluate(source)).toThrow(message);
    });
  }
});

describe("CEL fails to evaluate", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["1 / 0", "division by zero"],
    ["[1][3]", "index out of bounds: 3"],
    ["self.labels['zz']", "no such key: zz"],
    ["self.any == 1", "no such key: any"],
    ["9223372036854775807 + 1", "integer overflow"],
    ["int('x')", "type conversion error from 'string' to 'int'"],
    ["dyn('a') + dyn(1) == 'a1'", "no such overload"],
    [
      "[1,2,3,4,5,6,7,8,9].map(a, [1,2,3,4,5,6,7,8,9].map(b, [1,2,3,4,5,6,7,8,9].map(c, [1,2,3,4,5,6,7,8,9].map(d, [1,2,3,4,5,6,7,8,9].map(e, a))))).size()",
      "cost limit exceeded",
    ],
  ];
  for (const [source, message] of cases) test(source, () => expect(() => evaluate(source)).toThrow(message));
});

test("points at what is wrong", () => {
  expect(() => evaluate("self.name ==\n  self.nope")).toThrow(
    "ERROR: <input>:2:7: undefined field 'nope'\n |   self.nope\n | ......^",
  );
});
