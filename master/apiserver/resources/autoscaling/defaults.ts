import type {
  HorizontalPodAutoscaler,
  HPAScalingPolicy,
  HPAScalingRules,
} from "#shared/api/types/autoscaling-v2.generated.ts";

const cpuUtilization_percent = 80;

/** SetDefaults_HorizontalPodAutoscaler of pkg/apis/autoscaling/v2. */
export function applyAutoscalerDefaults({ spec }: HorizontalPodAutoscaler): void {
  spec.minReplicas ??= 1;
  if (!spec.metrics?.length) {
    const target = { type: "Utilization", averageUtilization: cpuUtilization_percent };
    spec.metrics = [{ type: "Resource", resource: { name: "cpu", target } }];
  }
  const { behavior } = spec;
  if (!behavior) return;
  behavior.scaleUp = { ...fastestOf(4), stabilizationWindowSeconds: 0, ...given(behavior.scaleUp) };
  behavior.scaleDown = { ...fastestOf(), ...given(behavior.scaleDown) };
}

/** All pods may come or go within a quarter of a minute; or so many, where that is more. */
function fastestOf(pods?: number): HPAScalingRules {
  const policies: HPAScalingPolicy[] = [{ type: "Percent", value: 100, periodSeconds: 15 }];
  if (pods !== undefined) policies.unshift({ type: "Pods", value: pods, periodSeconds: 15 });
  return { selectPolicy: "Max", policies };
}

function given(rules: HPAScalingRules = {}): Partial<HPAScalingRules> {
  return Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined && value !== null));
}
