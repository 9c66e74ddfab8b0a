import { describe, expect, test } from "bun:test";
import { decodeJson, encodeJson } from "#shared/api/codec/json.ts";
import { StatusError } from "#shared/api/errors.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { type Schema, schemaFor } from "#shared/api/schema/schema.ts";
import { dropNilFields } from "./absent-fields.ts";
import { decodeObject, type Expected, type FieldValidation } from "./decode-body.ts";

/** What upstream's strict decoder made of a body (tools/schema/decodings.go). */
interface DecodingVector {
  readonly body: string;
  readonly yaml?: boolean;
  /** Why the body is refused. */
  readonly error?: string;
  /** Why it is refused with fieldValidation=Strict alone. */
  readonly strict?: string;
  readonly json?: Record<string, unknown>;
}

const fixture = new URL("../../../test/fixtures/schema/decodings.json.gz", import.meta.url).pathname;
const text = new TextDecoder().decode(Bun.gunzipSync(await Bun.file(fixture).bytes()));
const vectors = decodeJson(text).value as DecodingVector[];

/** Where the object is posted that its body says it is; a body that does not say is posted as a Pod. */
function expectedOf(body: string): Expected & { readonly schema: Schema } {
  const [, apiVersion = "v1"] = /"?apiVersion"?: ?"?([a-z][\w./]*)/.exec(body) ?? [];
  const [, kind = "Pod"] = /"?kind"?: ?"?(\w+)/.exec(body) ?? [];
  const gvk = { ...parseApiVersion(apiVersion), kind };
  const schema = schemaFor(gvk);
  if (!schema) throw new Error(`no schema for ${kind}`);
  return { gvk, schema, custom: false };
}

function decode({ body, yaml }: DecodingVector, validation: FieldValidation): object {
  const sent = { kind: "bytes", bytes: new TextEncoder().encode(body) } as const;
  return decodeObject(sent, yaml ? "application/yaml" : "application/json", expectedOf(body), validation, []);
}

function messageOf(attempt: () => unknown): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    if (error instanceof StatusError) return error.message;
    throw error;
  }
}

describe("bodies are decoded as upstream decodes them", () => {
  for (const vector of vectors) {
    const { body, error, strict, json } = vector;
    // Upstream's decoder was asked without a kind to complete the body by; a server has one.
    const isCompleted = error?.startsWith("Object '") ?? false;
    test(JSON.stringify(body.slice(0, 100)), () => {
      const refusal = messageOf(() => decode(vector, "Ignore"));
      if (isCompleted) {
        expect(refusal).toBeUndefined();
      } else if (error !== undefined) {
        expect(refusal).toContain(`: ${error}`);
      } else {
        const refusedStrictly = messageOf(() => decode(vector, "Strict"));
        if (strict === undefined) expect(refusedStrictly).toBeUndefined();
        else expect(refusedStrictly).toEndWith(`: ${strict}`);
        // What is stored has no null for a Go field that is nil.
        const stored = cloneJson(json ?? {});
        dropNilFields(expectedOf(body).schema, stored);
        expect(encodeJson(decode(vector, "Ignore"))).toBe(encodeJson(stored));
      }
    });
  }
});

test("null in a map of bytes or texts is an empty value", () => {
  for (const [kind, field] of [
    ["Secret", "data"],
    ["ConfigMap", "binaryData"],
    ["ConfigMap", "data"],
  ]) {
    const body = `{"apiVersion":"v1","kind":"${kind}","metadata":{"name":"a"},"${field}":{"a":null,"b":"Yw=="}}`;
    expect(decode({ body }, "Strict")).toMatchObject({ [field as string]: { a: "", b: "Yw==" } });
  }
});

test("a protobuf body that names no kind is of the kind that is expected, as JSON and YAML are", () => {
  const configMap = expectedOf('{"apiVersion":"v1","kind":"ConfigMap"}');
  // runtime.Unknown with `raw` alone: metadata.name is "a".
  const bytes = Buffer.from("k8s\0\x12\x05\x0a\x03\x0a\x01a", "latin1");
  const type = "application/vnd.kubernetes.protobuf";
  expect(decodeObject({ kind: "bytes", bytes }, type, configMap, "Strict", [])).toMatchObject({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a" },
  });
});
