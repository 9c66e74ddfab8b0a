import { decimal, duration, type ValuesOf } from "./option.ts";

/** How HorizontalPodAutoscalers follow their metrics, under upstream's names and with its values. */
export const autoscalingOptions = {
  horizontalPodAutoscalerSyncPeriod: duration(
    "horizontal-pod-autoscaler-sync-period",
    "how often HorizontalPodAutoscalers look at their metrics",
    "15s",
  ),
  horizontalPodAutoscalerDownscaleStabilization: duration(
    "horizontal-pod-autoscaler-downscale-stabilization",
    "an autoscaler shrinks to no less than what its metrics asked for in so long, where it says nothing else itself",
    "5m",
  ),
  horizontalPodAutoscalerTolerance: decimal(
    "horizontal-pod-autoscaler-tolerance",
    "SHARE",
    "how far a metric may be off its target before anything changes",
    0.1,
    { min: 0, max: 1 },
  ),
  horizontalPodAutoscalerCpuInitializationPeriod: duration(
    "horizontal-pod-autoscaler-cpu-initialization-period",
    "how long after its start a pod's use of the CPU counts only while it is ready",
    "5m",
  ),
  horizontalPodAutoscalerInitialReadinessDelay: duration(
    "horizontal-pod-autoscaler-initial-readiness-delay",
    "a pod that stopped being ready within so long after its start counts as still starting",
    "30s",
  ),
} as const;

export type AutoscalingValues = ValuesOf<typeof autoscalingOptions>;
