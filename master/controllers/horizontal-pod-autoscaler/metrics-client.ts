import { parseGoDuration_ms } from "#shared/api/go-duration.ts";
import { milliValue } from "#shared/api/quantity.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type { CrossVersionObjectReference, MetricIdentifier } from "#shared/api/types/autoscaling-v2.generated.ts";
import type { PodMetrics, PodMetricsList } from "#shared/api/types/metrics-v1beta1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { ResourceMapper } from "#shared/client/discovery.ts";

/** One pod's share of a metric. */
export interface PodMetric {
  /** Thousandths of the metric's unit. */
  readonly milli: number;
  readonly timestamp_ms: number;
  readonly window_ms: number;
}

export type PodMetricsByName = ReadonlyMap<string, PodMetric>;

interface MetricValue {
  readonly describedObject?: { readonly name?: string };
  readonly timestamp?: string;
  readonly windowSeconds?: number;
  readonly value: string | number;
}

/** What metrics APIs give when they name no window. */
const usualWindow_ms = 60_000;

/** Reads the three metrics APIs. Rejects, worded as clients of upstream know it, when one is absent or has nothing. */
export class MetricsClient {
  constructor(
    readonly client: Client,
    readonly mapper: ResourceMapper,
  ) {}

  /** Usage of a resource by pod, of one container or of all (metrics.k8s.io). */
  async resource(
    resource: string,
    namespace: string,
    selector: string,
    container: string | undefined,
  ): Promise<PodMetricsByName> {
    const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods${queryOf({ labelSelector: selector })}`;
    const { items } = await this.#get<PodMetricsList>(path, "resource metrics API", "pods.metrics.k8s.io");
    return new Map(
      items
        .map((metrics) => [metrics.metadata.name ?? "", usageOf(metrics, resource, container)] as const)
        .filter((entry): entry is readonly [string, PodMetric] => entry[1] !== undefined),
    );
  }

  /** A metric of each pod (custom.metrics.k8s.io). */
  async pods({ name, selector }: MetricIdentifier, namespace: string, pods: string): Promise<PodMetricsByName> {
    const query = queryOf({ labelSelector: pods, metricLabelSelector: textOf(selector) });
    const items = await this.#values(`namespaces/${namespace}/pods/*/${encodeURIComponent(name)}${query}`);
    return new Map(
      items.map(({ describedObject, value, timestamp, windowSeconds }) => [
        describedObject?.name ?? "",
        {
          milli: milliValue(value),
          timestamp_ms: Date.parse(timestamp ?? "") || 0,
          window_ms: windowSeconds === undefined ? usualWindow_ms : windowSeconds * 1000,
        },
      ]),
    );
  }

  /** A metric of one object, in thousandths. */
  async object(
    { name, selector }: MetricIdentifier,
    namespace: string,
    { apiVersion = "v1", kind, name: objectName }: CrossVersionObjectReference,
  ): Promise<number> {
    const isNamespace = kind === "Namespace" && !apiVersion.includes("/");
    const resource = await this.mapper.resourceOf(apiVersion, kind);
    if (!resource) throw new Error(`unable to fetch metrics from custom metrics API: no matches for kind "${kind}"`);
    const { plural, group, namespaced } = resource.ref;
    const qualified = group ? `${plural}.${group}` : plural;
    const metric = `${encodeURIComponent(name)}${queryOf({ metricLabelSelector: textOf(selector) })}`;
    const [value] = await this.#values(
      isNamespace
        ? `namespaces/${namespace}/metrics/${metric}`
        : `${namespaced ? `namespaces/${namespace}/` : ""}${qualified}/${objectName}/${metric}`,
    );
    return milliValue(value?.value ?? 0);
  }

  /** All values of a metric from outside the cluster, summed up, in thousandths. */
  async external({ name, selector }: MetricIdentifier, namespace: string): Promise<number> {
    const query = queryOf({ labelSelector: textOf(selector) });
    const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${encodeURIComponent(name)}${query}`;
    const { items } = await this.#get<{ items: readonly MetricValue[] }>(
      path,
      "external metrics API",
      `${name}.external.metrics.k8s.io`,
    );
    return items.reduce((sum, { value }) => sum + milliValue(value), 0);
  }

  async #values(path: string): Promise<readonly MetricValue[]> {
    const base = "/apis/custom.metrics.k8s.io/v1beta2/";
    return (await this.#get<{ items: readonly MetricValue[] }>(base + path, "custom metrics API", undefined)).items;
  }

  /** @param resource as an answer that nothing is served there names it; absent where the API is looked for beforehand */
  async #get<L extends { readonly items: readonly unknown[] }>(
    path: string,
    api: string,
    resource: string | undefined,
  ): Promise<L> {
    let list: L;
    try {
      list = (await this.client.raw({ method: "GET", path })) as L;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const message = text === nothingServed ? absence(resource) : text;
      throw new Error(`unable to fetch metrics from ${api}: ${message}`, { cause: error });
    }
    if (!list.items?.length) throw new Error(`no metrics returned from ${api}`);
    return list;
  }
}

/** What a server says of a path that it does not serve, and nothing else. */
const nothingServed = "the server could not find the requested resource";

const absence = (resource: string | undefined): string =>
  resource === undefined
    ? "no custom metrics API (custom.metrics.k8s.io) registered"
    : `${nothingServed} (get ${resource})`;

const textOf = (selector: MetricIdentifier["selector"]): string =>
  selector ? labelSelectorOf(selector).toString() : "";

function queryOf(parameters: Readonly<Record<string, string>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== "");
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

/** Undefined when a container that counts does not tell. */
function usageOf(
  { containers, timestamp, window }: PodMetrics,
  resource: string,
  only: string | undefined,
): PodMetric | undefined {
  const counted = only === undefined ? containers : containers.filter(({ name }) => name === only);
  if (counted.length === 0 || counted.some(({ usage }) => usage[resource] === undefined)) return undefined;
  const milli = counted.reduce((sum, { usage }) => sum + milliValue(usage[resource] ?? 0), 0);
  return { milli, timestamp_ms: Date.parse(timestamp) || 0, window_ms: parseGoDuration_ms(window) ?? 0 };
}
