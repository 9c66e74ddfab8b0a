/**
 * autoscaling/v1 of a HorizontalPodAutoscaler: one CPU target is a field, all else travels in annotations so that
 * nothing is lost on the way through a v1 client (pkg/apis/autoscaling/v1/conversion.go).
 */
import type { KubeObject } from "#shared/api/object.ts";
import type { HorizontalPodAutoscaler as AutoscalerV1 } from "#shared/api/types/autoscaling-v1.generated.ts";
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerBehavior,
  MetricSpec,
  MetricStatus,
} from "#shared/api/types/autoscaling-v2.generated.ts";
import {
  type BehaviorAnnotation,
  behaviorFromAnnotation,
  behaviorToAnnotation,
  type FlatMetric,
  metricFromV1,
  metricStatusFromV1,
  metricStatusToV1,
  metricToV1,
} from "./v1-metrics.ts";

const prefix = "autoscaling.alpha.kubernetes.io/";
const metricsAnnotation = `${prefix}metrics`;
const currentMetricsAnnotation = `${prefix}current-metrics`;
const conditionsAnnotation = `${prefix}conditions`;
const behaviorAnnotation = `${prefix}behavior`;
const roundTrip = [
  metricsAnnotation,
  currentMetricsAnnotation,
  conditionsAnnotation,
  behaviorAnnotation,
  `${prefix}scale-down-tolerance`,
  `${prefix}scale-up-tolerance`,
];

const isCpuUtilization = ({ type, resource }: MetricSpec): boolean =>
  type === "Resource" && resource?.name === "cpu" && resource.target.averageUtilization !== undefined;

/** Metadata without the annotations that only carry fields across versions. */
function withAnnotations<T extends KubeObject["metadata"]>(metadata: T, extra: Record<string, string>): T {
  const kept = Object.entries(metadata.annotations ?? {}).filter(([key]) => !roundTrip.includes(key));
  const annotations = { ...Object.fromEntries(kept), ...extra };
  const { annotations: _, ...rest } = metadata;
  return (Object.keys(annotations).length === 0 ? rest : { ...rest, annotations }) as T;
}

/** The stored v2 object as v1 shows it. */
export function autoscalerToV1(object: KubeObject): AutoscalerV1 {
  const { metadata, spec, status } = object as HorizontalPodAutoscaler;
  const annotations: Record<string, string> = {};
  const others = (spec?.metrics ?? []).filter((metric) => !isCpuUtilization(metric)).map(metricToV1);
  if (others.length > 0) annotations[metricsAnnotation] = JSON.stringify(others);
  if (status?.currentMetrics?.length) {
    annotations[currentMetricsAnnotation] = JSON.stringify(status.currentMetrics.map(metricStatusToV1));
  }
  if (spec?.behavior) annotations[behaviorAnnotation] = JSON.stringify(behaviorToAnnotation(spec?.behavior));
  if (status?.conditions?.length) annotations[conditionsAnnotation] = JSON.stringify(status.conditions);
  const target = spec?.metrics?.find(isCpuUtilization)?.resource?.target.averageUtilization;
  const current = status?.currentMetrics?.find(({ resource }) => resource?.name === "cpu")?.resource?.current;
  return {
    kind: "HorizontalPodAutoscaler",
    apiVersion: "autoscaling/v1",
    metadata: withAnnotations(metadata, annotations),
    spec: {
      scaleTargetRef: spec?.scaleTargetRef,
      ...(spec?.minReplicas === undefined ? {} : { minReplicas: spec?.minReplicas }),
      maxReplicas: spec?.maxReplicas,
      ...(target === undefined ? {} : { targetCPUUtilizationPercentage: target }),
    },
    status: {
      ...(status?.observedGeneration === undefined ? {} : { observedGeneration: status.observedGeneration }),
      ...(status?.lastScaleTime === undefined ? {} : { lastScaleTime: status.lastScaleTime }),
      currentReplicas: status?.currentReplicas ?? 0,
      desiredReplicas: status?.desiredReplicas ?? 0,
      ...(current?.averageUtilization === undefined
        ? {}
        : { currentCPUUtilizationPercentage: current.averageUtilization }),
    },
  };
}

/** An annotation's JSON; undefined where a person wrote something that is not. Upstream ignores it, too. */
function parse<T>(text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

const cpuMetric = (averageUtilization: number): MetricSpec => ({
  type: "Resource",
  resource: { name: "cpu", target: { type: "Utilization", averageUtilization } },
});

/** A v1 object as it is stored. */
export function autoscalerFromV1(object: KubeObject): HorizontalPodAutoscaler {
  const { metadata, spec, status } = object as AutoscalerV1;
  const annotations = metadata.annotations ?? {};
  const metrics: MetricSpec[] = (parse<FlatMetric[]>(annotations[metricsAnnotation]) ?? []).map(metricFromV1);
  if (spec?.targetCPUUtilizationPercentage !== undefined) metrics.push(cpuMetric(spec.targetCPUUtilizationPercentage));
  const annotated = parse<BehaviorAnnotation>(annotations[behaviorAnnotation]);
  const behavior: HorizontalPodAutoscalerBehavior | undefined = annotated && behaviorFromAnnotation(annotated);
  const currentMetrics: MetricStatus[] | undefined = parse<FlatMetric[]>(annotations[currentMetricsAnnotation])?.map(
    metricStatusFromV1,
  );
  const conditions = parse<NonNullable<HorizontalPodAutoscaler["status"]>["conditions"]>(
    annotations[conditionsAnnotation],
  );
  return {
    kind: "HorizontalPodAutoscaler",
    apiVersion: "autoscaling/v2",
    metadata: withAnnotations(metadata, {}),
    spec: {
      scaleTargetRef: spec?.scaleTargetRef,
      ...(spec?.minReplicas === undefined ? {} : { minReplicas: spec.minReplicas }),
      maxReplicas: spec?.maxReplicas,
      ...(metrics.length === 0 ? {} : { metrics }),
      ...(behavior === undefined ? {} : { behavior }),
    },
    status: {
      ...(status?.observedGeneration === undefined ? {} : { observedGeneration: status.observedGeneration }),
      ...(status?.lastScaleTime === undefined ? {} : { lastScaleTime: status.lastScaleTime }),
      currentReplicas: status?.currentReplicas ?? 0,
      desiredReplicas: status?.desiredReplicas ?? 0,
      ...(currentMetrics === undefined ? {} : { currentMetrics }),
      ...(conditions === undefined ? {} : { conditions }),
    },
  };
}
