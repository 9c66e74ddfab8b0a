/** How autoscalers follow their metrics, as kube-controller-manager's flags --horizontal-pod-autoscaler-* have it. */
export interface AutoscalingSettings {
  /** Between two looks at the metrics. */
  readonly syncPeriod_ms: number;
  /** What an autoscaler shrinks to is the most of so long, where it says nothing else itself. */
  readonly downscaleStabilization_ms: number;
  /** How far usage may be off its target, as a share, before anything changes. */
  readonly tolerance: number;
  /** A pod that started less long ago is looked at with caution: its start costs more than its work. */
  readonly cpuInitializationPeriod_ms: number;
  /** A pod that was never ready within this after its start is still starting. */
  readonly initialReadinessDelay_ms: number;
}

/** Upstream's. */
export const usualAutoscaling: AutoscalingSettings = {
  syncPeriod_ms: 15_000,
  downscaleStabilization_ms: 300_000,
  tolerance: 0.1,
  cpuInitializationPeriod_ms: 300_000,
  initialReadinessDelay_ms: 30_000,
};
