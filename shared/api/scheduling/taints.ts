import type { Taint, Toleration } from "../types/core-v1.generated.ts";

/** Taints that components set and read (k8s.io/api core/v1 well_known_taints). */
export const wellKnownTaints = {
  notReady: "node.kubernetes.io/not-ready",
  unreachable: "node.kubernetes.io/unreachable",
  unschedulable: "node.kubernetes.io/unschedulable",
  memoryPressure: "node.kubernetes.io/memory-pressure",
  diskPressure: "node.kubernetes.io/disk-pressure",
  pidPressure: "node.kubernetes.io/pid-pressure",
  networkUnavailable: "node.kubernetes.io/network-unavailable",
  outOfService: "node.kubernetes.io/out-of-service",
} as const;

/** Whether the toleration covers the taint. An empty effect covers all effects, an empty key with Exists all taints. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  switch (toleration.operator ?? "") {
    case "":
    case "Equal":
      return (toleration.value ?? "") === (taint.value ?? "");
    case "Exists":
      return true;
    default:
      return false;
  }
}

/** The first taint that counts and that none of the tolerations covers. */
export function untoleratedTaint(
  taints: readonly Taint[] | undefined,
  tolerations: readonly Toleration[] | undefined,
  counts: (taint: Taint) => boolean,
): Taint | undefined {
  return taints?.find(
    (taint) => counts(taint) && !(tolerations ?? []).some((toleration) => tolerates(toleration, taint)),
  );
}

/** NoSchedule and NoExecute keep new pods away. */
export const keepsPodsAway = (taint: Taint): boolean => taint.effect === "NoSchedule" || taint.effect === "NoExecute";

export const sameTaint = (a: Taint, b: Taint): boolean => a.key === b.key && a.effect === b.effect;
