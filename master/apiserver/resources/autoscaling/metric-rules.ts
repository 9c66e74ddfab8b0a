import type {
  CrossVersionObjectReference,
  HorizontalPodAutoscalerSpec,
  MetricIdentifier,
  MetricSpec,
  MetricTarget,
} from "#shared/api/types/autoscaling-v2.generated.ts";
import { each, type Field, oneOf } from "../validation/field.ts";
import { isDns1123Label, isPathSegment } from "../validation/names.ts";
import { validateContainerResourceName, validatePositive } from "../validation/quantities.ts";

/** The five kinds of sources by the fields they stand in, in the order in which upstream looks for them. */
const sources = { object: "Object", external: "External", pods: "Pods", resource: "Resource" } as const;
const fieldOf: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(sources).map(([field, type]) => [type, field])),
  ContainerResource: "containerResource",
};
const types = ["ContainerResource", "External", "Object", "Pods", "Resource"];
const targetTypes = ["Utilization", "Value", "AverageValue"];

export function validateMetrics(
  { metrics = [], minReplicas }: HorizontalPodAutoscalerSpec,
  anyVersion: boolean,
  field: Field,
): void {
  each(metrics, field, (metric, at) => {
    validateMetric(metric, at);
    const described = metric.object?.describedObject;
    if (described && !anyVersion) validateVersion(described, true, at.at("object", "describedObject"));
  });
  if (minReplicas === 0 && !metrics.some(({ type }) => type === "Object" || type === "External")) {
    field.forbidden("must specify at least one Object or External metric to support scaling to zero replicas");
  }
}

export function validateReference({ kind, name }: CrossVersionObjectReference, field: Field): void {
  for (const [key, value] of Object.entries({ kind, name })) {
    if (!value) field.at(key).required();
    else field.at(key).invalidEach(value, isPathSegment(value));
  }
}

export const isVersion = ({ apiVersion = "" }: CrossVersionObjectReference): boolean =>
  apiVersion.split("/").length <= 2;

export function validateVersion(reference: CrossVersionObjectReference, mayBeCore: boolean, field: Field): void {
  const { apiVersion = "" } = reference;
  const at = field.at("apiVersion");
  if (!isVersion(reference)) at.invalid(apiVersion, `unexpected GroupVersion string: ${apiVersion}`);
  else if (!mayBeCore && !/^[^/]+\//.test(apiVersion)) at.invalid(apiVersion, "apiVersion must specify API group");
}

function validateMetric(metric: MetricSpec, field: Field): void {
  if (!metric.type) field.at("type").required("must specify a metric source type");
  oneOf(metric.type, types, field.at("type"));
  const present = [...Object.keys(sources), "containerResource"].filter((key) => key in metric && isSet(metric, key));
  const [first] = present;
  if (first !== undefined) validateSource(metric, first, field.at(first));
  const expected = fieldOf[metric.type];
  if (expected !== undefined && !present.includes(expected)) {
    field.at(expected).required("must populate information for the given metric source");
  }
  if (present.length === 1) return;
  for (const key of present) {
    if (key !== expected) field.at(key).forbidden("must populate the given metric source only");
  }
}

const isSet = (metric: MetricSpec, key: string): boolean => metric[key as keyof MetricSpec] !== undefined;

function validateSource({ object, external, pods, resource, containerResource }: MetricSpec, key: string, at: Field) {
  if (key === "object" && object) {
    validateReference(object.describedObject, at.at("describedObject"));
    validateIdentifier(object.metric, at.at("metric"));
    validateTarget(object.target, at.at("target"));
    if (object.target.value === undefined && object.target.averageValue === undefined)
      at.at("target", "averageValue").required("must set either a target value or averageValue");
  } else if (key === "external" && external) {
    validateIdentifier(external.metric, at.at("metric"));
    validateExternalTarget(external.target, at.at("target"));
  } else if (key === "pods" && pods) {
    validateIdentifier(pods.metric, at.at("metric"));
    validateTarget(pods.target, at.at("target"));
    if (pods.target.averageValue === undefined)
      at.at("target", "averageValue").required("must specify a positive target averageValue");
  } else if (key === "resource" && resource) {
    if (!resource.name) at.at("name").required("must specify a resource name");
    validateResourceTarget(resource.target, at.at("target"));
  } else if (containerResource) {
    const { name, container, target } = containerResource;
    if (!name) at.at("name").required("must specify a resource name");
    else validateContainerResourceName(name, at.at("name"));
    if (!container) at.at("container").required("must specify a container");
    else at.at("container").invalidEach(container, isDns1123Label(container));
    validateResourceTarget(target, at.at("target"));
  }
}

function validateExternalTarget(target: MetricTarget, field: Field): void {
  validateTarget(target, field);
  const has = [target.value, target.averageValue].filter((each) => each !== undefined).length;
  if (has === 0) field.at("averageValue").required("must set either a target value for metric or a per-pod target");
  if (has === 2) field.at("value").forbidden("may not set both a target value for metric and a per-pod target");
}

function validateResourceTarget(target: MetricTarget, field: Field): void {
  validateTarget(target, field);
  const has = [target.averageUtilization, target.averageValue].filter((each) => each !== undefined).length;
  if (has === 0) field.at("averageUtilization").required("must set either a target raw value or a target utilization");
  if (has === 2) field.at("averageValue").forbidden("may not set both a target raw value and a target utilization");
}

function validateTarget({ type, value, averageValue, averageUtilization }: MetricTarget, field: Field): void {
  if (!type) field.at("type").required("must specify a metric target type");
  if (!targetTypes.includes(type)) {
    field.at("type").invalid(type ?? "", "must be either Utilization, Value, or AverageValue");
  }
  validatePositive(value, field.at("value"));
  validatePositive(averageValue, field.at("averageValue"));
  if (averageUtilization !== undefined && averageUtilization < 1) {
    field.at("averageUtilization").invalid(averageUtilization, "must be greater than 0");
  }
}

function validateIdentifier({ name }: MetricIdentifier, field: Field): void {
  if (!name) field.at("name").required("must specify a metric name");
  else field.at("name").invalidEach(name, isPathSegment(name));
}
