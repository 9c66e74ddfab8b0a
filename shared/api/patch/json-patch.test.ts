import { describe, expect, test } from "bun:test";
import { numberFromToken } from "../codec/number.ts";
import { StatusError } from "../errors.ts";
import { applyJsonPatch, unknownJsonPatchFields } from "./json-patch.ts";

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
const keepDigits: Reviver = (_key, value, { source }) =>
  typeof value === "number" && source !== undefined && String(value) !== source ? numberFromToken(source) : value;
const parse = (text: string): Record<string, unknown> =>
  JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown);

describe("applyJsonPatch", () => {
  // Outcomes of evanphx/json-patch v4; `null` where it refuses.
  const cases: [string, string, string | null][] = [
    ['{"a":1}', '[{"op":"add","path":"/b","value":[1]}]', '{"a":1,"b":[1]}'],
    ['{"a":[1,3]}', '[{"op":"add","path":"/a/1","value":2}]', '{"a":[1,2,3]}'],
    ['{"a":[1]}', '[{"op":"add","path":"/a/-","value":2}]', '{"a":[1,2]}'],
    ['{"a":[1]}', '[{"op":"add","path":"/a/-1","value":2}]', '{"a":[1,2]}'],
    ['{"a":[1]}', '[{"op":"add","path":"/a/3","value":2}]', null],
    ['{"a":[1]}', '[{"op":"add","path":"/a/x","value":2}]', null],
    ["{}", '[{"op":"add","path":"/a/b","value":2}]', null],
    ['{"a":[1,2]}', '[{"op":"remove","path":"/a/-1"}]', '{"a":[1]}'],
    ['{"a":1}', '[{"op":"remove","path":"/b"}]', null],
    ['{"a":1}', '[{"op":"replace","path":"/b","value":2}]', '{"a":1,"b":2}'],
    ['{"a":[1]}', '[{"op":"replace","path":"/a/1","value":2}]', null],
    ['{"a":1}', '[{"op":"replace","path":"","value":{"b":2}}]', '{"b":2}'],
    ['{"a":1}', '[{"op":"replace","path":"","value":3}]', null],
    ['{"a":{"b":1}}', '[{"op":"move","from":"/a/b","path":"/c"}]', '{"a":{},"c":1}'],
    ['{"a":{"b":1}}', '[{"op":"copy","from":"/a","path":"/a/c"}]', '{"a":{"b":1,"c":{"b":1}}}'],
    ['{"a":1}', '[{"op":"test","path":"/a","value":1}]', '{"a":1}'],
    ['{"a":1}', '[{"op":"test","path":"/a","value":2}]', null],
    ['{"a":1.0}', '[{"op":"test","path":"/a","value":1}]', null],
    ['{"a":null}', '[{"op":"test","path":"/a","value":null}]', '{"a":null}'],
    ["{}", '[{"op":"test","path":"/a","value":null}]', "{}"],
    ['{"a":{"x":[1,{"y":2}]}}', '[{"op":"test","path":"/a","value":{"x":[1,{"y":2}]}}]', '{"a":{"x":[1,{"y":2}]}}'],
    ['{"a/b":{"~":1}}', '[{"op":"replace","path":"/a~1b/~0","value":2}]', '{"a/b":{"~":2}}'],
    ['{"a":1}', '[{"op":"spin","path":"/a"}]', null],
    ['{"a":1}', '[{"op":"add","value":1}]', null],
    [
      '{"a":9007199254740993}',
      '[{"op":"copy","from":"/a","path":"/b"}]',
      '{"a":9007199254740993,"b":9007199254740993}',
    ],
    [
      '{"m":{"constructor":1}}',
      '[{"op":"add","path":"/m/__proto__","value":{"x":1}},{"op":"remove","path":"/m/constructor"}]',
      '{"m":{"__proto__":{"x":1}}}',
    ],
    ['{"m":{}}', '[{"op":"test","path":"/m/toString","value":null}]', '{"m":{}}'],
  ];
  for (const [object, patch, expected] of cases) {
    test(`${patch} on ${object}`, () => {
      const before = parse(object);
      if (expected === null) {
        expect(() => applyJsonPatch(before, parse(patch))).toThrow(
          "the server rejected our request due to an error in our request",
        );
      } else {
        expect(JSON.stringify(applyJsonPatch(before, parse(patch)))).toBe(expected);
      }
      expect(JSON.stringify(before)).toBe(object);
    });
  }

  test("a patch may be applied twice: its values are copied in", () => {
    const patch = parse('[{"op":"add","path":"/a","value":{}},{"op":"add","path":"/a/b","value":1}]');
    applyJsonPatch({}, patch);
    expect(applyJsonPatch({}, patch)).toEqual({ a: { b: 1 } });
    expect(JSON.stringify(patch)).toContain('"value":{}');
  });

  test("codes", () => {
    expect(codeOf(() => applyJsonPatch({}, {}))).toBe(400);
    expect(codeOf(() => applyJsonPatch({}, [1]))).toBe(400);
    expect(codeOf(() => applyJsonPatch({}, [{ op: "remove", path: "/a" }]))).toBe(422);
    const many = Array.from({ length: 10_001 }, () => ({ op: "test", path: "/a", value: null }));
    expect(codeOf(() => applyJsonPatch({}, many))).toBe(413);
  });

  test("copies are bounded", () => {
    const doubling = Array.from({ length: 40 }, () => ({ op: "copy", from: "/a", path: "/a/-" }));
    expect(codeOf(() => applyJsonPatch({ a: ["x".repeat(1000)] }, doubling))).toBe(422);
  });

  test("depth is bounded", () => {
    const deeper = (times: number) =>
      Array.from({ length: times }, (_, index) => ({ op: "copy", from: "/a", path: `/a${"/a".repeat(2 ** index)}` }));
    expect(codeOf(() => applyJsonPatch({ a: {} }, deeper(8)))).toBe(0);
    expect(codeOf(() => applyJsonPatch({ a: {} }, deeper(14)))).toBe(413);
    const added = Array.from({ length: 600 }, (_, index) => ({ op: "add", path: "/a".repeat(index + 1), value: {} }));
    expect(codeOf(() => applyJsonPatch({}, added))).toBe(413);
  });

  test("work is bounded", () => {
    const comparing = Array.from({ length: 9_000 }, () => ({ op: "test", path: "/a", value: Array(1000).fill(0) }));
    expect(codeOf(() => applyJsonPatch({ a: Array(1000).fill(0) }, comparing))).toBe(413);
  });

  test("unknown members are told", () => {
    expect(
      unknownJsonPatchFields([
        { op: "add", path: "/a", value: 1 },
        { op: "add", pth: "" },
      ]),
    ).toEqual(["[1].pth"]);
  });
});

function codeOf(run: () => unknown): number {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error.code;
    throw error;
  }
  return 0;
}
