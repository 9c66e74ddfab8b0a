import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  formatLabelSelector,
  LabelSelector,
  type Labels,
  labelSelectorOf,
  labelSelectorOfMap,
  labelSelectorOrNone,
  parseLabelSelector,
} from "./label-selector.ts";

describe("parseLabelSelector", () => {
  const canonical: [string, string][] = [
    ["", ""],
    ["x=a,y=b,z=c", "x=a,y=b,z=c"],
    ["x!=a,y=b", "x!=a,y=b"],
    ["x==a", "x==a"],
    ["x=", "x="],
    ["x= ,z= ", "x=,z="],
    ["x", "x"],
    ["!x", "!x"],
    ["! x", "!x"],
    ["x>1", "x>1"],
    ["x>1,z<5", "x>1,z<5"],
    ["x in (c,a,b)", "x in (a,b,c)"],
    ["x notin (abc)", "x notin (abc)"],
    ["x in ()", "x in ()"],
    ["x in (,)", "x in ()"],
    ["x in (a,,b)", "x in (,a,b)"],
    ["x in (a, in,  notin)", "x in (a,in,notin)"],
    ["in in (in)", "in in (in)"],
    ["notin=in", "notin=in"],
    ["  b , a in (x) ", "a in (x),b"],
    ["example.com/a.b=c", "example.com/a.b=c"],
  ];
  for (const [text, expected] of canonical) {
    test(`"${text}"`, () => {
      expect(parseLabelSelector(text).toString()).toBe(expected);
      expect(parseLabelSelector(expected).toString()).toBe(expected);
    });
  }

  const refused: [string, string][] = [
    ["x=a||y=b", 'unable to parse requirement: values[0][x]: Invalid value: "a||y"'],
    ["x===a", "unable to parse requirement: found '=', expected: identifier"],
    ["!x=a", "found '=', expected: ',' or 'end of string'"],
    [
      "x<a",
      "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer",
    ],
    ["x,", "found '', expected: identifier after ','"],
    [",x", "found ',', expected: !, identifier, or 'end of string'"],
    ["x in a", "unable to parse requirement: found 'a' expected: '('"],
    ["x in (a", "unable to parse requirement: found '', expected: ',' or ')'"],
    ["x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt"],
    [
      "-x=a",
      'unable to parse requirement: <nil>: Invalid value: "-x": name part must consist of alphanumeric characters',
    ],
    ["a/b/c", 'unable to parse requirement: <nil>: Invalid value: "a/b/c": a valid label key must consist of'],
  ];
  for (const [text, message] of refused) {
    test(`refuses "${text}"`, () => {
      expect(() => parseLabelSelector(text)).toThrow(message);
    });
  }
});

describe("matching", () => {
  const cases: [string, Labels, boolean][] = [
    ["", { x: "y" }, true],
    ["x=y", { x: "y" }, true],
    ["x=y,z=w", { x: "y", z: "w" }, true],
    ["x!=y,z!=w", { x: "z", z: "a" }, true],
    ["notin=in", { notin: "in" }, true],
    ["x", { x: "z" }, true],
    ["!x", { y: "z" }, true],
    ["x>1", { x: "2" }, true],
    ["x<1", { x: "0" }, true],
    ["x<1", { x: "one" }, false],
    ["x=z", {}, false],
    ["x!=a", {}, true],
    ["x notin (a)", {}, true],
    ["x in (a,b)", { x: "c" }, false],
    ["constructor", {}, false],
    ["x>9007199254740992", { x: "9007199254740993" }, true],
  ];
  for (const [text, labels, expected] of cases) {
    test(`"${text}" on ${JSON.stringify(labels)}`, () => {
      expect(parseLabelSelector(text).matches(labels)).toBe(expected);
    });
  }

  test("absent labels are none", () => {
    expect(parseLabelSelector("!x").matches(undefined)).toBe(true);
  });

  test("exactValue tells what an index can answer", () => {
    const selector = parseLabelSelector("a=1,b in (2),c in (3,4),d!=5");
    expect(["a", "b", "c", "d", "e"].map((key) => selector.exactValue(key))).toEqual([
      "1",
      "2",
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("API selectors", () => {
  test("absent selects nothing, empty selects everything", () => {
    expect(labelSelectorOf(undefined).matches({ a: "b" })).toBe(false);
    expect(labelSelectorOf({}).matches({ a: "b" })).toBe(true);
    expect(labelSelectorOfMap(undefined).isEmpty).toBe(true);
    expect(LabelSelector.nothing.isEmpty).toBe(false);
  });

  test("matchLabels and matchExpressions together", () => {
    const selector = labelSelectorOf({
      matchLabels: { app: "web" },
      matchExpressions: [
        { key: "tier", operator: "In", values: ["b", "a"] },
        { key: "old", operator: "DoesNotExist" },
      ],
    });
    expect(selector.toString()).toBe("app=web,!old,tier in (a,b)");
    expect(selector.matches({ app: "web", tier: "a" })).toBe(true);
    expect(selector.matches({ app: "web", tier: "a", old: "" })).toBe(false);
  });

  test("refuses what validation refuses", () => {
    expect(() => labelSelectorOf({ matchExpressions: [{ key: "a", operator: "Like" }] })).toThrow(
      '"Like" is not a valid label selector operator',
    );
    expect(() => labelSelectorOf({ matchExpressions: [{ key: "a", operator: "In" }] })).toThrow(
      "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
    );
    expect(formatLabelSelector({ matchExpressions: [{ key: "a", operator: "In" }] })).toBe("<error>");
    expect(formatLabelSelector({})).toBe("<none>");
  });
});

test("property: what a selector prints reads back to the same selector", () => {
  const word = fc.stringMatching(/^[a-z]([-a-z0-9_.]{0,5}[a-z0-9])?$/);
  const requirement = fc.oneof(
    fc.tuple(word, fc.constantFrom("=", "==", "!="), word).map((parts) => parts.join("")),
    fc
      .tuple(word, fc.constantFrom(" in ", " notin "), fc.array(word, { minLength: 1, maxLength: 4 }))
      .map(([key, operator, values]) => `${key}${operator}(${values.join(",")})`),
    fc.tuple(word, fc.constantFrom(">", "<"), fc.integer({ min: 0 })).map((parts) => parts.join("")),
    fc.tuple(fc.constantFrom("", "!"), word).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(fc.array(requirement, { maxLength: 6 }), (parts) => {
      const selector = parseLabelSelector(parts.join(","));
      const again = parseLabelSelector(selector.toString());
      expect(again.toString()).toBe(selector.toString());
    }),
  );
});

test("a selector that validation would refuse selects nothing, for who looks through many", () => {
  for (const odd of [{ matchLabels: { "a b": "c" } }, { matchExpressions: [{ key: "a", operator: "Odd" }] }]) {
    expect(() => labelSelectorOf(odd)).toThrow();
    expect(labelSelectorOrNone(odd).matches({ a: "c" })).toBe(false);
  }
  expect(labelSelectorOrNone({ matchLabels: { a: "c" } }).matches({ a: "c" })).toBe(true);
});
