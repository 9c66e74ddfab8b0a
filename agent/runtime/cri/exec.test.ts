import { expect, test } from "bun:test";
import { isCalled } from "./exec.ts";

test.each([
  ["what was asked for", ["sh", "-c", "true"], ["sh", "-c", "true"], true],
  ["a script, which its interpreter runs", ["/bin/sh", "/opt/check", "-v"], ["/opt/check", "-v"], true],
  ["a script that was found in the path", ["/bin/sh", "-e", "/usr/bin/check"], ["check"], true],
  ["another script of such an end", ["/bin/sh", "/usr/bin/recheck"], ["check"], false],
  ["other words", ["sh", "-c", "false"], ["sh", "-c", "true"], false],
  ["a program that has such an end", ["/usr/bin/check"], ["check"], false],
  ["fewer words", ["check"], ["check", "-v"], false],
  ["one that has ended", [], ["check"], false],
])("%s", (_, words, command, isIt) => {
  expect(isCalled(words, command)).toBe(isIt);
});
