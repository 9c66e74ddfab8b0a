import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { numberFromToken } from "../codec/number.ts";
import { equalJson, isJsonObject, type JsonObject, member, setMember } from "./json-value.ts";
import { applyMergePatch } from "./merge-patch.ts";

describe("applyMergePatch", () => {
  const cases: [string, string, string][] = [
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
    ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
    ["{}", '{"a":[null,{"b":null}]}', '{"a":[null,{}]}'],
    ['{"a":1}', '{"__proto__":{"x":1},"constructor":2}', '{"a":1,"__proto__":{"x":1},"constructor":2}'],
  ];
  for (const [object, patch, expected] of cases) {
    test(`${patch} on ${object}`, () => {
      const before = JSON.parse(object);
      expect(JSON.stringify(applyMergePatch(before, JSON.parse(patch)))).toBe(expected);
      expect(JSON.stringify(before)).toBe(object);
    });
  }

  test("keeps numbers that no double can carry", () => {
    const big = numberFromToken("9007199254740993");
    expect(JSON.stringify(applyMergePatch({ a: big }, { b: numberFromToken("1.0") }))).toBe(
      '{"a":9007199254740993,"b":1.0}',
    );
  });

  test("refuses what is no object", () => {
    expect(() => applyMergePatch({}, [])).toThrow("cannot unmarshal array");
    expect(() => applyMergePatch({}, null)).toThrow("Invalid JSON Patch");
  });

  test("property: the patch made from two objects turns one into the other", () => {
    const key = fc.constantFrom("a", "b", "c", "__proto__", "constructor");
    const { json } = fc.letrec<{ json: unknown }>((tie) => ({
      json: fc.oneof(
        { maxDepth: 4 },
        fc.integer(),
        fc.string(),
        fc.boolean(),
        fc.array(fc.integer(), { maxLength: 3 }),
        entries(key, tie("json")),
      ),
    }));
    fc.assert(
      fc.property(entries(key, json), entries(key, json), (from, to) => {
        expect(equalJson(applyMergePatch(from, patchBetween(from, to)), to)).toBe(true);
      }),
    );
  });
});

function entries(key: fc.Arbitrary<string>, value: fc.Arbitrary<unknown>): fc.Arbitrary<JsonObject> {
  return fc
    .uniqueArray(fc.tuple(key, value), { selector: ([name]) => name, maxLength: 4 })
    .map((pairs) => JSON.parse(`{${pairs.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(",")}}`));
}

/** The merge patch that turns one object into another. An object that itself holds nulls cannot be said by one. */
function patchBetween(from: JsonObject, to: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) setMember(patch, key, null);
  for (const key of Object.keys(to)) {
    const before = member(from, key);
    const after = to[key];
    if (equalJson(before, after)) continue;
    const isNested = isJsonObject(before) && isJsonObject(after);
    setMember(patch, key, isNested ? patchBetween(before, after) : after);
  }
  return patch;
}
