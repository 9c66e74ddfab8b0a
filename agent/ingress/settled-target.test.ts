import { expect, test } from "bun:test";
import { settledTarget } from "./settled-target.ts";

test.each([
  ["/", "/"],
  ["*", "*"],
  ["/a/b?x=/../y", "/a/b?x=/../y"],
  ["/a...b/.well-known/..x?", "/a...b/.well-known/..x?"],
  ["/a%2Fb", "/a%2Fb"],
  ["/public/../admin", "/admin"],
  ["/public/%2e%2E/admin?a=..", "/admin?a=.."],
  ["/a/./b/.", "/a/b/"],
  ["/a/b/..", "/a/"],
  ["/../..", "/"],
  ["/constructor/../a", "/a"],
  ["/a//../b", "/a/b"],
])("%s is %s", (target, settled) => expect(settledTarget(target)).toBe(settled));

test.each([
  "/public/..%2fadmin",
  "/public%2f..%2fadmin",
  "/public/..\\admin",
  "/public/%2e.%5Cadmin",
  "/public/..;/admin",
  "/public/..;a=b/admin",
  "/a/../b%2f..",
  "http://other.test/a/../b",
])("%s means different things to different servers", (target) => expect(settledTarget(target)).toBeUndefined());
