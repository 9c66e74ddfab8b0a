import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parseFieldSelector } from "./field-selector.ts";
import { type Labels, parseLabelSelector } from "./label-selector.ts";

interface Vector {
  readonly text: string;
  readonly value?: string;
  readonly error?: string;
  readonly matches?: readonly boolean[];
}
// What apimachinery answers: tools/apply-vectors writes them.
const fixture = process.env["APPLY_VECTORS"] ?? new URL("../../../test/fixtures/apply-vectors.json", import.meta.url);
const vectors: { labels: readonly Vector[]; matchedLabels: readonly Labels[]; fields: readonly Vector[] } = JSON.parse(
  readFileSync(fixture, "utf8"),
);

describe("label selectors are read as upstream reads them", () => {
  for (const { text, value, error, matches } of vectors.labels) {
    test(JSON.stringify(text), () => {
      if (error !== undefined) {
        expect(messageOf(() => parseLabelSelector(text))).toBe(error);
      } else {
        const selector = parseLabelSelector(text);
        expect(selector.toString()).toBe(value ?? "");
        expect(vectors.matchedLabels.map((labels) => selector.matches(labels))).toEqual([...(matches ?? [])]);
      }
    });
  }
});

describe("field selectors are read as upstream reads them", () => {
  for (const { text, value, error } of vectors.fields) {
    test(JSON.stringify(text), () => {
      if (error !== undefined) expect(messageOf(() => parseFieldSelector(text))).toBe(error);
      else expect(parseFieldSelector(text).toString()).toBe(value ?? "");
    });
  }
});

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof Error) return error.message;
    throw error;
  }
  return "";
}
