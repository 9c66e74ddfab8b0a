/** Of which kind an object is that a patch has been made of another: it must be the same. Errors are in upstream's words. */
import { type FieldError, invalid, type StatusError } from "#shared/api/errors.ts";
import { type GroupVersionKind, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { goJson, isJsonObject } from "#shared/api/patch/json-value.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { headOf, notAnObject, unregistered } from "./webhooks/review-decoding.ts";

/** A patched object, if it still is one of the kind that was shown. What it does not say of that stays. Throws Error. */
export function sameKind(patched: unknown, shown: KubeObject): KubeObject {
  if (!isJsonObject(patched)) throw notAnObject(patched);
  const object = patched as unknown as KubeObject;
  const kind = headOf(patched, "kind") || shown.kind;
  const apiVersion = headOf(patched, "apiVersion") || shown.apiVersion;
  if (apiVersion !== shown.apiVersion || kind !== shown.kind) throw otherKind(kind, apiVersion, shown);
  return { ...object, apiVersion, kind };
}

/** Upstream knows of no custom kind before its objects are validated. */
export class CustomKindError extends Error {
  override readonly name = "CustomKindError";
  readonly fault: FieldError;

  constructor(
    readonly gvk: GroupVersionKind,
    wanted: string,
  ) {
    const message = `Invalid value: ${goQuote(gvk.kind)}: must be ${wanted}`;
    super(message);
    this.fault = { field: "kind", reason: "FieldValueInvalid", message };
  }

  refusal({ metadata }: KubeObject): StatusError {
    return invalid(this.gvk, metadata.name ?? "", [this.fault]);
  }
}

/** Throws CustomKindError, and Error where there is no kind. */
export function checkCustomKind(patched: unknown, shown: KubeObject): void {
  if (!isJsonObject(patched)) return;
  const kind = headOf(patched, "kind");
  if (kind === "") throw new Error(`Object 'Kind' is missing in '${goJson(patched)}'`);
  if (kind !== shown.kind) throw new CustomKindError({ ...parseApiVersion(shown.apiVersion), kind }, shown.kind);
}

export function otherKind(kind: string, apiVersion: string, shown: KubeObject): Error {
  const gvk = { ...parseApiVersion(apiVersion), kind };
  if (!schemaFor(gvk)) return unregistered(kind, apiVersion);
  const { group } = parseApiVersion(shown.apiVersion);
  return new Error(
    `converting (${gvk.version}.${kind}) to (${group.split(".")[0] || "core"}.${shown.kind}): unknown conversion`,
  );
}
