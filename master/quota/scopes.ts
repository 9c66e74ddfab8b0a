import { amountsOf } from "#shared/api/scheduling/pod-resources.ts";
import type {
  PersistentVolumeClaim,
  Pod,
  PodAffinityTerm,
  ResourceQuota,
  ScopedResourceSelectorRequirement,
} from "#shared/api/types/core-v1.generated.ts";

/** All scopes of a quota, those of `scopes` as `Exists`. */
export function scopesOf({ spec }: ResourceQuota): ScopedResourceSelectorRequirement[] {
  return [
    ...(spec.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists" })),
    ...(spec.scopeSelector?.matchExpressions ?? []),
  ];
}

/** Scopes that are not about pods match none. */
export function podMatchesScope(scope: ScopedResourceSelectorRequirement, pod: Pod): boolean {
  switch (scope.scopeName) {
    case "Terminating":
      return isTerminating(pod);
    case "NotTerminating":
      return !isTerminating(pod);
    case "BestEffort":
      return isBestEffort(pod);
    case "NotBestEffort":
      return !isBestEffort(pod);
    case "PriorityClass":
      return matchesValue(scope, pod.spec?.priorityClassName ?? "");
    case "CrossNamespacePodAffinity":
      return affinityTerms(pod).some(
        (term) => (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector !== undefined,
      );
    default:
      return false;
  }
}

/** Scopes that are not about claims match none. */
export function claimMatchesScope(scope: ScopedResourceSelectorRequirement, claim: PersistentVolumeClaim): boolean {
  if (scope.scopeName !== "VolumeAttributesClass") return false;
  const names = [
    claim.spec?.volumeAttributesClassName,
    claim.status?.currentVolumeAttributesClassName,
    claim.status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ].filter((name) => name);
  if (names.length === 0) return matchesValue(scope, "");
  return names.some((name) => matchesValue(scope, name ?? ""));
}

/** Ends by itself. */
export const isTerminating = (pod: Pod): boolean => (pod.spec?.activeDeadlineSeconds ?? -1) >= 0;

function matchesValue({ operator, values = [] }: ScopedResourceSelectorRequirement, value: string): boolean {
  switch (operator) {
    case "Exists":
      return value !== "";
    case "DoesNotExist":
      return value === "";
    case "In":
      return value !== "" && values.includes(value);
    case "NotIn":
      return value === "" || !values.includes(value);
    default:
      return false;
  }
}

/** The quality of service of a pod that asks for nothing. */
function isBestEffort({ spec }: Pod): boolean {
  const resources = [
    spec?.resources,
    ...[...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map((container) => container.resources),
  ];
  return resources.every((wanted) =>
    [wanted?.requests, wanted?.limits].every((list) => {
      const amounts = amountsOf(list);
      return ["cpu", "memory"].every((name) => (amounts.get(name) ?? 0) <= 0);
    }),
  );
}

function affinityTerms({ spec }: Pod): PodAffinityTerm[] {
  return [spec?.affinity?.podAffinity, spec?.affinity?.podAntiAffinity].flatMap((affinity) => [
    ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((weighted) => weighted.podAffinityTerm),
  ]);
}
