import { cloneJson } from "#shared/api/patch/json-value.ts";
import { certificateSigningRequests } from "#shared/api/resources.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, humanDuration, nameColumn, orNone } from "../columns.ts";
import { status } from "../subresources.ts";
import {
  prepareForApproval,
  prepareForStatus,
  validateApproval,
  validateStatus,
  validateUpdate,
} from "./conditions.ts";
import { validateRequest } from "./rules.ts";

function condition({ status: seen }: CertificateSigningRequest): string {
  const has = (type: string): boolean => seen?.conditions?.some((known) => known.type === type) ?? false;
  const words = [has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending"];
  if (has("Failed")) words.push("Failed");
  if (seen?.certificate) words.push("Issued");
  return words.join(",");
}

/** What was asked for stays; also who asked. */
function keepSpec(draft: CertificateSigningRequest, old: Readonly<CertificateSigningRequest>): void {
  draft.spec = cloneJson(old.spec);
}

export const certificateSigningRequest: ResourceDeclaration<CertificateSigningRequest> = {
  ref: certificateSigningRequests,
  shortNames: ["csr"],
  subresources: {
    approval: { ...status, unprinted: true, update: { prepare: prepareForApproval, validate: validateApproval } },
    status,
  },
  columns: [
    nameColumn,
    ageColumn,
    column("SignerName", ({ spec }) => orNone(spec.signerName)),
    column("Requestor", ({ spec }) => spec.username ?? ""),
    column("RequestedDuration", ({ spec }) =>
      spec.expirationSeconds === undefined ? "<none>" : humanDuration(spec.expirationSeconds * 1000),
    ),
    column("Condition", condition),
  ],
  selectableFields: { "spec.signerName": ({ spec }) => spec.signerName },
  refusesNamespaceField: true,
  strategy: {
    hasStatus: true,
    resetFields: ["spec", "status"],
    subresourceResetPaths: {
      status: [["spec"], ["status", "conditions"]],
      approval: [["spec"], ["status", "certificate"]],
    },
    // Upstream takes any name that fits into a path.
    validateName: () => [],
    validate: validateRequest,
    prepareForUpdate: keepSpec,
    validateUpdate,
    prepareForStatusUpdate: prepareForStatus,
    validateStatusUpdate: validateStatus,
  },
};
