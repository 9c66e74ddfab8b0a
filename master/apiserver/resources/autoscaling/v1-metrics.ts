/** Metrics and behaviour of an autoscaler in the forms that autoscaling/v1's annotations hold. */
import type {
  HorizontalPodAutoscalerBehavior,
  HPAScalingRules,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
} from "#shared/api/types/autoscaling-v2.generated.ts";
import type { LabelSelector } from "#shared/api/types/meta-v1.generated.ts";

type Amount = string | number | undefined;

/** v1 spells a metric as `{ type, <type>: { metricName, targetValue, … } }`, with values beside the name. */
export interface FlatMetric {
  readonly type: string;
  readonly [source: string]: FlatSource | string;
}
type FlatSource = Readonly<Record<string, unknown>>;

const sources = {
  Object: "object",
  Pods: "pods",
  Resource: "resource",
  ContainerResource: "containerResource",
  External: "external",
} as const;
type SourceType = keyof typeof sources;
const isSourceType = (type: string): type is SourceType => type in sources;

function defined(entries: Record<string, unknown>): FlatSource {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}

function flatten(
  metric: MetricSpec | MetricStatus,
  values: (type: SourceType, source: never) => FlatSource,
): FlatMetric {
  const { type } = metric;
  if (!isSourceType(type)) return { type };
  const source = (metric as unknown as Record<string, unknown>)[sources[type]];
  return source === undefined ? { type } : { type, [sources[type]]: values(type, source as never) };
}

interface AnySource {
  readonly name?: string;
  readonly container?: string;
  readonly metric?: { readonly name: string; readonly selector?: LabelSelector };
  readonly describedObject?: object;
  readonly target?: MetricTarget;
  readonly current?: MetricValueStatus;
}

export const metricToV1 = (spec: MetricSpec): FlatMetric =>
  flatten(spec, (type, source: AnySource) => {
    const { target } = source;
    switch (type) {
      case "Resource":
      case "ContainerResource":
        return defined({
          name: source.name,
          targetAverageUtilization: target?.averageUtilization,
          targetAverageValue: target?.averageValue,
          container: source.container,
        });
      case "Pods":
        return defined({
          metricName: source.metric?.name,
          targetAverageValue: target?.averageValue,
          selector: source.metric?.selector,
        });
      case "Object":
        return defined({
          target: source.describedObject,
          metricName: source.metric?.name,
          targetValue: target?.value ?? "0",
          selector: source.metric?.selector,
          averageValue: target?.averageValue,
        });
      case "External":
        return defined({
          metricName: source.metric?.name,
          metricSelector: source.metric?.selector,
          targetValue: target?.value,
          targetAverageValue: target?.averageValue,
        });
    }
  });

export const metricStatusToV1 = (status: MetricStatus): FlatMetric =>
  flatten(status, (type, source: AnySource) => {
    const { current } = source;
    switch (type) {
      case "Resource":
      case "ContainerResource":
        return defined({
          name: source.name,
          currentAverageUtilization: current?.averageUtilization,
          currentAverageValue: current?.averageValue ?? "0",
          container: source.container,
        });
      case "Pods":
        return defined({
          metricName: source.metric?.name,
          currentAverageValue: current?.averageValue,
          selector: source.metric?.selector,
        });
      case "Object":
        return defined({
          target: source.describedObject,
          metricName: source.metric?.name,
          currentValue: current?.value ?? "0",
          selector: source.metric?.selector,
          averageValue: current?.averageValue,
        });
      case "External":
        return defined({
          metricName: source.metric?.name,
          metricSelector: source.metric?.selector,
          currentValue: current?.value ?? "0",
          currentAverageValue: current?.averageValue,
        });
    }
  });

interface Flat {
  readonly name?: string;
  readonly container?: string;
  readonly metricName?: string;
  readonly selector?: LabelSelector;
  readonly metricSelector?: LabelSelector;
  readonly target?: object;
  readonly targetValue?: Amount;
  readonly averageValue?: Amount;
  readonly targetAverageValue?: Amount;
  readonly targetAverageUtilization?: number;
  readonly currentValue?: Amount;
  readonly currentAverageValue?: Amount;
  readonly currentAverageUtilization?: number;
}

function named(type: SourceType, flat: Flat): FlatSource {
  if (type === "Resource" || type === "ContainerResource") {
    return defined({ name: flat.name, container: flat.container });
  }
  const selector = type === "External" ? flat.metricSelector : flat.selector;
  return defined({
    metric: defined({ name: flat.metricName, selector }),
    describedObject: type === "Object" ? flat.target : undefined,
  });
}

export function metricFromV1(metric: FlatMetric): MetricSpec {
  const { type } = metric;
  if (!isSourceType(type)) return { type };
  const flat = (metric[sources[type]] ?? {}) as Flat;
  const averageValue = flat.targetAverageValue ?? flat.averageValue;
  const value = averageValue === undefined ? flat.targetValue : undefined;
  const averageUtilization = flat.targetAverageUtilization;
  const targetType =
    averageUtilization !== undefined ? "Utilization" : averageValue !== undefined ? "AverageValue" : "Value";
  const target = defined({ type: targetType, value, averageValue, averageUtilization });
  return { type, [sources[type]]: { ...named(type, flat), target } } as MetricSpec;
}

export function metricStatusFromV1(metric: FlatMetric): MetricStatus {
  const { type } = metric;
  if (!isSourceType(type)) return { type };
  const flat = (metric[sources[type]] ?? {}) as Flat;
  const current = defined({
    value: flat.currentValue,
    averageValue: flat.currentAverageValue ?? flat.averageValue,
    averageUtilization: flat.currentAverageUtilization,
  });
  return { type, [sources[type]]: { ...named(type, flat), current } } as MetricStatus;
}

interface RulesAnnotation {
  readonly StabilizationWindowSeconds?: number | null;
  readonly SelectPolicy?: string | null;
  readonly Policies?:
    | readonly { readonly Type: string; readonly Value: number; readonly PeriodSeconds: number }[]
    | null;
  readonly Tolerance?: string | null;
}
/** Written with the field names of upstream's internal Go type. */
export interface BehaviorAnnotation {
  readonly ScaleUp?: RulesAnnotation | null;
  readonly ScaleDown?: RulesAnnotation | null;
}

const rulesToAnnotation = (rules: HPAScalingRules | undefined): RulesAnnotation | null =>
  rules === undefined
    ? null
    : {
        StabilizationWindowSeconds: rules.stabilizationWindowSeconds ?? null,
        SelectPolicy: rules.selectPolicy ?? null,
        Policies:
          rules.policies?.map(({ type, value, periodSeconds }) => ({
            Type: type,
            Value: value,
            PeriodSeconds: periodSeconds,
          })) ?? null,
        Tolerance: rules.tolerance === undefined ? null : String(rules.tolerance),
      };

const rulesFromAnnotation = (rules: RulesAnnotation): HPAScalingRules => ({
  ...(rules.StabilizationWindowSeconds == null ? {} : { stabilizationWindowSeconds: rules.StabilizationWindowSeconds }),
  ...(rules.SelectPolicy == null ? {} : { selectPolicy: rules.SelectPolicy }),
  ...(rules.Policies == null
    ? {}
    : {
        policies: rules.Policies.map(({ Type, Value, PeriodSeconds }) => ({
          type: Type,
          value: Value,
          periodSeconds: PeriodSeconds,
        })),
      }),
  ...(rules.Tolerance == null ? {} : { tolerance: rules.Tolerance }),
});

export const behaviorToAnnotation = (behavior: HorizontalPodAutoscalerBehavior): BehaviorAnnotation => ({
  ScaleUp: rulesToAnnotation(behavior.scaleUp),
  ScaleDown: rulesToAnnotation(behavior.scaleDown),
});

export function behaviorFromAnnotation({
  ScaleUp,
  ScaleDown,
}: BehaviorAnnotation): HorizontalPodAutoscalerBehavior | undefined {
  if (ScaleUp == null && ScaleDown == null) return undefined;
  return {
    ...(ScaleUp == null ? {} : { scaleUp: rulesFromAnnotation(ScaleUp) }),
    ...(ScaleDown == null ? {} : { scaleDown: rulesFromAnnotation(ScaleDown) }),
  };
}
