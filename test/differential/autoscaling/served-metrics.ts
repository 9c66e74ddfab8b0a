/** What scenarios have the metrics APIs tell. */
import { parseLabelSelector } from "#shared/api/selector/label-selector.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { isRunning, type World } from "../controllers/world.ts";
import type { Answerer, MetricsRequest, MetricsStandIn, Refusal } from "./metrics-stand-in.ts";

/** By container, then by resource. */
export type Usage = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Measured {
  /** Before now; below zero: in time to come, so that no pod has become ready since. */
  readonly age_s?: number;
  readonly window_s?: number;
}

const timestampOf = ({ age_s = -3600 }: Measured): string =>
  new Date(Date.now() - age_s * 1000).toISOString().replace(/\.\d+/, "");

/** Pods that a request selects; in what scenarios call their order. */
function selected(world: World, { query }: MetricsRequest): Pod[] {
  const selector = parseLabelSelector(query.get("labelSelector") ?? "");
  return world.pods((pod) => isRunning(pod) && selector.matches(pod.metadata.labels));
}

/** metrics.k8s.io: what each running pod uses; undefined: it tells nothing. The index is that among those selected. */
export const usageOfPods =
  (world: World, usageOf: (pod: Pod, index: number) => Usage | undefined, measured: Measured = {}): Answerer =>
  (request) => {
    if (request.api !== "resource") return undefined;
    return selected(world, request).flatMap((pod, index) => {
      const usage = usageOf(pod, index);
      return usage ? [podMetrics(pod.metadata.name ?? "", usage, measured)] : [];
    });
  };

export const podMetrics = (name: string, usage: Usage, measured: Measured = {}): object => ({
  metadata: { name },
  timestamp: timestampOf(measured),
  window: `${measured.window_s ?? 30}s`,
  containers: Object.entries(usage).map(([container, resources]) => ({ name: container, usage: resources })),
});

/** All alike. */
export const eachUses = (cpu: string) => (): Usage => ({ main: { cpu, memory: "50Mi" } });

/** custom.metrics.k8s.io, for pods. */
export const valuesOfPods =
  (world: World, metric: string, tellsOf: (pod: Pod, index: number) => string | undefined): Answerer =>
  (request) => {
    if (request.api !== "custom" || request.path !== `pods/*/${metric}`) return undefined;
    return selected(world, request).flatMap((pod, index) => {
      const value = tellsOf(pod, index);
      return value === undefined ? [] : [customValue(metric, { kind: "Pod", name: pod.metadata.name ?? "" }, value)];
    });
  };

/** custom.metrics.k8s.io, by path behind the namespace. */
export const valuesOfObjects =
  (values: Readonly<Record<string, string | readonly string[]>>): Answerer =>
  ({ api, path }) => {
    const given = api === "custom" ? values[path] : undefined;
    return given === undefined
      ? undefined
      : [given].flat().map((value) => customValue("hits", { kind: "Thing", name: "thing" }, value));
  };

const customValue = (metricName: string, describedObject: object, value: string): object => ({
  describedObject,
  metricName,
  timestamp: timestampOf({}),
  window: 60,
  value,
  selector: null,
});

/** external.metrics.k8s.io, by name of the metric. */
export const externalValues =
  (values: Readonly<Record<string, readonly string[]>>): Answerer =>
  ({ api, path }) =>
    api === "external"
      ? values[path]?.map((value) => ({ metricName: path, metricLabels: {}, timestamp: timestampOf({}), value }))
      : undefined;

/** What the first knows that knows anything. */
export const either =
  (...answerers: readonly Answerer[]): Answerer =>
  (request) => {
    for (const answerer of answerers) {
      const answer = answerer(request);
      if (answer !== undefined) return answer;
    }
    return undefined;
  };

export const refusing =
  (code: number, contentType: string, body: string): Answerer =>
  (): Refusal => ({ code, contentType, body });

/** Keeps what controllers asked for as an object, so that it is compared too. */
export async function keepAsked(world: World, metrics: MetricsStandIn): Promise<void> {
  await world.create("ConfigMap", "asked", { data: { asked: metrics.askedFor(world.namespace).join("\n") } });
}
