/** APIServices of what this API server serves itself: one for each group version, in upstream's order of preference. */
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import { builtInPriority, customPriority, type Priority } from "../discovery/group-order.ts";
import type { ServedResource } from "../registry/served-resource.ts";

export const managedLabel = "kube-aggregator.kubernetes.io/automanaged";

/** What should be there for the served resources, by name. APIServices have none of their own: they would be in its way. */
export function localServices(resources: Iterable<ServedResource>): Map<string, APIService> {
  const services = new Map<string, APIService>();
  for (const { declaration, gvk } of resources) {
    const { group, version } = gvk;
    const name = `${version}.${group}`;
    if (group === "apiregistration.k8s.io" || services.has(name)) continue;
    const priority = declaration.custom ? customPriority : builtInPriority(group, version);
    if (priority) services.set(name, service(group, version, priority, declaration.custom ? "true" : "onstart"));
  }
  return services;
}

function service(group: string, version: string, priority: Priority, managed: "onstart" | "true"): APIService {
  return {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: `${version}.${group}`, labels: { [managedLabel]: managed } },
    // As it is stored, where the core group has no name: one that is compared equal is not written again.
    spec: {
      ...(group === "" ? {} : { group }),
      version,
      groupPriorityMinimum: priority.group,
      versionPriority: priority.version,
    },
  } as APIService;
}
