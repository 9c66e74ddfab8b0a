import { type FieldError, invalid } from "#shared/api/errors.ts";
import { certificateSigningRequests } from "#shared/api/resources.ts";
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from "#shared/api/types/certificates-v1.generated.ts";
import { CertificateRequestError, parseCertificateRequest } from "#shared/pki/certificate.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { isWriteTo } from "./attributes.ts";

type Condition = CertificateSigningRequestCondition;
const decisions = ["Approved", "Denied"];

/**
 * What a CertificateSigningRequest takes from the request rather than from its writer: who asks, and which part each
 * subresource may change. It stands in the storage of the kind upstream; here it runs after every mutating plugin, since
 * only admission sees the user and only it may check a signature.
 */
export class CertificateRequests implements AdmissionPlugin {
  readonly name = "CertificateRequests";

  constructor(private readonly now: () => Date = () => new Date()) {}

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const { declaration, operation, subresource, user } = attributes;
    if (declaration.ref.group !== certificateSigningRequests.group) return;
    if (declaration.ref.plural !== certificateSigningRequests.plural) return;
    const draft = attributes.object as CertificateSigningRequest | undefined;
    const old = attributes.oldObject as CertificateSigningRequest | undefined;
    if (!draft) return;
    if (operation === "CREATE" && !subresource) {
      const { request, signerName, expirationSeconds, usages } = draft.spec;
      draft.spec = {
        request,
        signerName,
        ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
        ...(usages ? { usages } : {}),
        username: user.name,
        ...(user.uid ? { uid: user.uid } : {}),
        groups: [...user.groups],
        ...(user.extra
          ? { extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])) }
          : {}),
      };
      draft.status = {};
    }
    if (operation !== "UPDATE" || !old) return;
    draft.spec = structuredClone(old.spec);
    if (subresource === "approval") {
      const conditions = this.#dated(draft, old);
      draft.status = { ...structuredClone(old.status), ...(conditions.length > 0 ? { conditions } : {}) };
    } else if (subresource === "status") {
      keepDecisions(draft, old);
      const conditions = this.#dated(draft, old);
      if (conditions.length > 0) draft.status = { ...draft.status, conditions };
    } else draft.status = structuredClone(old.status);
  }

  async validate(attributes: AdmissionAttributes): Promise<void> {
    const draft = attributes.object as CertificateSigningRequest | undefined;
    const old = attributes.oldObject as CertificateSigningRequest | undefined;
    if (!draft) return;
    let errors: FieldError[] = [];
    if (isWriteTo(attributes, certificateSigningRequests) && attributes.operation === "CREATE")
      errors = await requestErrors(draft);
    else if (old && isWriteTo(attributes, certificateSigningRequests, "approval"))
      errors = conditionErrors(draft, old, true);
    else if (old && isWriteTo(attributes, certificateSigningRequests, "status"))
      errors = [...conditionErrors(draft, old, false), ...certificateErrors(draft, old)];
    if (errors.length > 0) throw invalid(certificateSigningRequests, attributes.name, errors);
  }

  /** Conditions of the draft with the times that their writer left out. */
  #dated(draft: CertificateSigningRequest, old: CertificateSigningRequest): Condition[] {
    const now = this.now()
      .toISOString()
      .replace(/\.\d+Z$/, "Z");
    return (draft.status?.conditions ?? []).map((condition) => ({
      ...condition,
      lastUpdateTime: condition.lastUpdateTime ?? now,
      lastTransitionTime:
        condition.lastTransitionTime ??
        old.status?.conditions?.find((known) => known.type === condition.type && known.status === condition.status)
          ?.lastTransitionTime ??
        now,
    }));
  }
}

/** A status update repeats decisions; what it says of them is not taken over, unless it adds or drops one, which is then refused. */
function keepDecisions(draft: CertificateSigningRequest, old: CertificateSigningRequest): void {
  for (const type of decisions) {
    const known = (old.status?.conditions ?? []).filter((condition) => condition.type === type);
    const said = (draft.status?.conditions ?? []).filter((condition) => condition.type === type);
    if (known.length !== said.length || !draft.status?.conditions) continue;
    const kept = structuredClone(known);
    draft.status.conditions = draft.status.conditions.map((condition) =>
      condition.type === type ? (kept.shift() ?? condition) : condition,
    );
  }
}

async function requestErrors({ spec }: CertificateSigningRequest): Promise<FieldError[]> {
  try {
    await parseCertificateRequest(Buffer.from(spec.request ?? "", "base64").toString("utf8"));
    return [];
  } catch (error) {
    if (!(error instanceof CertificateRequestError)) throw error;
    return [
      {
        field: "spec.request",
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(spec.request ?? "")}: ${error.message}`,
      },
    ];
  }
}

function conditionErrors(
  draft: CertificateSigningRequest,
  old: CertificateSigningRequest,
  mayDecide: boolean,
): FieldError[] {
  const field = "status.conditions";
  const conditions = draft.status?.conditions ?? [];
  const errors: FieldError[] = [];
  const forbid = (why: string) => errors.push({ field, reason: "FieldValueForbidden", message: `Forbidden: ${why}` });
  const seen = new Set<string>();
  conditions.forEach(({ type, status }, index) => {
    const at = `${field}[${index}]`;
    const isFinal = [...decisions, "Failed"].includes(type);
    const allowed = isFinal ? ["True"] : ["False", "True", "Unknown"];
    if (!type) errors.push({ field: `${at}.type`, reason: "FieldValueRequired", message: "Required value" });
    if (!status) errors.push({ field: `${at}.status`, reason: "FieldValueRequired", message: "Required value" });
    else if (!allowed.includes(status))
      errors.push({
        field: `${at}.status`,
        reason: "FieldValueNotSupported",
        message: `Unsupported value: ${JSON.stringify(status)}: supported values: ${allowed.map((one) => JSON.stringify(one)).join(", ")}`,
      });
    if (decisions.includes(type) && decisions.some((other) => other !== type && seen.has(other)))
      errors.push({
        field,
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(type)}: Approved and Denied conditions are mutually exclusive`,
      });
    if (seen.has(type))
      errors.push({
        field: `${at}.type`,
        reason: "FieldValueDuplicate",
        message: `Duplicate value: ${JSON.stringify(type)}`,
      });
    seen.add(type);
  });
  for (const type of [...decisions, "Failed"]) {
    const before = (old.status?.conditions ?? []).filter((condition) => condition.type === type).length;
    const after = conditions.filter((condition) => condition.type === type).length;
    if (after < before) forbid(`updates may not remove a condition of type "${type}"`);
    if (after > before && !mayDecide && decisions.includes(type))
      forbid(`updates may not add a condition of type "${type}"`);
  }
  return errors;
}

function certificateErrors(draft: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  const known = old.status?.certificate;
  const certificate = draft.status?.certificate;
  if (!known || known === certificate) return [];
  return [
    {
      field: "status.certificate",
      reason: "FieldValueForbidden",
      message: "Forbidden: updates may not modify existing certificate content",
    },
  ];
}
