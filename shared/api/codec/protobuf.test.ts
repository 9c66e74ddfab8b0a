import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { apiVersionOf } from "../object.ts";
import { DecodeError, normalizeObject } from "../schema/normalize-object.ts";
import { schemaFor } from "../schema/schema.ts";
import { decodeJson, encodeJson } from "./json.ts";
import { decodeProtobuf, encodeProtobuf, ProtobufError } from "./protobuf.ts";

interface ObjectVector {
  group: string;
  version: string;
  kind: string;
  protobuf: string;
  json: unknown;
}

const fixture = new URL("../../../test/fixtures/schema/objects.json.gz", import.meta.url).pathname;
const text = new TextDecoder().decode(Bun.gunzipSync(await Bun.file(fixture).bytes()));
const vectors = decodeJson(text).value as ObjectVector[];
const byKind = Map.groupBy(vectors, (vector) => `${apiVersionOf(vector)} ${vector.kind}`);

function schemaOf(vector: ObjectVector) {
  const schema = schemaFor(vector);
  if (!schema) throw new Error(`no schema for ${vector.kind}`);
  return schema;
}

describe("objects as upstream writes them", () => {
  for (const [kind, objects] of byKind) {
    test(kind, () => {
      for (const vector of objects) {
        const bytes = Buffer.from(vector.protobuf, "base64");
        const { gvk, value } = decodeProtobuf(bytes);
        expect(gvk).toEqual({ group: vector.group, version: vector.version, kind: vector.kind });
        const expected = encodeJson(vector.json);
        expect(encodeJson(normalizeObject(schemaOf(vector), value).object)).toBe(expected);
        // JSON takes the same way.
        const fromJson = normalizeObject(schemaOf(vector), vector.json);
        expect(fromJson.unknown).toEqual([]);
        expect(encodeJson(fromJson.object)).toBe(expected);
        // What was written is read back, and byte by byte what upstream writes.
        const encoded = encodeProtobuf(gvk, fromJson.object);
        expect(encodeJson(normalizeObject(schemaOf(vector), decodeProtobuf(encoded).value).object)).toBe(expected);
        expect(Buffer.from(encodeProtobuf(gvk, value)).equals(bytes)).toBe(true);
      }
    });
  }
});

describe("bytes that are no object", () => {
  test("another envelope", () => {
    expect(() => decodeProtobuf(Buffer.from("{}"))).toThrow(ProtobufError);
  });

  test("an unknown kind", () => {
    const bytes = Buffer.concat([Buffer.from("k8s\0"), Buffer.from("0a080a027631120258" + "58", "hex")]);
    expect(() => decodeProtobuf(bytes)).toThrow(/no kind "XX" is registered for version "v1"/);
  });

  test("cut anywhere, they are refused or read as a shorter object, never worse", () => {
    const pod = vectors.find(({ kind }) => kind === "Pod");
    const bytes = Buffer.from(pod?.protobuf ?? "", "base64");
    for (let end = 0; end < bytes.length; end += 7) {
      try {
        decodeProtobuf(bytes.subarray(0, end));
      } catch (error) {
        expect(error).toBeInstanceOf(ProtobufError);
      }
    }
  });

  test("changed anywhere, they are refused or read as another object, never worse", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...vectors),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(255)), {
          minLength: 1,
          maxLength: 5,
        }),
        (vector, changes) => {
          const bytes = Buffer.from(vector.protobuf, "base64");
          for (const [where, byte] of changes) bytes[4 + Math.floor(where * (bytes.length - 4))] = byte;
          try {
            const { gvk, value } = decodeProtobuf(bytes, vector);
            const schema = schemaFor(gvk);
            if (schema) normalizeObject(schema, value);
          } catch (error) {
            expect(
              [ProtobufError, DecodeError].some((type) => error instanceof type),
              String(error),
            ).toBe(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
