import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { Strategy } from "../../../registry/declaration.ts";
import { isDns1035Label } from "../../validation/names.ts";
import { addressWarnings, eachWarned, rangeWarnings } from "../../validation/warned-values.ts";
import {
  hasNodePorts,
  isExternallyAccessible,
  needsClusterIP,
  needsHealthCheck,
  nodePortsOf,
  sameClusterIPs,
  sameFamilies,
} from "./families.ts";
import { internalTrafficPolicies, validateService, validateServiceStatus, validateServiceUpdate } from "./validate.ts";

const clientIPTimeout_s = 10_800;

function applyDefaults(service: Service): void {
  service.spec ??= {};
  const { spec } = service;
  spec.sessionAffinity ||= "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "ClientIP" && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined) {
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: clientIPTimeout_s } };
  }
  spec.type ||= "ClusterIP";
  for (const port of spec.ports ?? []) {
    port.protocol ||= "TCP";
    if (!port.targetPort) port.targetPort = port.port;
  }
  if (isExternallyAccessible(service)) spec.externalTrafficPolicy ||= "Cluster";
  if (spec.type !== "ExternalName") spec.internalTrafficPolicy ??= "Cluster";
  if (spec.type !== "LoadBalancer") return;
  spec.allocateLoadBalancerNodePorts ??= true;
  for (const ingress of service.status?.loadBalancer?.ingress ?? []) if (ingress.ip) ingress.ipMode ??= "VIP";
}

/** Fields that belong to the type a Service had go with it, unless this very update sets them. */
function dropFieldsOfOldType(draft: Service, old: Readonly<Service>): void {
  const { spec } = draft;
  if (needsClusterIP(old) && !needsClusterIP(draft)) dropAddresses(draft, old);
  const oldPorts = new Set(nodePortsOf(old));
  if (hasNodePorts(old) && !hasNodePorts(draft) && nodePortsOf(draft).every((port) => oldPorts.has(port))) {
    for (const port of spec.ports ?? []) delete port.nodePort;
  }
  if (needsHealthCheck(old) && !needsHealthCheck(draft) && spec.healthCheckNodePort === old.spec.healthCheckNodePort) {
    delete spec.healthCheckNodePort;
  }
  if (old.spec.type === "LoadBalancer" && spec.type !== "LoadBalancer") {
    const keys = ["allocateLoadBalancerNodePorts", "loadBalancerClass"] as const;
    for (const key of keys) if (spec[key] === old.spec[key]) delete spec[key];
  }
  if (isExternallyAccessible(old) && !isExternallyAccessible(draft)) {
    if (spec.externalTrafficPolicy === old.spec.externalTrafficPolicy) delete spec.externalTrafficPolicy;
  }
  if (spec.type !== "LoadBalancer" && draft.status) draft.status = { ...draft.status, loadBalancer: {} };
}

/** A mere name has no traffic of its own: upstream takes the field, and leaves it out of what is read. */
function dropUnusedPolicy({ spec }: Service): void {
  const { type, internalTrafficPolicy = "" } = spec;
  // What no policy is called is for validation to refuse.
  if (type === "ExternalName" && internalTrafficPolicies.includes(internalTrafficPolicy))
    delete spec.internalTrafficPolicy;
}

function dropAddresses(draft: Service, old: Readonly<Service>): void {
  const { spec } = draft;
  if (spec.clusterIP === old.spec.clusterIP && sameClusterIPs(draft, old)) {
    delete spec.clusterIP;
    delete spec.clusterIPs;
  }
  if (sameFamilies(draft, old)) delete spec.ipFamilies;
  if ((spec.ipFamilyPolicy ?? "") === (old.spec.ipFamilyPolicy ?? "")) delete spec.ipFamilyPolicy;
}

const oldHints = "service.kubernetes.io/topology-aware-hints";

/** What of a service does nothing, and what has a better name. */
function serviceWarnings({ metadata, spec }: Service): string[] {
  const {
    type,
    clusterIP,
    externalIPs = [],
    externalName,
    loadBalancerIP,
    sessionAffinity,
    trafficDistribution,
  } = spec;
  const isExternal = type === "ExternalName";
  const isHeadless = clusterIP === "None";
  const warnings: (readonly [boolean, string])[] = [
    [isHeadless && !!loadBalancerIP, "spec.loadBalancerIP is ignored for headless services"],
    [isHeadless && externalIPs.length > 0, "spec.externalIPs is ignored for headless services"],
    [isHeadless && sessionAffinity !== "None", "spec.SessionAffinity is ignored for headless services"],
    [isExternal && externalIPs.length > 0, 'spec.externalIPs is ignored when spec.type is "ExternalName"'],
    [!isExternal && !!externalName, 'spec.externalName is ignored when spec.type is not "ExternalName"'],
    [
      trafficDistribution === "PreferClose",
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ],
  ];
  return [
    ...(metadata.annotations?.[oldHints] === undefined
      ? []
      : [`annotation ${oldHints} is deprecated, please use service.kubernetes.io/topology-mode instead`]),
    ...(isHeadless || isExternal ? [] : eachWarned(spec.clusterIPs, "spec.clusterIPs", addressWarnings)),
    ...eachWarned(externalIPs, "spec.externalIPs", addressWarnings),
    ...(loadBalancerIP ? addressWarnings(loadBalancerIP, "spec.loadBalancerIP") : []),
    ...eachWarned(spec.loadBalancerSourceRanges, "spec.loadBalancerSourceRanges", rangeWarnings),
    ...warnings.filter(([applies]) => applies).map(([, warning]) => warning),
  ];
}

export const serviceStrategy: Strategy<Service> = {
  statusApplyCreates: true,
  hasStatus: true,
  answersDeleteWithObject: true,
  allowCreateOnUpdate: true,
  validateName: isDns1035Label,
  applyDefaults,
  prepareForCreate(draft) {
    draft.status = { loadBalancer: {} };
    dropUnusedPolicy(draft);
  },
  prepareForUpdate(draft, old) {
    dropFieldsOfOldType(draft, old);
    dropUnusedPolicy(draft);
  },
  warnings: serviceWarnings,
  validate: (service) => validateService(service),
  validateUpdate: validateServiceUpdate,
  validateStatusUpdate: validateServiceStatus,
};
