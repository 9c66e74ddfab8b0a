import type { KubeObject } from "#shared/api/object.ts";
import { isJsonObject, type JsonObject, setMember } from "#shared/api/patch/json-value.ts";
import { schemaOfModel } from "#shared/api/schema/built-in.ts";
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

/** The same of the metadata of objects inside: of one that nobody could write now, what can be read is shown. */
export function withoutUnfitMetadataInside(schema: Schema, value: unknown): unknown {
  if (!schema.structural) return value;
  if (Array.isArray(value))
    return value.map((item) => (schema.items ? withoutUnfitMetadataInside(schema.items, item) : item));
  if (!isJsonObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, each] of Object.entries(value)) {
    const child = schema.properties?.get(key) ?? schema.additionalProperties;
    const isMetadata = schema.embeddedResource && key === "metadata" && isJsonObject(each);
    if (isMetadata) setMember(copy, key, Object.fromEntries(Object.entries(each).filter(fitsMetadata)));
    else setMember(copy, key, child ? withoutUnfitMetadataInside(child, each) : each);
  }
  return copy;
}

const objectMeta = schemaOfModel("apimachinery.pkg.apis.meta.v1.ObjectMeta");

function fitsMetadata([field, value]: readonly [string, unknown]): boolean {
  try {
    normalizeObject(objectMeta, { [field]: value });
    return true;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return false;
  }
}
