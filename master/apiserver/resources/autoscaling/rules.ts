import type { FieldError } from "#shared/api/errors.ts";
import { parseQuantity } from "#shared/api/quantity.ts";
import type {
  HorizontalPodAutoscaler,
  HPAScalingPolicy,
  HPAScalingRules,
} from "#shared/api/types/autoscaling-v2.generated.ts";
import { collect, each, type Field, nonNegative, oneOf } from "../validation/field.ts";
import { isNegative } from "../validation/quantities.ts";
import { isVersion, validateMetrics, validateReference, validateVersion } from "./metric-rules.ts";

const maxPeriod_s = 1800;
const maxStabilization_s = 3600;

/** ValidateHorizontalPodAutoscaler of pkg/apis/autoscaling/validation. */
export const validateAutoscaler = (
  { spec }: HorizontalPodAutoscaler,
  old?: Readonly<HorizontalPodAutoscaler>,
): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { minReplicas = 1, maxReplicas } = spec;
    if (minReplicas < (old?.spec.minReplicas === 0 ? 0 : 1))
      field.at("minReplicas").invalid(minReplicas, "must be greater than or equal to 1");
    if (maxReplicas < 1) field.at("maxReplicas").invalid(maxReplicas, "must be greater than 0");
    if (maxReplicas < minReplicas) {
      field.at("maxReplicas").invalid(maxReplicas, "must be greater than or equal to `minReplicas`");
    }
    const target = spec.scaleTargetRef;
    validateReference(target, field.at("scaleTargetRef"));
    const was = old?.spec.scaleTargetRef;
    const isSameKind = was !== undefined && was.apiVersion === target.apiVersion && was.kind === target.kind;
    if (!isSameKind) validateVersion(target, target.kind === "ReplicationController", field.at("scaleTargetRef"));
    const wasInvalid = old?.spec.metrics?.some((metric) => metric.object && !isVersion(metric.object.describedObject));
    validateMetrics(spec, wasInvalid ?? false, field.at("metrics"));
    const behavior = field.at("behavior");
    if (spec.behavior?.scaleUp) validateScalingRules(spec.behavior.scaleUp, behavior.at("scaleUp"));
    if (spec.behavior?.scaleDown) validateScalingRules(spec.behavior.scaleDown, behavior.at("scaleDown"));
  });

export const validateAutoscalerStatus = ({ status }: HorizontalPodAutoscaler): FieldError[] =>
  collect((root) => {
    const field = root.at("status");
    nonNegative(status?.currentReplicas, field.at("currentReplicas"));
    nonNegative(status?.desiredReplicas, field.at("desiredReplicas"));
  });

function validateScalingRules(rules: HPAScalingRules, field: Field): void {
  const { stabilizationWindowSeconds: window_s = 0, selectPolicy, policies = [], tolerance } = rules;
  const at = field.at("stabilizationWindowSeconds");
  if (window_s < 0) at.invalid(window_s, "must be greater than or equal to zero");
  if (window_s > maxStabilization_s) at.invalid(window_s, `must be less than or equal to ${maxStabilization_s}`);
  if (selectPolicy !== undefined) oneOf(selectPolicy, ["Disabled", "Max", "Min"], field.at("selectPolicy"));
  if (policies.length === 0) field.at("policies").required("must specify at least one Policy");
  each(policies, field.at("policies"), validateScalingPolicy);
  if (tolerance !== undefined && isNegative(parseQuantity(tolerance))) {
    field.at("tolerance").invalid(String(tolerance), "must be greater than or equal to 0");
  }
}

function validateScalingPolicy({ type, value, periodSeconds }: HPAScalingPolicy, field: Field): void {
  oneOf(type, ["Percent", "Pods"], field.at("type"));
  if (value <= 0) field.at("value").invalid(value, "must be greater than zero");
  const period = field.at("periodSeconds");
  if (periodSeconds <= 0) period.invalid(periodSeconds, "must be greater than zero");
  if (periodSeconds > maxPeriod_s) period.invalid(periodSeconds, `must be less than or equal to ${maxPeriod_s}`);
}
