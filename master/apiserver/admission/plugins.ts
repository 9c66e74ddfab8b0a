import type { Client } from "#shared/client/client.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import { EscalationCheck } from "../authz/escalation.ts";
import type { RbacAuthorizer } from "../authz/rbac.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { CertificateApproval, CertificateSigning, CertificateSubjectRestriction } from "./certificate-permissions.ts";
import { CertificateRequests } from "./certificate-requests.ts";
import { DefaultIngressClass } from "./default-ingress-class.ts";
import { DefaultTolerationSeconds, type TolerationSeconds } from "./default-toleration-seconds.ts";
import { DeviceAdminAccess } from "./device-admin-access.ts";
import { LimitRanger } from "./limit-ranger.ts";
import { NamespaceLifecycle } from "./namespace-lifecycle.ts";
import { NodeRestriction } from "./node-restriction.ts";
import { PodSecurity } from "./pod-security/pod-security.ts";
import { PodTopologyLabels } from "./pod-topology-labels.ts";
import { Priority } from "./priority.ts";
import { ResourceQuotaPlugin } from "./resource-quota.ts";
import { RuntimeClassPlugin } from "./runtime-class.ts";
import { ServiceAccountPlugin } from "./service-account.ts";
import { DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection } from "./storage-plugins.ts";
import { TaintNodesByCondition } from "./taint-nodes-by-condition.ts";

export interface AdmissionParts {
  readonly reader: ResourceReader;
  /** The whole chain. */
  readonly authorizer: Authorizer;
  readonly rbac: RbacAuthorizer;
  /** The API server's own client, for charging quotas; a function, since it comes after the chain. */
  readonly client: () => Client;
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
    new LimitRanger(reader),
    new ServiceAccountPlugin(reader),
    new NodeRestriction(reader, authorizer),
    new TaintNodesByCondition(),
    new PodSecurity(reader),
    new Priority(reader),
    new DefaultTolerationSeconds(parts.tolerationSeconds),
    new DefaultStorageClass(reader),
    new StorageObjectInUseProtection(),
    new PersistentVolumeClaimResize(reader),
    new RuntimeClassPlugin(reader),
    new CertificateApproval(authorizer),
    new CertificateSigning(authorizer),
    new CertificateSubjectRestriction(),
    new DefaultIngressClass(reader),
    new PodTopologyLabels(reader),
    ...(parts.extensions ?? []),
    new CertificateRequests(),
    new DeviceAdminAccess(reader),
    new EscalationCheck(authorizer, rbac),
    new ResourceQuotaPlugin(reader, parts.client),
  ];
}
