import { expect, test } from "bun:test";
import { prometheusContentType } from "./exposition-format.ts";

/** What upstream's components answer. */
test.each([
  [undefined, "underscores"],
  ["", "underscores"],
  ["text/html", "underscores"],
  ["application/json;q=0.9,text/plain;version=0.0.4;q=0.5", "underscores"],
  ["text/plain;version=0.0.4;escaping=dots", "dots"],
  ["text/plain;escaping=values", "values"],
  ["text/plain;version=0.0.4;escaping=nonsense", "underscores"],
  ["text/plain;version=1.0.0;escaping=allow-utf-8", "allow-utf-8"],
  ["text/plain;version=0.0.4;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.2", "underscores"],
  [
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    "allow-utf-8",
  ],
])("%s", (accept, escaping) => {
  expect(prometheusContentType(accept)).toBe(`text/plain; version=0.0.4; charset=utf-8; escaping=${escaping}`);
});
