import { describe, expect, test } from "bun:test";
import { escapeFieldValue, FieldSelector, parseFieldSelector } from "./field-selector.ts";

const reader = (fields: Record<string, string>) => (field: string) => fields[field] ?? "";

describe("parseFieldSelector", () => {
  test("operators, order and empty terms", () => {
    expect(parseFieldSelector("b!=2,,a==1").toString()).toBe("a=1,b!=2");
    expect(parseFieldSelector("").isEmpty).toBe(true);
    expect(parseFieldSelector("a=").requirements).toEqual([{ field: "a", operator: "=", value: "" }]);
  });

  test("escapes", () => {
    const selector = parseFieldSelector("a=x\\,y\\=\\\\,b=1");
    expect(selector.requirements).toEqual([
      { field: "a", operator: "=", value: "x,y=\\" },
      { field: "b", operator: "=", value: "1" },
    ]);
    expect(parseFieldSelector(selector.toString()).requirements).toEqual(selector.requirements);
    expect(escapeFieldValue("a,b=c\\")).toBe("a\\,b\\=c\\\\");
  });

  test("refusals", () => {
    expect(() => parseFieldSelector("a")).toThrow("invalid selector: 'a'; can't understand 'a'");
    expect(() => parseFieldSelector("a=b=c")).toThrow("invalid field selector: unescaped character in value: 61");
    expect(() => parseFieldSelector("a=\\x")).toThrow("invalid field selector: invalid escape sequence: \\x");
    expect(() => parseFieldSelector("a=b\\")).toThrow("invalid field selector: invalid escape sequence: \\");
  });
});

describe("matching", () => {
  test("an unset field is empty", () => {
    expect(parseFieldSelector("spec.nodeName=").matches(reader({}))).toBe(true);
    expect(parseFieldSelector("spec.nodeName!=").matches(reader({}))).toBe(false);
    expect(parseFieldSelector("a=1,b!=2").matches(reader({ a: "1", b: "3" }))).toBe(true);
    expect(FieldSelector.everything.matches(reader({}))).toBe(true);
  });

  test("exactValue skips what is only excluded", () => {
    expect(parseFieldSelector("a!=1,a=2").exactValue("a")).toBe("2");
    expect(parseFieldSelector("a!=1").exactValue("a")).toBeUndefined();
  });
});
