import type { PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement } from "#shared/api/types/batch-v1.generated.ts";
import type { ContainerStatus, Pod } from "#shared/api/types/core-v1.generated.ts";

export interface FailureVerdict {
  /** Whether the failure counts towards the back-off limits. */
  readonly counts: boolean;
  /** Of the rule that matched. */
  readonly action?: "FailJob" | "FailIndex" | "Ignore" | "Count";
  /** Why the whole Job fails; set with FailJob alone. */
  readonly message?: string;
}

/** What the first matching rule says of a failed pod (pure, KEP-3329). */
export function judgeFailure(policy: PodFailurePolicy | undefined, pod: Pod): FailureVerdict {
  const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
  for (const [index, { action, onExitCodes, onPodConditions }] of (policy?.rules ?? []).entries()) {
    let message: string | undefined;
    if (onExitCodes) {
      const container = containerThatFailed(pod, onExitCodes);
      if (container)
        message = `Container ${container.name} for pod ${name} failed with exit code ${container.state?.terminated?.exitCode} matching ${action} rule at index ${index}`;
    } else if (onPodConditions) {
      const condition = pod.status?.conditions?.find(({ type, status }) =>
        onPodConditions.some((pattern) => pattern.type === type && (pattern.status ?? "True") === status),
      );
      if (condition) message = `Pod ${name} has condition ${condition.type} matching ${action} rule at index ${index}`;
    }
    if (message === undefined) continue;
    switch (action) {
      case "FailJob":
        return { counts: true, action, message };
      case "FailIndex":
      case "Count":
        return { counts: true, action };
      case "Ignore":
        return { counts: false, action };
    }
  }
  return { counts: true };
}

function containerThatFailed(
  { status }: Pod,
  { containerName, operator, values }: PodFailurePolicyOnExitCodesRequirement,
): ContainerStatus | undefined {
  return [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].find(({ name, state }) => {
    const exitCode = state?.terminated?.exitCode;
    if (!exitCode || (containerName !== undefined && containerName !== name)) return false;
    if (operator === "In") return values.includes(exitCode);
    return operator === "NotIn" && !values.includes(exitCode);
  });
}
