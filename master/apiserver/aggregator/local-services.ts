/** APIServices of what this API server serves itself: one for each group version, in upstream's order of preference. */
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import type { ServedResource } from "../registry/served-resource.ts";

export const managedLabel = "kube-aggregator.kubernetes.io/automanaged";

/** Of each group, then of its versions (kube-apiserver's list). */
const groupPriorities: Readonly<Record<string, readonly [group: number, versions: Readonly<Record<string, number>>]>> =
  {
    "": [18000, { v1: 1 }],
    apps: [17800, { v1: 15 }],
    "events.k8s.io": [17750, { v1: 15 }],
    "authentication.k8s.io": [17700, { v1: 15 }],
    "authorization.k8s.io": [17600, { v1: 15 }],
    autoscaling: [17500, { v1: 15, v2: 30 }],
    batch: [17400, { v1: 15 }],
    "certificates.k8s.io": [17300, { v1: 15 }],
    "networking.k8s.io": [17200, { v1: 15 }],
    policy: [17100, { v1: 15 }],
    "rbac.authorization.k8s.io": [17000, { v1: 15 }],
    "storage.k8s.io": [16800, { v1: 15 }],
    "apiextensions.k8s.io": [16700, { v1: 15 }],
    "admissionregistration.k8s.io": [16700, { v1: 15 }],
    "scheduling.k8s.io": [16600, { v1: 15 }],
    "coordination.k8s.io": [16500, { v1: 15 }],
    "node.k8s.io": [16300, { v1: 15 }],
    "discovery.k8s.io": [16200, { v1: 15 }],
    "resource.k8s.io": [16200, { v1: 21 }],
    "flowcontrol.apiserver.k8s.io": [16100, { v1: 21 }],
    // As metrics-server registers it.
    "metrics.k8s.io": [100, { v1beta1: 100 }],
    "bramble.dev": [90, { v1: 15 }],
  };
const CUSTOM_GROUP_PRIORITY = 1000;
const CUSTOM_VERSION_PRIORITY = 100;

/** What should be there for the served resources, by name. APIServices have none of their own: they would be in its way. */
export function localServices(resources: Iterable<ServedResource>): Map<string, APIService> {
  const services = new Map<string, APIService>();
  for (const { declaration, gvk } of resources) {
    const { group, version } = gvk;
    const name = `${version}.${group}`;
    if (group === "apiregistration.k8s.io" || services.has(name)) continue;
    const made = declaration.custom ? customService(group, version) : builtInService(group, version);
    if (made) services.set(name, made);
  }
  return services;
}

function builtInService(group: string, version: string): APIService | undefined {
  const [groupPriority, versions] = groupPriorities[group] ?? [];
  const versionPriority = versions?.[version];
  if (groupPriority === undefined || versionPriority === undefined) return undefined;
  return service(group, version, groupPriority, versionPriority, "onstart");
}

const customService = (group: string, version: string): APIService =>
  service(group, version, CUSTOM_GROUP_PRIORITY, CUSTOM_VERSION_PRIORITY, "true");

function service(
  group: string,
  version: string,
  groupPriorityMinimum: number,
  versionPriority: number,
  managed: "onstart" | "true",
): APIService {
  return {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: `${version}.${group}`, labels: { [managedLabel]: managed } },
    spec: { group, version, groupPriorityMinimum, versionPriority },
  } as APIService;
}
