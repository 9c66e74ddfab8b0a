import type { Authorizer } from "../authz/authorizer.ts";
import { EscalationCheck } from "../authz/escalation.ts";
import type { RbacAuthorizer } from "../authz/rbac.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { CertificateApproval, CertificateSigning, CertificateSubjectRestriction } from "./certificate-permissions.ts";
import { CertificateRequests } from "./certificate-requests.ts";
import { DefaultTolerationSeconds, type TolerationSeconds } from "./default-toleration-seconds.ts";
import { NamespaceLifecycle } from "./namespace-lifecycle.ts";
import { NodeRestriction } from "./node-restriction.ts";
import { Priority } from "./priority.ts";
import { ServiceAccountPlugin } from "./service-account.ts";
import { TaintNodesByCondition } from "./taint-nodes-by-condition.ts";

export interface AdmissionParts {
  readonly reader: ResourceReader;
  /** The whole chain. */
  readonly authorizer: Authorizer;
  readonly rbac: RbacAuthorizer;
  readonly tolerationSeconds?: TolerationSeconds | undefined;
  /** MutatingAdmissionPolicy, webhooks and ValidatingAdmissionPolicy, in that order: they stand after all plugins that
   *  are built in, and before quota. */
  readonly extensions?: readonly AdmissionPlugin[] | undefined;
}

/** The plugins that are on by default, in upstream's order (AllOrderedPlugins). */
export function admissionPlugins(parts: AdmissionParts): AdmissionPlugin[] {
  const { reader, authorizer, rbac } = parts;
  return [
    new NamespaceLifecycle(reader),
    new ServiceAccountPlugin(reader),
    new NodeRestriction(reader, authorizer),
    new TaintNodesByCondition(),
    new Priority(reader),
    new DefaultTolerationSeconds(parts.tolerationSeconds),
    new CertificateApproval(authorizer),
    new CertificateSigning(authorizer),
    ...(parts.extensions ?? []),
    new CertificateRequests(),
    new CertificateSubjectRestriction(),
    new EscalationCheck(authorizer, rbac),
  ];
}
