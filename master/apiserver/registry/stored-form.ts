/**
 * What upstream's decoder makes of a value in the store. What the API server writes is as it was decoded already; a hand in the store
 * writes anything, and everybody who reads relies on types and on the fields that are always there.
 */
import { apiVersionOf, type KubeObject, keyOf, parseApiVersion } from "#shared/api/object.ts";
import { equalJson } from "#shared/api/patch/json-value.ts";
import { fillRequired, isDecodedForm } from "#shared/api/schema/decoded-form.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import type { Decoder } from "../watch-cache/resource-cache.ts";
import type { ResourceDeclaration, Strategy } from "./declaration.ts";
import { canonical } from "./decode-body.ts";

/**
 * Gives, for a kind, what a stored value is read as: undefined where it is read as it is. Throws Error for what is no object
 * of the kind, or another than its key says.
 */
export function storedFormOf(declaration: ResourceDeclaration): Decoder {
  const { ref, strategy, custom } = declaration;
  const schema = custom ? undefined : schemaFor(ref);
  return (value, key) => {
    assertNamed(value, key, declaration);
    if (!schema || isDecodedForm(schema, value)) return undefined;
    const draft = canonical(value, schema);
    strategy?.applyDefaults?.(draft);
    const object = canonical(draft, schema);
    // Some required lists may be empty, and rest as nothing then.
    if (equalJson(object, value) && isValid(strategy, value)) return undefined;
    fillRequired(schema, object);
    return object;
  };
}

function isValid(strategy: Strategy | undefined, value: KubeObject): boolean {
  try {
    return (strategy?.validate?.(value) ?? []).length === 0;
  } catch {
    // It relies on what is not there.
    return false;
  }
}

/** Of each kind, custom ones too, whatever relies on nothing else relies on these. */
function assertNamed(value: KubeObject, key: string, { ref, custom }: ResourceDeclaration): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("it is no JSON object");
  const { apiVersion, kind, metadata } = value;
  const expected = apiVersionOf(ref);
  const isOfVersion = custom
    ? typeof apiVersion === "string" && parseApiVersion(apiVersion).group === ref.group
    : apiVersion === expected;
  if (!isOfVersion || kind !== ref.kind)
    throw new Error(`it is ${JSON.stringify(kind)} of ${JSON.stringify(apiVersion)}, not ${ref.kind} of ${expected}`);
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata))
    throw new Error("it has no metadata");
  if (keyOf(value) !== key) throw new Error(`it is named ${JSON.stringify(keyOf(value))}`);
}
