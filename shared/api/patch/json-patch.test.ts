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

  test("why an operation does not apply is told as evanphx/json-patch does", () => {
    const missing = "missing value";
    const unread = "json: cannot unmarshal number into Go value of type string";
    const words: readonly [operation: object, why: string][] = [
      [{ path: "/a" }, "Unexpected kind: unknown"],
      [{ op: 7, path: "/a" }, "Unexpected kind: unknown"],
      [{ op: "add" }, `add operation failed to decode path: ${missing}`],
      [{ op: "add", path: "" }, `add operation does not apply: doc is missing path: "": ${missing}`],
      [{ op: "add", path: "/x/y" }, `add operation does not apply: doc is missing path: "/x/y": ${missing}`],
      [
        { op: "add", path: "/l/x" },
        `error in add for path: '/l/x': value was not a proper array index: 'x': strconv.Atoi: parsing "x": invalid syntax`,
      ],
      [
        { op: "add", path: "/l/+3" },
        "error in add for path: '/l/+3': Unable to access invalid index: 3: invalid index referenced",
      ],
      [{ op: "remove", path: 7 }, `remove operation failed to decode path: ${missing}`],
      [{ op: "remove", path: "/x/y" }, `remove operation does not apply: doc is missing path: "/x/y": ${missing}`],
      [{ op: "remove", path: "/x" }, `error in remove for path: '/x': Unable to remove nonexistent key: x: ${missing}`],
      [
        { op: "remove", path: "/l/99999999999999999999" },
        `error in remove for path: '/l/99999999999999999999': strconv.Atoi: parsing "99999999999999999999": value out of range`,
      ],
      [{ op: "replace", path: 7 }, `replace operation failed to decode path: ${unread}`],
      [{ op: "replace", path: "/x/y" }, `replace operation does not apply: doc is missing path: /x/y: ${missing}`],
      [{ op: "replace", path: "/l/-" }, `replace operation does not apply: doc is missing key: /l/-: ${missing}`],
      [{ op: "replace", path: "" }, "replace operation value must be object or array: %!w(<nil>)"],
      [{ op: "move" }, `move operation failed to decode from: operation, missing from field: ${missing}`],
      [{ op: "move", from: "/x/y" }, `move operation does not apply: doc is missing from path: /x/y: ${missing}`],
      [{ op: "move", from: "/m/x" }, `error in move for path: 'x': Unable to remove nonexistent key: x: ${missing}`],
      [{ op: "move", from: "/m/a" }, `move operation failed to decode path: operation missing path field: ${missing}`],
      [
        { op: "move", from: "/m/a", path: "/x/y" },
        `move operation does not apply: doc is missing destination path: /x/y: ${missing}`,
      ],
      [{ op: "copy", from: 7 }, `copy operation failed to decode from: ${unread}`],
      [{ op: "copy", from: "/x/y" }, `copy operation does not apply: doc is missing from path: /x/y: ${missing}`],
      [
        { op: "copy", from: "/l/3" },
        "error in copy for from: '/l/3': Unable to access invalid index: 3: invalid index referenced",
      ],
      [{ op: "copy", from: "/m" }, `copy operation failed to decode path: ${missing}`],
      [
        { op: "copy", from: "/m", path: "/l/3" },
        "error while adding value during copy: Unable to access invalid index: 3: invalid index referenced",
      ],
      [{ op: "test" }, `test operation failed to decode path: operation missing path field: ${missing}`],
      [{ op: "test", path: "/x/y" }, `test operation does not apply: is missing path: /x/y: ${missing}`],
      [{ op: "test", path: "/l/x" }, `error in test for path: '/l/x': strconv.Atoi: parsing "x": invalid syntax`],
      [{ op: "test", path: "/m", value: 1 }, "testing value /m failed: test failed"],
    ];
    for (const [operation, why] of words) expect(misfitOf({ l: [1, 2], m: { a: 1 } }, operation)).toBe(why);
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

function misfitOf(object: Record<string, unknown>, operation: object): string | undefined {
  try {
    applyJsonPatch(object, [operation]);
  } catch (error) {
    if (error instanceof StatusError) return (error.cause as Error).message;
    throw error;
  }
  return undefined;
}

function codeOf(run: () => unknown): number {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error.code;
    throw error;
  }
  return 0;
}
