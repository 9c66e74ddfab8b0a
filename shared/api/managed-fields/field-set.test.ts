import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FieldSet, type Path } from "./field-set.ts";
import { treeCovers, treeOverlaps, treeWithout } from "./fields-tree.ts";
import { canonicalElement, compareElements, displayPath, keyElement, valueElement } from "./path-element.ts";

const keys = ['k:{"name":"x"}', 'k:{"name":"y"}', "v:1", 'v:"1"', "i:0"];
const element = fc.constantFrom("f:a", "f:b", "f:c", "f:d", "f:e", "f:f", "f:g", "f:__proto__", ...keys);
const path: fc.Arbitrary<Path> = fc.array(element, { minLength: 1, maxLength: 4 });
const fieldSet = fc.array(path, { maxLength: 24 }).map((paths) => FieldSet.of(...paths));
const texts = (set: FieldSet): string[] => [...set.paths()].map((each) => JSON.stringify(each));

/** The same operations on sets of texts: what the trees must agree with. */
const minus = (a: readonly string[], b: readonly string[]): string[] => a.filter((each) => !b.includes(each));
const sorted = (each: readonly string[]): string[] => [...new Set(each)].sort();

describe("set algebra", () => {
  test("of two spellings of one element the last counts", () => {
    const set = FieldSet.fromFieldsV1({ 'k:{"a":1,"b":2}': { "f:x": {} }, 'k:{"b":2,"a":1}': { "f:y": {} } });
    expect(texts(set)).toEqual([JSON.stringify(['k:{"a":1,"b":2}', "f:y"])]);
  });

  test("property: union, intersection and difference are those of sets of paths", () => {
    fc.assert(
      fc.property(fieldSet, fieldSet, (a, b) => {
        const [left, right] = [texts(a), texts(b)];
        expect(sorted(texts(a.union(b)))).toEqual(sorted([...left, ...right]));
        expect(sorted(texts(a.intersection(b)))).toEqual(sorted(left.filter((each) => right.includes(each))));
        expect(sorted(texts(a.difference(b)))).toEqual(sorted(minus(left, right)));
        expect(a.difference(a).isEmpty).toBe(true);
        expect(a.union(b).equals(b.union(a))).toBe(true);
        expect(a.size).toBe(left.length);
      }),
    );
  });

  test("property: a recursive difference takes along what is below", () => {
    fc.assert(
      fc.property(fieldSet, fieldSet, (a, b) => {
        const gone = [...b.paths()];
        const expected = [...a.paths()].filter(
          (each) => !gone.some((parent) => parent.every((part, index) => each[index] === part)),
        );
        expect(sorted(texts(a.recursiveDifference(b)))).toEqual(sorted(expected.map((each) => JSON.stringify(each))));
      }),
    );
  });

  test("property: FieldsV1 reads back, and its text does not depend on the order of insertion", () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 24 }), (paths) => {
        const set = FieldSet.of(...paths);
        const tree = set.toFieldsV1();
        expect(FieldSet.fromFieldsV1(tree).equals(set)).toBe(true);
        expect(JSON.stringify(FieldSet.of(...paths.toReversed()).toFieldsV1())).toBe(JSON.stringify(tree));
      }),
    );
  });

  test("property: stored trees answer as sets do", () => {
    fc.assert(
      fc.property(fieldSet, fieldSet, (stored, set) => {
        const tree = stored.toFieldsV1();
        const before = JSON.stringify(tree);
        expect(treeOverlaps(tree, set)).toBe(!stored.intersection(set).isEmpty);
        expect(treeCovers(tree, set)).toBe(set.difference(stored).isEmpty);
        expect(JSON.stringify(treeWithout(tree, set))).toBe(JSON.stringify(stored.difference(set).toFieldsV1()));
        expect(JSON.stringify(tree)).toBe(before);
      }),
    );
  });

  test("a tree that has none of the paths is shared", () => {
    const tree = FieldSet.ofFields(["spec", "a"], ["status", "b"]).toFieldsV1();
    expect(treeWithout(tree, FieldSet.ofFields(["spec", "z"]))).toBe(tree);
    const rest = treeWithout(tree, FieldSet.ofFields(["spec", "a"]));
    expect(rest).toEqual({ "f:status": { "f:b": {} } });
    expect(rest["f:status"]).toBe(tree["f:status"]);
  });
});

describe("path elements", () => {
  test("canonical text", () => {
    expect(keyElement(["containerPort", "protocol"], [80, "TCP"])).toBe('k:{"containerPort":80,"protocol":"TCP"}');
    expect(valueElement("<&>")).toBe('v:"\\u003c\\u0026\\u003e"');
    expect(valueElement("\\b\b")).toBe('v:"\\\\b\\u0008"');
    expect(canonicalElement('k:{ "b" : 1.0, "a" : "x" }')).toBe('k:{"a":"x","b":1}');
    expect(canonicalElement("i:01")).toBe("i:1");
    expect(canonicalElement("x:what")).toBeUndefined();
    expect(() => canonicalElement("f")).toThrow(SyntaxError);
    expect(() => canonicalElement("v:{")).toThrow(SyntaxError);
  });

  test("order: fields, list map elements, set elements, indices", () => {
    const elements = ['v:"a"', "i:2", "i:10", 'k:{"n":"b"}', "f:b", "v:true", 'k:{"n":2}', "v:10", "f:a", "v:9"];
    expect(elements.sort(compareElements)).toEqual([
      "f:a",
      "f:b",
      'k:{"n":2}',
      'k:{"n":"b"}',
      "v:9",
      "v:10",
      'v:"a"',
      "v:true",
      "i:2",
      "i:10",
    ]);
  });

  test("display", () => {
    const shown = displayPath(["f:spec", 'k:{"name":"x","port":80}', 'v:"y"', "i:3"]);
    expect(shown).toBe('.spec[name="x",port=80][="y"][3]');
  });
});
