import type { Container, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { latest, type ObservedPod } from "./observed-pod.ts";

/** Does a container that ended with `exitCode` run again? Its own rules first (KEP-5307), then its policy, then the pod's. */
export function restartsAfterExit(container: Container, spec: PodSpec, exitCode: number): boolean {
  if (container.restartPolicy !== undefined) {
    for (const rule of container.restartPolicyRules ?? []) {
      const listed = rule.exitCodes?.values?.includes(exitCode) ?? false;
      const matches =
        (rule.exitCodes?.operator === "In" && listed) || (rule.exitCodes?.operator === "NotIn" && !listed);
      if (!matches) continue;
      if (rule.action === "Restart") return true;
      break;
    }
  }
  switch (container.restartPolicy ?? spec.restartPolicy) {
    case "OnFailure":
      return exitCode !== 0;
    case "Never":
      return false;
    default:
      return true;
  }
}

/** Is there a next attempt, given the last one? Never for a pod that is being deleted. */
export function shouldRun(container: Container, pod: Pod, observed: Pick<ObservedPod, "containers">): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  const last = latest(observed, container.name);
  if (!last) return true;
  if (last.state === "running") return false;
  if (last.state === "exited") return restartsAfterExit(container, pod.spec, last.exitCode ?? 0);
  return true;
}
