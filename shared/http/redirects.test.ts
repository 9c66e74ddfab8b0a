import { expect, test } from "bun:test";
import { redirected } from "./redirects.ts";

const hop = { method: "POST", url: new URL("https://a.example/one?x=1"), body: "text" };

test.each([
  [301, "/two", { method: "GET", url: new URL("https://a.example/two") }],
  [302, "two", { method: "GET", url: new URL("https://a.example/two") }],
  [303, "http://b.example/", { method: "GET", url: new URL("http://b.example/") }],
  [307, "/two", { method: "POST", url: new URL("https://a.example/two"), body: "text" }],
  [308, "//b.example/two", { method: "POST", url: new URL("https://b.example/two"), body: "text" }],
  [200, "/two", undefined],
  [304, "/two", undefined],
  [307, undefined, undefined],
])("%d to %s", (status, location, next) => {
  expect(redirected(hop, status, location)).toEqual(next);
});

test("a Location that is none is said", () => {
  expect(() => redirected(hop, 302, "http://[")).toThrow('failed to parse Location header "http://["');
});

test.each(["file:///etc/passwd", "data:application/json,{}", "ftp://a.example/"])(
  "nobody is sent to %s",
  (location) => {
    expect(() => redirected(hop, 307, location)).toThrow("unsupported protocol scheme");
  },
);
