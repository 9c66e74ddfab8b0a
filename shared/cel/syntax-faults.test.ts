/** What is said of text that is no expression. Expectations were seen at upstream's API server 1.35. */
import { expect, test } from "bun:test";
import { CelSyntaxError } from "./ast.ts";
import { parse } from "./parser.ts";

const literals = "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const beginning = `{'[', '{', '(', '.', '-', '!', ${literals}`;

test("a fault is told in the words of cel-go's parser", () => {
  for (const [text, at, message] of [
    ["object.", 8, "no viable alternative at input '.'"],
    ["object. ", 9, "no viable alternative at input '. '"],
    ["object.+1", 8, "no viable alternative at input '.+'"],
    ["object.1", 7, "extraneous input '.1' expecting <EOF>"],
    ["object.a ==", 12, `mismatched input '<EOF>' expecting ${beginning}`],
    ["object.a == )", 13, `mismatched input ')' expecting ${beginning}`],
    ["(object.a", 10, "missing ')' at '<EOF>'"],
    ["object.a)", 9, "extraneous input ')' expecting <EOF>"],
    ["object[", 8, `mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', '?', ${literals}`],
    ["object[1", 9, "missing ']' at '<EOF>'"],
    ["[1,", 4, "missing ']' at '<EOF>'"],
    ["[1", 3, "mismatched input '<EOF>' expecting {']', ','}"],
    ["{", 2, `mismatched input '<EOF>' expecting {'[', '{', '}', '(', '.', ',', '-', '!', '?', ${literals}`],
    ["{'a'", 5, "mismatched input '<EOF>' expecting ':'"],
    ["{'a':", 6, `mismatched input '<EOF>' expecting ${beginning}`],
    ["{'a':1", 7, "mismatched input '<EOF>' expecting {'}', ','}"],
    ["f(", 3, `mismatched input '<EOF>' expecting {'[', '{', '(', ')', '.', '-', '!', ${literals}`],
    ["f(1", 4, "missing ')' at '<EOF>'"],
    ["f(1,", 5, `mismatched input '<EOF>' expecting ${beginning}`],
    ["a ? b", 6, "mismatched input '<EOF>' expecting ':'"],
    ["a ? b :", 8, `mismatched input '<EOF>' expecting ${beginning}`],
    ["a ?", 4, `mismatched input '<EOF>' expecting ${beginning}`],
    ["1 +", 4, `mismatched input '<EOF>' expecting ${beginning}`],
    ["object.a b", 10, "extraneous input 'b' expecting <EOF>"],
    ["a..b", 3, "no viable alternative at input '..'"],
    ["a &&", 5, `mismatched input '<EOF>' expecting ${beginning}`],
    ["a in", 5, `mismatched input '<EOF>' expecting ${beginning}`],
    ["1 2", 3, "extraneous input '2' expecting <EOF>"],
    ["object.'a'", 8, "no viable alternative at input '.'a''"],
    ["has(", 5, `mismatched input '<EOF>' expecting {'[', '{', '(', ')', '.', '-', '!', ${literals}`],
    ["a.b.", 5, "no viable alternative at input '.'"],
    ["x{", 3, "mismatched input '<EOF>' expecting {'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}"],
    ["x{a", 4, "mismatched input '<EOF>' expecting ':'"],
    ["x{a:", 5, `mismatched input '<EOF>' expecting ${beginning}`],
  ] as const) {
    const fault = faultOf(text);
    expect([text, (fault?.at ?? -1) + 1, fault?.message]).toEqual([text, at, `Syntax error: ${message}`]);
  }
});

test("in is no name of a field", () => {
  expect(faultOf("object.in")?.message).toBe("Syntax error: no viable alternative at input '.in'");
  expect(faultOf("object.`in`")).toBeUndefined();
  expect(faultOf("object.inner in [1]")).toBeUndefined();
});

function faultOf(text: string): CelSyntaxError | undefined {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof CelSyntaxError) return error;
    throw error;
  }
  return undefined;
}
