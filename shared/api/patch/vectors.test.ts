import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { StatusError } from "../errors.ts";
import { applyJsonPatch } from "./json-patch.ts";
import type { JsonObject } from "./json-value.ts";
import { applyMergePatch } from "./merge-patch.ts";

interface Vector {
  readonly object: JsonObject;
  readonly patch: unknown;
  readonly result?: unknown;
}
// What evanphx/json-patch v4 answers: tools/apply-vectors writes them.
const fixture = process.env["APPLY_VECTORS"] ?? new URL("../../../test/fixtures/apply-vectors.json", import.meta.url);
const vectors: { jsonPatches: readonly Vector[]; mergePatches: readonly Vector[] } = JSON.parse(
  readFileSync(fixture, "utf8"),
);

describe("JSON patches answer as upstream", () => {
  for (const [index, { object, patch, result }] of vectors.jsonPatches.entries()) {
    test(`${index}: ${JSON.stringify(patch)}`, () => {
      expect(outcomeOf(() => applyJsonPatch(object, patch))).toEqual(result === undefined ? 422 : result);
    });
  }
});

describe("JSON merge patches answer as upstream", () => {
  for (const [index, { object, patch, result }] of vectors.mergePatches.entries()) {
    test(`${index}: ${JSON.stringify(patch)}`, () => {
      expect(applyMergePatch(object, patch) as unknown).toEqual(result);
    });
  }
});

function outcomeOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (error instanceof StatusError) return error.code;
    throw error;
  }
}
