import { expect, test } from "bun:test";
import { compareKeys } from "../../store/key-order.ts";
import type { Entry } from "./entry.ts";
import { rangeOf } from "./sorted-entries.ts";

test("the entries of a namespace are those below its name, whatever theirs are", () => {
  const keys = ["a-b/x", "a/x", "a/\uffff", "a/\uffff\uffff", "a/\u{1f600}", "a0/x", "aa/x"].sort(compareKeys);
  const entries = keys.map((key) => ({ key }) as Entry);
  expect(keys.slice(...rangeOf(entries, "a"))).toEqual(["a/x", "a/\uffff", "a/\uffff\uffff", "a/\u{1f600}"]);
  expect(keys.slice(...rangeOf(entries, "b"))).toEqual([]);
});
