import type { KubeObject } from "#shared/api/object.ts";
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import { DecodeError, normalizeObject } from "#shared/api/schema/normalize-object.ts";
import type { Schema } from "#shared/api/schema/schema.ts";

/** Upstream reads a custom object's metadata field by field, and leaves out what does not fit. */
export function withoutUnfitMetadata(schema: Schema, object: KubeObject): KubeObject {
  if (!isJsonObject(object.metadata)) return object;
  const fits = ([field, value]: readonly [string, unknown]): boolean => {
    try {
      normalizeObject(schema, { apiVersion: object.apiVersion, kind: object.kind, metadata: { [field]: value } });
      return true;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return false;
    }
  };
  return { ...object, metadata: Object.fromEntries(Object.entries(object.metadata).filter(fits)) };
}
