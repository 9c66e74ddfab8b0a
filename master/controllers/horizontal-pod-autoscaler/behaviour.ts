import type { HorizontalPodAutoscalerBehavior, HPAScalingRules } from "#shared/api/types/autoscaling-v2.generated.ts";

/* How fast an autoscaler may follow its metrics; all of it pure but for the memory, which is a value of its own. */

interface Timed {
  readonly at_ms: number;
  readonly replicas: number;
}

/** What an autoscaler recommended and did lately. Times are of the monotonic clock. */
export interface ScalingMemory {
  readonly recommendations: readonly Timed[];
  /** Replicas added. */
  readonly ups: readonly Timed[];
  /** Replicas taken away. */
  readonly downs: readonly Timed[];
}

export const firstMemory = (currentReplicas: number, now_ms: number): ScalingMemory => ({
  recommendations: [{ at_ms: now_ms, replicas: currentReplicas }],
  ups: [],
  downs: [],
});

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

export interface ConditionText {
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

export interface Normalized {
  readonly replicas: number;
  readonly ableToScale: ConditionText;
  readonly scalingLimited: ConditionText;
  readonly memory: ScalingMemory;
}

const readyText: ConditionText = {
  status: "True",
  reason: "ReadyForNewScale",
  message: "recommended size matches current size",
};

/** A change of size that is thought of. */
export interface ScalingStep {
  /** Replicas that the metrics ask for, and those that there are. */
  readonly desired: number;
  readonly current: number;
  readonly bounds: Bounds;
  readonly behaviour: HorizontalPodAutoscalerBehavior | undefined;
  readonly memory: ScalingMemory;
  /** Without a window of its own an autoscaler grows at once and shrinks to the most of so long. */
  readonly usualDownWindow_s: number;
  /** Of the monotonic clock, as the memory's times. */
  readonly now_ms: number;
}

/** The size that may be taken now on the way to the desired one. */
export function normalize(step: ScalingStep): Normalized {
  const { desired, current, behaviour, memory, usualDownWindow_s, now_ms } = step;
  const windows = {
    up_s: behaviour?.scaleUp?.stabilizationWindowSeconds ?? 0,
    down_s: behaviour?.scaleDown?.stabilizationWindowSeconds ?? usualDownWindow_s,
  };
  const longest_ms = Math.max(windows.up_s, windows.down_s) * 1000;
  const recent = memory.recommendations.filter(({ at_ms }) => at_ms >= now_ms - longest_ms);
  const stable = stabilized(step, recent, windows);
  const limit = behaviour ? limitedByRules(stable, behaviour, step) : limited(stable, step);
  const shrinks = !behaviour || desired < current;
  const stabilizedText: ConditionText = shrinks
    ? {
        status: "True",
        reason: "ScaleDownStabilized",
        message: "recent recommendations were higher than current one, applying the highest recent recommendation",
      }
    : {
        status: "True",
        reason: "ScaleUpStabilized",
        message: "recent recommendations were lower than current one, applying the lowest recent recommendation",
      };
  return {
    replicas: limit.replicas,
    ableToScale: stable === desired ? readyText : stabilizedText,
    scalingLimited: {
      status: limit.replicas === stable ? "False" : "True",
      reason: limit.reason,
      message: limit.message,
    },
    memory: { ...memory, recommendations: [...recent, { at_ms: now_ms, replicas: desired }] },
  };
}

/** No higher than the lowest of the window for growing, no lower than the highest of that for shrinking. */
function stabilized(
  { desired, current, behaviour, now_ms }: ScalingStep,
  recent: readonly Timed[],
  windows: { readonly up_s: number; readonly down_s: number },
): number {
  const within = (window_s: number): number[] => [
    desired,
    ...recent.filter(({ at_ms }) => at_ms > now_ms - window_s * 1000).map(({ replicas }) => replicas),
  ];
  const high = Math.max(...within(windows.down_s));
  if (!behaviour) return high;
  const low = Math.min(...within(windows.up_s));
  return Math.min(Math.max(current, low), high);
}

interface Limit {
  readonly replicas: number;
  readonly reason: string;
  readonly message: string;
}

const inRange = (replicas: number): Limit => ({
  replicas,
  reason: "DesiredWithinRange",
  message: "the desired count is within the acceptable range",
});
const tooFew = (replicas: number): Limit => ({
  replicas,
  reason: "TooFewReplicas",
  message: "the desired replica count is less than the minimum replica count",
});
const tooMany = (replicas: number): Limit => ({
  replicas,
  reason: "TooManyReplicas",
  message: "the desired replica count is more than the maximum replica count",
});
const tooFast = (replicas: number): Limit => ({
  replicas,
  reason: "ScaleUpLimit",
  message: "the desired replica count is increasing faster than the maximum scale rate",
});
const tooSlow = (replicas: number): Limit => ({
  replicas,
  reason: "ScaleDownLimit",
  message: "the desired replica count is decreasing faster than the maximum scale rate",
});

/** Without rules: at most twice the size at once, or four. */
function limited(stable: number, { current, bounds: { min, max } }: ScalingStep): Limit {
  const most = Math.max(2 * current, 4);
  if (stable < min) return tooFew(min);
  if (stable > Math.min(max, most)) return max > most ? tooFast(most) : tooMany(max);
  return inRange(stable);
}

function limitedByRules(
  stable: number,
  { scaleUp = {}, scaleDown = {} }: HorizontalPodAutoscalerBehavior,
  step: ScalingStep,
): Limit {
  const {
    current,
    bounds: { min, max },
  } = step;
  if (stable > current) {
    const most = Math.max(current, rateLimit(scaleUp, step, "up"));
    if (stable > Math.min(max, most)) return max > most ? tooFast(most) : tooMany(max);
  } else if (stable < current) {
    const least = Math.min(current, rateLimit(scaleDown, step, "down"));
    if (stable < Math.max(min, least)) return min < least ? tooSlow(least) : tooFew(min);
  }
  return inRange(stable);
}

/** How far the policies let the size go now, from where it was when the period of each began. */
function rateLimit(
  { selectPolicy = "Max", policies = [] }: HPAScalingRules,
  { current, memory: { ups, downs }, now_ms }: ScalingStep,
  way: "up" | "down",
): number {
  if (selectPolicy === "Disabled") return current;
  const sign = way === "up" ? 1 : -1;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const within = (events: readonly Timed[]): number =>
      events
        .filter(({ at_ms }) => at_ms > now_ms - periodSeconds * 1000)
        .reduce((sum, { replicas }) => sum + replicas, 0);
    const before = current - within(ups) + within(downs);
    if (type === "Pods") return before + sign * value;
    const share = before * (1 + (sign * value) / 100);
    return way === "up" ? Math.ceil(share) : Math.trunc(share);
  });
  if (limits.length === 0) return way === "up" ? Number.POSITIVE_INFINITY : 0;
  // "Max" is the greatest change, which downwards is the smallest size.
  return (selectPolicy === "Min") === (way === "up") ? Math.min(...limits) : Math.max(...limits);
}

/** The memory with a change of size; what no policy looks back to any more is dropped. */
export function remember(
  memory: ScalingMemory,
  from: number,
  to: number,
  behaviour: HorizontalPodAutoscalerBehavior | undefined,
  now_ms: number,
): ScalingMemory {
  if (!behaviour) return memory;
  const kept = (events: readonly Timed[], rules: HPAScalingRules | undefined): Timed[] => {
    const longest_s = Math.max(0, ...(rules?.policies ?? []).map(({ periodSeconds }) => periodSeconds));
    return events.filter(({ at_ms }) => at_ms >= now_ms - longest_s * 1000);
  };
  const event = { at_ms: now_ms, replicas: Math.abs(to - from) };
  const ups = kept(memory.ups, behaviour.scaleUp);
  const downs = kept(memory.downs, behaviour.scaleDown);
  return to > from ? { ...memory, ups: [...ups, event], downs } : { ...memory, ups, downs: [...downs, event] };
}
