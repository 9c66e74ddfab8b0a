import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { ConfigError } from "#shared/config/option.ts";
import { isCritical, systemCriticalPriority } from "../node/eviction.ts";

/** How long pods of this priority, up to the next higher one that is named, have to end when the board shuts down. */
export interface PriorityGrace {
  readonly priority: number;
  readonly grace_s: number;
}

export interface ShutdownSettings {
  readonly shutdownGracePeriod: number;
  readonly shutdownGracePeriodCriticalPods: number;
  readonly shutdownGracePeriodByPodPriority: readonly string[];
}

/** Classes by rising priority (KEP-2712), from either form of the settings; none where pods are not to be ended. Throws
 *  ConfigError. */
export function gracePeriods(settings: ShutdownSettings): PriorityGrace[] {
  const { shutdownGracePeriodByPodPriority: byPriority } = settings;
  if (byPriority.length > 0) return byPriority.map(parseClass).sort((a, b) => a.priority - b.priority);
  const total_s = settings.shutdownGracePeriod / 1000;
  const critical_s = settings.shutdownGracePeriodCriticalPods / 1000;
  if (total_s === 0) return [];
  if (total_s < 1) throw new ConfigError("shutdown-grace-period: expected 0 or at least 1s");
  // A default must not stand in the way of a shorter period.
  const ofCritical_s = Math.min(critical_s, total_s);
  return [
    { priority: 0, grace_s: total_s - ofCritical_s },
    { priority: systemCriticalPriority, grace_s: ofCritical_s },
  ];
}

function parseClass(text: string): PriorityGrace {
  const [, priority, grace_s] = /^(-?\d+)=(\d+)$/.exec(text) ?? [];
  if (priority === undefined)
    throw new ConfigError(`shutdown-grace-period-by-pod-priority: expected PRIORITY=SECONDS, got ${text}`);
  return { priority: Number(priority), grace_s: Number(grace_s) };
}

export const totalGrace_s = (classes: readonly PriorityGrace[]): number =>
  classes.reduce((sum, { grace_s }) => sum + grace_s, 0);

/** The class of each pod, as upstream's groupByPriority: that of the highest priority not above its own, else the lowest. */
export function byClass<T>(
  classes: readonly PriorityGrace[],
  all: readonly T[],
  podOf: (one: T) => Pod,
): { readonly grace_s: number; readonly members: readonly T[] }[] {
  const indexOf = (pod: Pod): number => {
    // Static pods are critical whatever their manifest says.
    const priority = isCritical(pod)
      ? Math.max(pod.spec.priority ?? 0, systemCriticalPriority)
      : (pod.spec.priority ?? 0);
    return Math.max(
      0,
      classes.findLastIndex((each) => each.priority <= priority),
    );
  };
  return classes.map(({ grace_s }, index) => ({
    grace_s,
    members: all.filter((one) => indexOf(podOf(one)) === index),
  }));
}

/** Seconds a pod gets: its own grace period, unless its class has less. */
export const podGrace_s = ({ spec }: Pod, ofClass_s: number): number =>
  Math.min(spec.terminationGracePeriodSeconds ?? ofClass_s, ofClass_s);
