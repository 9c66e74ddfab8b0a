import type { Pod, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import type { PodFailure } from "./pod-end.ts";

export const deadlineExceeded: PodFailure = {
  reason: "DeadlineExceeded",
  message: "Pod was active on the node longer than the specified deadline",
};

/** When the pod has been active for as long as its spec allows, epoch ms; undefined: never, or it has not been taken in yet. */
export function activeDeadline_ms(
  { spec: { activeDeadlineSeconds } }: Pod,
  status: Pick<PodStatus, "startTime"> | undefined,
): number | undefined {
  if (activeDeadlineSeconds === undefined || status?.startTime === undefined) return undefined;
  return Date.parse(status.startTime) + activeDeadlineSeconds * 1000;
}
