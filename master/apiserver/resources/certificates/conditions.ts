/** Who may change what of a CertificateSigningRequest's status: `approval` decides, `status` issues. */

import type { FieldError } from "#shared/api/errors.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from "#shared/api/types/certificates-v1.generated.ts";
import { collect, type Field } from "../validation/field.ts";
import { firstByKey } from "../validation/first-by-key.ts";
import { validateRequest } from "./rules.ts";

type Condition = CertificateSigningRequestCondition;

const decisions: readonly string[] = ["Approved", "Denied"];
const final: readonly string[] = [...decisions, "Failed"];

const ofType = ({ status }: CertificateSigningRequest, type: string): Condition[] =>
  (status?.conditions ?? []).filter((condition) => condition.type === type);

/** Approval changes conditions alone. */
export function prepareForApproval(draft: CertificateSigningRequest, old: Readonly<CertificateSigningRequest>): void {
  const conditions = dated(draft, old);
  draft.spec = cloneJson(old.spec);
  draft.status = { ...cloneJson(old.status), conditions };
  if (conditions.length === 0) delete draft.status.conditions;
}

/** A status update repeats the decisions; how it words them is not taken over. One that adds or drops a decision is
 *  refused by validation. */
export function prepareForStatus(draft: CertificateSigningRequest, old: Readonly<CertificateSigningRequest>): void {
  if (!draft.status?.conditions) return;
  for (const type of decisions) {
    const known = cloneJson(ofType(old, type));
    if (known.length !== ofType(draft, type).length) continue;
    draft.status.conditions = draft.status.conditions.map((condition) =>
      condition.type === type ? (known.shift() ?? condition) : condition,
    );
  }
  draft.status.conditions = dated(draft, old);
}

export const validateApproval = (
  request: CertificateSigningRequest,
  old: Readonly<CertificateSigningRequest>,
): FieldError[] =>
  collect((root) => {
    validateKept(request, root);
    validateConditions(request, old, root, "approval");
  });

export const validateUpdate = (
  request: CertificateSigningRequest,
  old: Readonly<CertificateSigningRequest>,
): FieldError[] =>
  collect((root) => {
    validateKept(request, root);
    validateConditions(request, old, root, "update");
  });

/** What was asked for is judged each time. Admission has found the signature right once. */
function validateKept({ spec }: CertificateSigningRequest, root: Field): void {
  const { request } = spec;
  if (request !== undefined && !isRequestText(request))
    root.at("spec", "request").invalid(request, "PEM block type must be CERTIFICATE REQUEST");
  root.addAll(validateRequest({ spec }));
}

const isRequestText = (base64: string): boolean =>
  Buffer.from(base64, "base64").includes("-----BEGIN CERTIFICATE REQUEST-----");

export const validateStatus = (
  request: CertificateSigningRequest,
  old: Readonly<CertificateSigningRequest>,
): FieldError[] =>
  collect((root) => {
    validateKept(request, root);
    validateConditions(request, old, root, "status");
    const issued = old.status?.certificate;
    if (issued && issued !== request.status?.certificate)
      root.at("status", "certificate").forbidden("updates may not modify existing certificate content");
  });

/** Conditions of the draft with the times that their writer left out. */
function dated(draft: CertificateSigningRequest, old: Readonly<CertificateSigningRequest>): Condition[] {
  const now = rfc3339(Date.now());
  const keyOf = ({ type, status }: Condition): string => `${type}/${status}`;
  const before = firstByKey(old.status?.conditions ?? [], keyOf);
  return (draft.status?.conditions ?? []).map((condition) => ({
    ...condition,
    lastUpdateTime: condition.lastUpdateTime ?? now,
    lastTransitionTime: condition.lastTransitionTime ?? before.get(keyOf(condition))?.lastTransitionTime ?? now,
  }));
}

function validateConditions(
  request: CertificateSigningRequest,
  old: Readonly<CertificateSigningRequest>,
  root: Field,
  by: "approval" | "status" | "update",
): void {
  const field = root.at("status", "conditions");
  const seen = new Set<string>();
  for (const [index, { type, status }] of (request.status?.conditions ?? []).entries()) {
    const at = field.index(index);
    if (!type) at.at("type").ruled("types of conditions").required();
    const allowed = final.includes(type) ? ["True"] : ["False", "True", "Unknown"];
    if (!status) at.at("status").required();
    else if (!allowed.includes(status)) at.at("status").notSupported(status, allowed);
    if (decisions.includes(type) && decisions.some((other) => other !== type && seen.has(other)))
      field.ruled("approved or denied").invalid(type, "Approved and Denied conditions are mutually exclusive");
    if (seen.has(type)) at.at("type").ruled("conditions once each").duplicate(type);
    seen.add(type);
  }
  for (const type of final) {
    const [before, after] = [ofType(old, type).length, ofType(request, type).length];
    if (after < before) field.forbidden(`updates may not remove a condition of type ${JSON.stringify(type)}`);
    if (after > before && by !== "approval" && decisions.includes(type))
      field.forbidden(`updates may not add a condition of type ${JSON.stringify(type)}`);
  }
}
