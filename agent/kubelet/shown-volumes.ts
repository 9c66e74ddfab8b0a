import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { factsOf } from "./plan-run.ts";
import { type ObservedPod, podIPs } from "./planner/observed-pod.ts";
import { podUid } from "./pod-containers.ts";
import type { KubeletParts } from "./pod-context.ts";
import type { PodEvents } from "./pod-events.ts";
import { VolumesError } from "./volumes/volume-error.ts";
import type { VolumeRefresh } from "./volumes/volume-refresh.ts";

const retry_ms = 30_000;

export interface ShowingPod {
  readonly pod: Pod;
  readonly observed: ObservedPod;
  readonly parts: KubeletParts;
  readonly events: PodEvents;
}

/**
 * Brings up to date what a pod's volumes show. What cannot be had any more does not stop the pod: its volumes go on showing
 * what they did, and that is told. Gives the time for another try, epoch ms.
 */
export async function refreshShown(
  refresh: VolumeRefresh,
  { pod, observed, parts, events }: ShowingPod,
): Promise<number | undefined> {
  const isDue = (parts.volumes.refreshAt_ms(podUid(pod)) ?? Infinity) <= parts.now_ms();
  try {
    await refresh.settle(isDue, async () => {
      // Before the first container there is nothing to refresh: the plan mounts.
      if (observed.containers.length === 0) return;
      const ips = pod.spec.hostNetwork ? parts.hostIPs() : podIPs(observed);
      await parts.volumes.refresh(factsOf({ pod, parts, podIPs: ips }));
    });
  } catch (error) {
    if (!(error instanceof VolumesError)) throw error;
    for (const { message } of error.failures) events.warning("FailedMount", message);
    return parts.now_ms() + retry_ms;
  }
  return undefined;
}
