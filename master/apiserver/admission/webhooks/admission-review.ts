/** AdmissionReview: what a webhook is asked, and what its answer must look like (admission.k8s.io/v1 and v1beta1). */
import { decodeJson } from "#shared/api/codec/json.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { GroupVersionKind, KubeObject } from "#shared/api/object.ts";
import { isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import { jsonKind } from "#shared/api/patch/patch-error.ts";
import type { Status } from "#shared/api/types/meta-v1.generated.ts";
import type { AdmissionAttributes } from "../admission.ts";
import { kindOf, type Match, namespaceOf, ownMatch } from "../matching.ts";
import { decodedReview } from "./review-decoding.ts";

/** The part of a review that CEL sees as `request`, too. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly kind: GroupVersionKind;
  readonly resource: { readonly group: string; readonly version: string; readonly resource: string };
  readonly subResource?: string;
  readonly requestKind: GroupVersionKind;
  readonly requestResource: { readonly group: string; readonly version: string; readonly resource: string };
  readonly requestSubResource?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly operation: string;
  readonly userInfo: object;
  readonly dryRun: boolean;
  readonly options: object | null;
}

export function admissionRequest(attributes: AdmissionAttributes, match: Match, uid: string): AdmissionRequest {
  const { subresource, operation, user, dryRun, name } = attributes;
  const own = ownMatch(attributes);
  const namespace = namespaceOf(attributes);
  const part = subresource ? { subResource: subresource, requestSubResource: subresource } : {};
  const shownName = name || attributes.object?.metadata.name;
  return {
    uid,
    kind: kindOf(attributes, match),
    resource: { group: match.group, version: match.version, resource: match.plural },
    requestKind: kindOf(attributes, own),
    requestResource: { group: own.group, version: own.version, resource: own.plural },
    ...part,
    ...(shownName ? { name: shownName } : {}),
    ...(namespace ? { namespace } : {}),
    operation,
    userInfo: {
      username: user.name,
      ...(user.uid ? { uid: user.uid } : {}),
      ...(user.groups.length > 0 ? { groups: user.groups } : {}),
      ...(user.extra && Object.keys(user.extra).length > 0 ? { extra: user.extra } : {}),
    },
    dryRun,
    options: optionsOf(attributes),
  };
}

const optionKinds = { CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions", CONNECT: "" } as const;

function optionsOf({ operation, options, dryRun }: AdmissionAttributes): object | null {
  const kind = optionKinds[operation];
  if (kind === "") return null;
  return { kind, apiVersion: "meta.k8s.io/v1", ...options, ...(dryRun ? { dryRun: ["All"] } : {}) };
}

export type ReviewVersion = "v1" | "v1beta1";

export function admissionReview(
  version: ReviewVersion,
  request: AdmissionRequest,
  object: KubeObject | undefined,
  oldObject: KubeObject | undefined,
): object {
  return {
    kind: "AdmissionReview",
    apiVersion: `admission.k8s.io/${version}`,
    request: { ...request, object: object ?? null, oldObject: oldObject ?? null },
  };
}

export interface AdmissionAnswer {
  readonly allowed: boolean;
  readonly auditAnnotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  readonly result: Partial<Status> | undefined;
  /** Its text. */
  readonly patch: string | undefined;
  readonly patchType: string;
}

/** Throws Error for an answer that is none, in upstream's words; ReviewDecodingError for one that cannot even be read. */
export function answerOf(review: unknown, version: ReviewVersion, uid: string, mutating: boolean): AdmissionAnswer {
  const { response, kind, apiVersion } = decodedReview(review, version);
  if (!response) throw new Error("webhook response was absent");
  const { patch, patchType } = response;
  if (version === "v1") {
    if (response["uid"] !== uid) {
      throw new Error(`expected response.uid="${uid}", got ${JSON.stringify(response["uid"] ?? "")}`);
    }
    if (kind !== "AdmissionReview" || apiVersion !== "admission.k8s.io/v1") {
      const got = `${apiVersion || "/"}, Kind=${kind}`;
      throw new Error(`expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${got}`);
    }
    checkPatch(patch, patchType, mutating);
  }
  const hasPatch = mutating && typeof patch === "string" && patch !== "";
  return {
    allowed: response["allowed"] === true,
    auditAnnotations: textsOf(response["auditAnnotations"]),
    warnings: Array.isArray(response["warnings"]) ? response["warnings"].map(String) : [],
    result: response["status"] === null ? undefined : (response["status"] as Partial<Status> | undefined),
    patch: hasPatch ? Buffer.from(patch, "base64").toString() : undefined,
    patchType: version === "v1" ? String(patchType ?? "") : "JSONPatch",
  };
}

const undecodable = "received undecodable patch in webhook response";

/** Operations of a patch's text. Throws Error for one that cannot be read, in upstream's words. */
export function stepsOf(patch: string): readonly (JsonObject | null)[] {
  const mistyped = (value: unknown, type: string): Error =>
    new Error(`${undecodable}: json: cannot unmarshal ${jsonKind(value)} into Go value of type jsonpatch.${type}`);
  let steps: unknown;
  try {
    steps = decodeJson(patch).value;
  } catch (error) {
    throw new Error(`${undecodable}: ${messageOf(error)}`, { cause: error });
  }
  if (steps === null) return [];
  if (Array.isArray(steps)) {
    for (const step of steps) if (step !== null && !isJsonObject(step)) throw mistyped(step, "Operation");
    return steps as (JsonObject | null)[];
  }
  throw mistyped(steps, "Patch");
}

function checkPatch(patch: unknown, patchType: unknown, mutating: boolean): void {
  const hasPatch = patch !== undefined && patch !== null && patch !== "";
  const hasType = patchType !== undefined && patchType !== null;
  if (!mutating) {
    if (hasPatch) throw new Error("validating webhook may not return response.patch");
    if (hasType) throw new Error("validating webhook may not return response.patchType");
    return;
  }
  if (hasPatch && !hasType) throw new Error("webhook returned response.patch but not response.patchType");
  if (hasPatch && patchType === "") throw new Error('webhook returned invalid response.patchType of ""');
  if (!hasPatch && hasType) throw new Error("webhook returned response.patchType but not response.patch");
}

function textsOf(value: unknown): Record<string, string> {
  if (!isJsonObject(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}
