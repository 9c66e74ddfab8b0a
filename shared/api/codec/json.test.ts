import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeJson, encodeJson, JsonSyntaxError, maxDepth } from "./json.ts";

const paths = (text: string) => decodeJson(text).duplicates.map((duplicate) => duplicate.message);

describe("nothing is lost", () => {
  for (const text of [
    '{"a":9007199254740993,"b":-9223372036854775808,"c":18446744073709551616}',
    '{"a":1.0,"b":1e3,"c":-0,"d":1.25,"e":0.1}',
    '{"__proto__":{"x":1},"constructor":1,"toString":{}}',
    '{"a":"\\u003cb\\u003e \\"quoted\\" \\\\ \\n"}',
    '[[],{},null,true,false,"",0]',
    '"text"',
  ]) {
    test(text, () => {
      const { value } = decodeJson(text);
      expect(encodeJson(decodeJson(` ${text} `).value)).toBe(encodeJson(value));
      expect(encodeJson(value)).toBe(text.replaceAll("\\u003c", "<").replaceAll("\\u003e", ">"));
    });
  }

  test("any JSON is decoded as the engine decodes it", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value, null, 1);
        expect(encodeJson(decodeJson(text).value)).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  test("half of a surrogate pair becomes the replacement character", () => {
    expect(decodeJson('"a\\ud800"').value).toBe("a\ufffd");
    expect(decodeJson('"\\ud83d\\ude42"').value).toBe("🙂");
  });
});

test("fields given twice are reported in order, each once, and the last one wins", () => {
  const text = '{"a":1,"spec":{"c":[{"x":1,"x":2,"x":3}],"b":1,"b":2},"a":{"__proto__":1,"__proto__":2}}';
  expect(paths(text)).toEqual([
    'duplicate field "spec.c[0].x"',
    'duplicate field "spec.b"',
    'duplicate field "a"',
    'duplicate field "a.__proto__"',
  ]);
  expect(decodeJson(text).value).toMatchObject({ spec: { c: [{ x: 3 }], b: 2 } });
});

test("positions follow the document", () => {
  const document = decodeJson('{ "b": {"d": 1}, "a": [ {"c": 2} ] }');
  const order = ["a[0].c", "a", "b.d", "b"].toSorted((x, y) => document.positionOf(x) - document.positionOf(y));
  expect(order).toEqual(["b", "b.d", "a", "a[0].c"]);
  expect(document.positionOf("nowhere")).toBe(Number.POSITIVE_INFINITY);
});

describe("bad JSON is refused in Go's words", () => {
  const cases: [string, string][] = [
    ["", "unexpected end of JSON input"],
    ['{"a":', "unexpected end of JSON input"],
    ['"abc', "unexpected end of JSON input"],
    ["{a:1}", "invalid character 'a' looking for beginning of object key string"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b":2}', "invalid character '\"' after object key:value pair"],
    ["[1 2]", "invalid character '2' after array element"],
    ["[1,]", "invalid character ']' looking for beginning of value"],
    ["{} x", "invalid character 'x' after top-level value"],
    ["tru3", "invalid character '3' in literal true (expecting 'e')"],
    ["-x", "invalid character 'x' in numeric literal"],
    ["1.x", "invalid character 'x' after decimal point in numeric literal"],
    ["1ex", "invalid character 'x' in exponent of numeric literal"],
    ["01", "invalid character '1' after top-level value"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ["'a'", "invalid character '\\'' looking for beginning of value"],
    ["é", "invalid character 'Ã' looking for beginning of value"],
  ];
  for (const [text, message] of cases) {
    test(JSON.stringify(text), () => {
      expect(() => decodeJson(text)).toThrow(new JsonSyntaxError(message));
    });
  }

  test("nesting is bounded", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(() => decodeJson(nested(maxDepth))).not.toThrow();
    expect(() => decodeJson(nested(maxDepth + 2))).toThrow("exceeded max depth");
    expect(() => decodeJson("[".repeat(1_000_000))).toThrow("exceeded max depth");
  });
});

test("a number that a double does not hold is compared as the nearest one, and written back digit by digit", () => {
  const { large, negative, decimal } = decodeJson(
    '{"large":9223372036854775807,"negative":-9007199254740993,"decimal":1.0}',
  ).value as Record<string, number>;
  expect([Number(large) > 0, (large ?? 0) > 5, (negative ?? 0) < 0, (decimal ?? 0) + 1]).toEqual([true, true, true, 2]);
  expect(`${large} ${decimal}`).toBe("9223372036854775807 1.0");
  expect(encodeJson({ large, negative, decimal })).toBe(
    '{"large":9223372036854775807,"negative":-9007199254740993,"decimal":1.0}',
  );
});
