import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { StatusError } from "../errors.ts";
import { type Schema, schemaFor } from "../schema/schema.ts";
import type { JsonObject } from "./json-value.ts";
import { applyStrategicMergePatch } from "./strategic-merge-patch.ts";

interface Vector {
  readonly kind: string;
  readonly object: JsonObject;
  readonly patch: unknown;
  readonly result?: JsonObject;
  readonly error?: string;
}
// What apimachinery answers: tools/apply-vectors writes them.
const fixture = process.env["APPLY_VECTORS"] ?? new URL("../../../test/fixtures/apply-vectors.json", import.meta.url);
const vectors: readonly Vector[] = JSON.parse(readFileSync(fixture, "utf8")).strategic;

function schemaOf(kind: string): Schema {
  const schema = schemaFor({ group: kind === "Deployment" ? "apps" : "", version: "v1", kind });
  if (!schema) throw new Error(`no schema of ${kind}`);
  return schema;
}

describe("strategic merge patch answers as upstream", () => {
  for (const [index, vector] of vectors.entries()) {
    test(`${index}: ${JSON.stringify(vector.patch).slice(0, 120)}`, () => {
      const before = JSON.stringify(vector.object);
      const patchBefore = JSON.stringify(vector.patch);
      if (vector.error === undefined) {
        expect(applyStrategicMergePatch(vector.object, vector.patch, schemaOf(vector.kind))).toEqual(
          vector.result as JsonObject,
        );
      } else {
        expect(textOfError(() => applyStrategicMergePatch(vector.object, vector.patch, schemaOf(vector.kind)))).toBe(
          vector.error,
        );
      }
      expect(JSON.stringify(vector.object)).toBe(before);
      expect(JSON.stringify(vector.patch)).toBe(patchBefore);
    });
  }
});

function textOfError(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return error.cause instanceof Error ? error.cause.message : error.message;
  }
  return "";
}
