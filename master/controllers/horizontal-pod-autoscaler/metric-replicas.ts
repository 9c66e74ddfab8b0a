import { messageOf } from "#shared/api/joined-errors.ts";
import { formatQuantity, milliValue, parseQuantity, quantityOf } from "#shared/api/quantity.ts";
import { structText } from "#shared/api/selector/struct-text.ts";
import type {
  HorizontalPodAutoscaler,
  MetricIdentifier,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
} from "#shared/api/types/autoscaling-v2.generated.ts";
import type { MetricsClient } from "./metrics-client.ts";
import { byAverage, byRatio, byShare, byUtilization, type PodsInput, type Tolerance } from "./replica-calculator.ts";

/** How far a metric may be off its target, as a share of it, before anything is scaled (KEP-4951). */
export function toleranceOf({ spec: { behavior } }: HorizontalPodAutoscaler, usual: number): Tolerance {
  const share = (value: string | number | undefined): number => (value === undefined ? usual : approximately(value));
  return { up: share(behavior?.scaleUp?.tolerance), down: share(behavior?.scaleDown?.tolerance) };
}

/** Finer than thousandths. */
function approximately(value: string | number): number {
  const { unscaled, scale } = parseQuantity(value);
  return Number(`${unscaled}e${scale}`);
}

/** The metric could not be turned into a number of replicas. */
export class MetricError extends Error {
  override readonly name = "MetricError";

  constructor(
    /** Of the condition and the event. */
    readonly reason: string,
    /** What went wrong, as the condition tells it. */
    readonly detail: string,
    message: string,
    cause: unknown,
  ) {
    super(message, { cause });
  }
}

export interface MetricProposal {
  readonly replicas: number;
  /** As the reason of a change names the metric. */
  readonly name: string;
  readonly status: MetricStatus;
}

export interface MetricInput extends Omit<PodsInput, "metrics"> {
  readonly statusReplicas: number;
  readonly namespace: string;
  /** The target's selector, canonical. */
  readonly selector: string;
}

/** How many replicas one metric asks for. Throws MetricError. */
export async function replicasForMetric(
  spec: MetricSpec,
  input: MetricInput,
  client: MetricsClient,
): Promise<MetricProposal> {
  switch (spec.type) {
    case "Resource":
      return explained("FailedGetResourceMetric", `${spec.resource?.name} resource metric value`, () =>
        forResource(spec, input, client),
      );
    case "ContainerResource":
      return explained(
        "FailedGetContainerResourceMetric",
        `${spec.containerResource?.container} container metric value`,
        () => forResource(spec, input, client),
      );
    case "Pods":
      return explained("FailedGetPodsMetric", "pods metric value", () => forPods(spec, input, client));
    case "Object":
      return explained("FailedGetObjectMetric", "object metric value", () => forObject(spec, input, client));
    case "External":
      return explained("FailedGetExternalMetric", `${spec.external?.metric.name} external metric value`, () =>
        forExternal(spec, input, client),
      );
    default: {
      const message = `unknown metric source type "${spec.type}"`;
      throw new MetricError("InvalidMetricSourceType", message, message, undefined);
    }
  }
}

async function explained(reason: string, what: string, run: () => Promise<MetricProposal>): Promise<MetricProposal> {
  try {
    return await run();
  } catch (error) {
    const message = messageOf(error);
    const detail = error instanceof ReadFailure ? error.detail : message;
    throw new MetricError(reason, detail, `failed to get ${what}: ${message}`, error);
  }
}

/** A metric of an object or from outside could not be read: conditions and events tell the detail alone. */
class ReadFailure extends Error {
  override readonly name = "ReadFailure";

  constructor(
    readonly detail: string,
    message: string,
    cause: unknown,
  ) {
    super(message, { cause });
  }
}

/** Prefixes what a step fails with. */
async function during<T>(prefix: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw new Error(`${prefix}: ${messageOf(error)}`, { cause: error });
  }
}

const milliText = (milli: number, format: "DecimalSI" | "BinarySI" = "DecimalSI"): string =>
  formatQuantity(quantityOf(BigInt(Math.round(milli)), format, -3));

async function forResource(spec: MetricSpec, input: MetricInput, client: MetricsClient): Promise<MetricProposal> {
  const source = spec.containerResource ?? spec.resource;
  if (!source) throw new Error("the metric names no resource");
  const { name } = source;
  const container = spec.containerResource?.container;
  const { averageValue, averageUtilization } = source.target;
  if (averageValue === undefined && averageUtilization === undefined)
    throw new Error(
      "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set",
    );
  const read = () =>
    during(`unable to get metrics for resource ${name}`, () =>
      client.resource(name, input.namespace, input.selector, container),
    );
  const [proposal, label] = await during(
    averageValue === undefined ? `failed to get ${name} utilization` : `failed to get ${name} usage`,
    async () => {
      const full = { ...input, metrics: await read() };
      if (averageValue !== undefined)
        return [byAverage(full, milliValue(averageValue), name), `${name} resource`] as const;
      const kind = container === undefined ? "resource" : "container resource";
      const label = `${name} ${kind} utilization (percentage of request)`;
      return [byUtilization(full, averageUtilization ?? 0, name, container), label] as const;
    },
  );
  const current: MetricValueStatus = {
    ...(proposal.utilization === undefined ? {} : { averageUtilization: proposal.utilization }),
    averageValue: milliText(proposal.averageMilli, name === "memory" ? "BinarySI" : "DecimalSI"),
  };
  const status: MetricStatus =
    container === undefined
      ? { type: "Resource", resource: { name, current } }
      : { type: "ContainerResource", containerResource: { name, container, current } };
  return { replicas: proposal.replicas, name: label, status };
}

async function forPods({ pods }: MetricSpec, input: MetricInput, client: MetricsClient): Promise<MetricProposal> {
  if (!pods) throw new Error("the metric names no pods metric");
  const { metric, target } = pods;
  const metrics = await during(`unable to get metric ${metric.name}`, () =>
    client.pods(metric, input.namespace, input.selector),
  );
  const { replicas, averageMilli } = byAverage({ ...input, metrics }, milliOf(target, "averageValue"), undefined);
  const current = { averageValue: milliText(averageMilli) };
  return { replicas, name: `pods metric ${metric.name}`, status: { type: "Pods", pods: { metric, current } } };
}

const milliOf = (target: MetricTarget, which: "value" | "averageValue"): number => milliValue(target[which] ?? 0);

async function forObject({ object }: MetricSpec, input: MetricInput, client: MetricsClient): Promise<MetricProposal> {
  if (!object) throw new Error("the metric names no object");
  const { metric, target, describedObject } = object;
  const prefix = isShare(target) ? `failed to get ${metric.name} object metric: ` : "";
  const usage = await prefixed(target, "object", prefix, async () => {
    try {
      return await client.object(metric, input.namespace, describedObject);
    } catch (error) {
      // Upstream puts the parts of its sentence in this order.
      const place = `${describedObject.kind} on ${input.namespace} ${describedObject.name}/${messageOf(error)}`;
      throw new Error(`unable to get metric ${metric.name}: ${place}`, { cause: error });
    }
  });
  const { replicas, current } = shared(target, usage, input);
  const name =
    current.value === undefined
      ? `external metric ${labelled(metric)}`
      : `${describedObject.kind} metric ${metric.name}`;
  return { replicas, name, status: { type: "Object", object: { metric, describedObject, current } } };
}

async function forExternal(
  { external }: MetricSpec,
  input: MetricInput,
  client: MetricsClient,
): Promise<MetricProposal> {
  if (!external) throw new Error("the metric names no external metric");
  const { metric, target } = external;
  const prefix =
    target.averageValue === undefined
      ? `failed to get external metric ${metric.name}: `
      : `failed to get ${metric.name} external metric: `;
  const { replicas, current } = await prefixed(target, "external", prefix, async () => {
    const place = `${input.namespace}/${metric.name}/${selectorText(metric)}`;
    const usage = await during(`unable to get external metric ${place}`, () =>
      client.external(metric, input.namespace),
    );
    return shared(target, usage, input);
  });
  return {
    replicas,
    name: `external metric ${labelled(metric)}`,
    status: { type: "External", external: { metric, current } },
  };
}

const selectorText = ({ selector }: MetricIdentifier): string => (selector ? structText(selector) : "nil");
const labelled = (metric: MetricIdentifier): string => `${metric.name}(${selectorText(metric)})`;

/** @param prefix of what a failure is in the event about all metrics */
async function prefixed<T>(
  target: MetricTarget,
  kind: "object" | "external",
  prefix: string,
  read: () => Promise<T>,
): Promise<T> {
  if (target.value === undefined && target.averageValue === undefined)
    throw new Error(`invalid ${kind} metric source: neither a value target nor an average value target was set`);
  try {
    return await read();
  } catch (error) {
    const detail = messageOf(error);
    throw new ReadFailure(detail, prefix + detail, error);
  }
}

/** The target is for each pod's share, not for the whole. */
const isShare = ({ type, value, averageValue }: MetricTarget): boolean =>
  averageValue !== undefined && (type !== "Value" || value === undefined);

/** A value that all pods have in common: with a target for the whole, or for each pod's share. */
function shared(
  target: MetricTarget,
  usageMilli: number,
  input: MetricInput,
): { readonly replicas: number; readonly current: MetricValueStatus } {
  if (isShare(target)) {
    const targetMilli = milliOf(target, "averageValue");
    const { replicas, averageMilli } = byShare(input.statusReplicas, usageMilli, targetMilli, input.tolerance);
    return { replicas, current: { averageValue: milliText(averageMilli) } };
  }
  const replicas = byRatio(input, usageMilli / milliOf(target, "value"));
  return { replicas, current: { value: milliText(usageMilli) } };
}
