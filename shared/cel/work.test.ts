import { describe, expect, test } from "bun:test";
import { FunctionTable } from "./functions.ts";
import { listLibrary } from "./list-library.ts";
import { Program } from "./program.ts";
import { standardLibrary } from "./standard-library.ts";
import { int, listOf, objectOf, string, type Type } from "./types.ts";
import { fromJson, toJson } from "./values.ts";

const functions = new FunctionTable(standardLibrary, listLibrary);

function run(source: string, variables: Readonly<Record<string, readonly [Type, unknown]>> = {}): unknown {
  const types = Object.entries(variables).map(([name, [type]]) => [name, type] as const);
  const program = Program.compile(source, { variables: new Map(types), functions, hasBindings: true });
  const value = program.run((name) => {
    const known = variables[name];
    return known && fromJson(known[1], known[0]);
  }, 1_000_000);
  return toJson(value);
}

const doubled = (
  start: string,
  step: (name: string) => string,
  times: number,
  end: (name: string) => string,
): string => {
  let source = end(`v${times}`);
  for (let index = times; index > 0; index -= 1) source = `cel.bind(v${index}, ${step(`v${index - 1}`)}, ${source})`;
  return `cel.bind(v0, ${start}, ${source})`;
};

describe("what cel-go counts as little is not done without end", () => {
  test.each([
    [
      "a list that doubles",
      doubled(
        "[1, 2]",
        (v) => `${v} + ${v}`,
        40,
        (v) => `${v}.size() > 0`,
      ),
    ],
    [
      "lists in lists, compared",
      doubled(
        "[1]",
        (v) => `[${v}, ${v}]`,
        40,
        (u) =>
          `cel.bind(u, ${u}, ${doubled(
            "[1]",
            (v) => `[${v}, ${v}]`,
            40,
            (v) => `u == ${v}`,
          )})`,
      ),
    ],
    [
      "lists in lists, as a text",
      doubled(
        "[1]",
        (v) => `[${v}, ${v}]`,
        40,
        (v) => `'%s'.format([${v}]) == ''`,
      ),
    ],
    [
      "lists in lists, as one",
      doubled(
        "[1]",
        (v) => `[${v}, ${v}]`,
        40,
        (v) => `${v}.flatten(40).size() > 0`,
      ),
    ],
    [
      "a text that is put into itself",
      doubled(
        "'xx'",
        (v) => `'%s%s'.format([${v}, ${v}])`,
        40,
        (v) => `${v} == ''`,
      ),
    ],
    [
      "a text of many others",
      doubled(
        "'x'",
        (v) => `${v}.replace('x', '${"x".repeat(60)}')`,
        9,
        (v) => `${v} == ''`,
      ),
    ],
    ["a number of many digits", "'%.100000000f'.format([1.0]) == ''"],
  ])("%s", (_what, source) => {
    expect(() => run(source)).toThrow("actual cost limit exceeded");
  });
});

test("digits beyond those of a number are noughts", () => {
  expect(run("'%.102f'.format([0.5])")).toBe(`0.5${"0".repeat(101)}`);
  expect(run("'%.101e'.format([5.0])")).toBe(`5.${"0".repeat(101)}×10⁰⁰`);
});

describe("sets and maps of many items", () => {
  const many = Array.from({ length: 100_000 }, (_, index) => `item-${index}`);
  const set = { ...listOf(string), keys: [] } as Type;

  test("are compared, whatever their order", () => {
    const back = many.toReversed();
    expect(run("a == b", { a: [set, many], b: [set, back] })).toBe(true);
    expect(run("a == b", { a: [set, many], b: [set, ["other", ...back.slice(1)]] })).toBe(false);
  });

  test("are added, each item once", () => {
    expect(run("(a + b).size()", { a: [set, many], b: [set, ["item-7", "new"]] })).toBe(100_001);
    const named = { ...listOf(objectOf("Item", { name: string, size: int })), keys: ["name"] } as Type;
    const [first, second] = [
      { name: "a", size: 1 },
      { name: "b", size: 2 },
    ];
    const sum = run("a + b", { a: [named, [first, second]], b: [named, [{ name: "a", size: 3 }]] });
    expect(sum).toEqual([{ name: "a", size: 3 }, second]);
  });
});
