import type { Client } from "#shared/client/client.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import { EscalationCheck } from "../authz/escalation.ts";
import type { RbacAuthorizer } from "../authz/rbac.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { ResourceTable } from "../registry/resource-table.ts";
import type { AdmissionPlugin } from "./admission.ts";
import type { PluginConfigurations } from "./admission-configuration.ts";
import { CertificateApproval, CertificateSigning, CertificateSubjectRestriction } from "./certificate-permissions.ts";
import { CertificateRequests } from "./certificate-requests.ts";
import { DefaultIngressClass } from "./default-ingress-class.ts";
import { DefaultTolerationSeconds, type TolerationSeconds } from "./default-toleration-seconds.ts";
import { DeviceAdminAccess } from "./device-admin-access.ts";
import { LimitRanger } from "./limit-ranger.ts";
import { NamespaceLifecycle } from "./namespace-lifecycle.ts";
import { NodeRestriction } from "./node-restriction.ts";
import { AlwaysDeny } from "./optional/always-deny.ts";
import { AlwaysPullImages } from "./optional/always-pull-images.ts";
import { LimitPodHardAntiAffinityTopology } from "./optional/anti-affinity-topology.ts";
import { DenyServiceExternalIPs } from "./optional/deny-service-external-ips.ts";
import { EventRateLimit } from "./optional/event-rate-limit.ts";
import { ExtendedResourceToleration } from "./optional/extended-resource-toleration.ts";
import { ImagePolicyWebhook } from "./optional/image-policy-webhook.ts";
import { NamespaceAutoProvision } from "./optional/namespace-auto-provision.ts";
import { NamespaceExists } from "./optional/namespace-exists.ts";
import { OwnerReferencesPermissionEnforcement } from "./optional/owner-references.ts";
import { PodNodeSelector } from "./optional/pod-node-selector.ts";
import { noTolerationRules, PodTolerationRestriction } from "./optional/pod-toleration-restriction.ts";
import { type OptionalPlugin, type PluginChoice, usualPlugins } from "./plugin-choice.ts";
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
  /** Every kind that is served. */
  readonly resources: () => Pick<ResourceTable, "all">;
  /** Which plugins run, where not the usual ones do, and what is set of them. */
  readonly choice?: PluginChoice | undefined;
  readonly configurations?: PluginConfigurations | undefined;
  readonly tolerationSeconds?: TolerationSeconds | undefined;
  /** MutatingAdmissionPolicy, webhooks and ValidatingAdmissionPolicy, in that order: they stand after all plugins that
   *  are built in, and before quota. */
  readonly extensions?: readonly AdmissionPlugin[] | undefined;
}

/** The plugins that are on, in upstream's order (AllOrderedPlugins). */
export function admissionPlugins(parts: AdmissionParts): AdmissionPlugin[] {
  const { reader, authorizer, rbac, choice = usualPlugins, configurations = {} } = parts;
  const { podSecurity, eventLimits, nodeSelectors = {}, tolerationRules = noTolerationRules } = configurations;
  const where = (name: OptionalPlugin, make: () => AdmissionPlugin): AdmissionPlugin[] =>
    choice.isEnabled(name) ? [make()] : [];
  const all = [
    ...where("NamespaceAutoProvision", () => new NamespaceAutoProvision(reader, parts.client)),
    new NamespaceLifecycle(reader),
    ...where("NamespaceExists", () => new NamespaceExists(reader)),
    ...where("LimitPodHardAntiAffinityTopology", () => new LimitPodHardAntiAffinityTopology()),
    new LimitRanger(reader),
    new ServiceAccountPlugin(reader),
    new NodeRestriction(reader, authorizer),
    new TaintNodesByCondition(),
    ...where("AlwaysPullImages", () => new AlwaysPullImages()),
    ...where("ImagePolicyWebhook", () => imagePolicyWebhook(configurations)),
    new PodSecurity(reader, podSecurity),
    ...where("PodNodeSelector", () => new PodNodeSelector(reader, nodeSelectors)),
    new Priority(reader),
    new DefaultTolerationSeconds(parts.tolerationSeconds),
    ...where("PodTolerationRestriction", () => new PodTolerationRestriction(reader, tolerationRules)),
    ...where("EventRateLimit", () => new EventRateLimit(eventLimits ?? [])),
    ...where("ExtendedResourceToleration", () => new ExtendedResourceToleration()),
    new DefaultStorageClass(reader),
    new StorageObjectInUseProtection(),
    ...where(
      "OwnerReferencesPermissionEnforcement",
      () => new OwnerReferencesPermissionEnforcement(authorizer, parts.resources),
    ),
    new PersistentVolumeClaimResize(reader),
    new RuntimeClassPlugin(reader),
    new CertificateApproval(authorizer),
    new CertificateSigning(authorizer),
    new CertificateSubjectRestriction(),
    new DefaultIngressClass(reader),
    ...where("DenyServiceExternalIPs", () => new DenyServiceExternalIPs()),
    new PodTopologyLabels(reader),
    ...(parts.extensions ?? []),
    new CertificateRequests(),
    new DeviceAdminAccess(reader),
    new EscalationCheck(authorizer, rbac),
    new ResourceQuotaPlugin(reader, parts.client, configurations.limitedResources),
    ...where("AlwaysDeny", () => new AlwaysDeny()),
  ];
  return all.filter(({ name }) => !choice.isDisabled(name));
}

/** Throws ConfigError, worded as upstream. */
function imagePolicyWebhook({ imagePolicy }: PluginConfigurations): ImagePolicyWebhook {
  if (!imagePolicy) throw new ConfigError(`couldn't init admission plugin "ImagePolicyWebhook": no config specified`);
  return new ImagePolicyWebhook(imagePolicy);
}
