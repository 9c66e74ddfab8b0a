import { describe, expect, test } from "bun:test";
import { encodeJson } from "./json.ts";
import { decodeYaml } from "./yaml.ts";

const json = (text: string) => encodeJson(decodeYaml(text).value);

describe("scalars are read as Go reads them", () => {
  const cases: [string, string][] = [
    ["yes", "true"],
    ["off", "false"],
    ["'yes'", '"yes"'],
    ["~", "null"],
    ["", "null"],
    ["0777", "511"],
    ["0o17", "15"],
    ["0x1F", "31"],
    ["0b101", "5"],
    ["1_000", "1000"],
    ["9223372036854775807", "9223372036854775807"],
    ["1.0", "1"],
    ["1e3", "1000"],
    [".5", "0.5"],
    ["089", "89"],
    ["1:30", '"1:30"'],
    ["2001-12-14", '"2001-12-14"'],
    ["1.2.3", '"1.2.3"'],
    ["!!str 12", '"12"'],
    ['"12"', '"12"'],
    ["|\n  a\n  b\n", '"a\\nb\\n"'],
    ["1Gi", '"1Gi"'],
    ["-", "[null]"],
  ];
  for (const [yaml, expected] of cases) {
    test(JSON.stringify(yaml), () => {
      expect(json(yaml)).toBe(expected);
    });
  }
});

test("keys become sorted strings", () => {
  expect(json("b: 1\na: {1: x, true: w, __proto__: z}\n")).toBe('{"a":{"1":"x","__proto__":"z","true":"w"},"b":1}');
});

test("anchors, aliases and merge keys", () => {
  expect(json("base: &b {x: 1, z: 2}\nother: {<<: *b, z: 3}\nsame: *b\n")).toBe(
    '{"base":{"x":1,"z":2},"other":{"x":1,"z":3},"same":{"x":1,"z":2}}',
  );
});

test("fields given twice are named with the line of the second", () => {
  const { duplicates, value } = decodeYaml("\nspec:\n  foo: 1\n  foo: 2\nlist:\n- a: 1\n  a: 2\n");
  expect(duplicates.map(({ message, path }) => [path, message])).toEqual([
    ["spec.foo", 'line 4: key "foo" already set in map'],
    ["list[0].a", 'line 7: key "a" already set in map'],
  ]);
  expect(value).toEqual({ spec: { foo: 2 }, list: [{ a: 2 }] });
});

test("only the first document counts", () => {
  expect(json("a: 1\n---\nb: 2\n")).toBe('{"a":1}');
});

test("faults name the line", () => {
  expect(() => decodeYaml("a: b: c\n")).toThrow(/^yaml: line 1: /);
  expect(() => decodeYaml("a: *nowhere\n")).toThrow(/^yaml: /);
});

test("of faults without number the first is named", () => {
  expect(() => decodeYaml(`x: 1\na: ${'"x" '.repeat(20_000)}`)).toThrow(
    "yaml: line 2: Unexpected double-quoted-scalar at node end",
  );
});

test("expansion by aliases is bounded", () => {
  let text = "a0: &a0 [x]\n";
  for (let i = 1; i < 30; i++) text += `a${i}: &a${i} [*a${i - 1}, *a${i - 1}, *a${i - 1}]\n`;
  expect(() => decodeYaml(text)).toThrow(/excessive aliasing|max depth/);
  expect(() => decodeYaml("[".repeat(100_000))).toThrow(/^yaml: /);
  const long = `a: &a ${"x".repeat(100_000)}\nb: [${"*a, ".repeat(200)}*a]\n`;
  expect(() => decodeYaml(long)).toThrow("document contains excessive aliasing");
});

test("how many values a text has is bounded before they are made", () => {
  for (const text of [`a: [${"{}, ".repeat(110_000)}]`, `a:\n${"- a: b\n".repeat(50_000)}`])
    expect(() => decodeYaml(text)).toThrow("yaml: the document has too many values");
  const words = `${"with words ".repeat(5)}\n`;
  const ordinary = Array.from({ length: 5000 }, (_, index) => `key${index}: a line ${words}`).join("");
  expect(Object.keys(decodeYaml(ordinary).value as object)).toHaveLength(5000);
});

test("control characters are not allowed", () => {
  for (const text of ["a: \u0001", "a: \u007f", 'a: "\u0090"']) {
    expect(() => decodeYaml(text)).toThrow("yaml: control characters are not allowed");
  }
  expect(decodeYaml("a: \u0085é\ud83d\ude00\tb").value).toEqual({ a: "\u0085é\ud83d\ude00\tb" });
});
