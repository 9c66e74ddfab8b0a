import { isNotFound, StatusError } from "#shared/api/errors.ts";
import { parseGoDuration_ms } from "#shared/api/go-duration.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import { milliValue } from "#shared/api/quantity.ts";
import { genericWords, textInPlaceOfStatus } from "#shared/api/refused-answer.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type { CrossVersionObjectReference, MetricIdentifier } from "#shared/api/types/autoscaling-v2.generated.ts";
import type { APIGroup } from "#shared/api/types/meta-v1.generated.ts";
import type { PodMetrics } from "#shared/api/types/metrics-v1beta1.generated.ts";
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

/** What of the values of custom and external metrics APIs is read, of whatever version. */
interface MetricValue {
  readonly describedObject?: { readonly name?: string };
  readonly timestamp?: string;
  /** In v1beta2 of custom metrics. */
  readonly windowSeconds?: number;
  /** The same in v1beta1. */
  readonly window?: number;
  readonly value: string | number;
}

/** What metrics APIs give when they name no window. */
const usualWindow_ms = 60_000;

const customGroup = "custom.metrics.k8s.io";
const customVersions = [`${customGroup}/v1beta2`, `${customGroup}/v1beta1`];

/** What is asked for, as it is named where an answer does not say itself what it is about. */
interface Subject {
  /** `pods.metrics.k8s.io` */
  readonly resource: string;
  readonly name?: string;
}

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
    const items = await fetching("resource", () => this.#items<PodMetrics>(path, { resource: "pods.metrics.k8s.io" }));
    return new Map(
      someOf(items, "resource")
        .map((metrics) => [metrics.metadata.name ?? "", usageOf(metrics, resource, container)] as const)
        .filter((entry): entry is readonly [string, PodMetric] => entry[1] !== undefined),
    );
  }

  /** A metric of each pod (custom.metrics.k8s.io). */
  async pods({ name, selector }: MetricIdentifier, namespace: string, pods: string): Promise<PodMetricsByName> {
    const query = queryOf({ labelSelector: pods, metricLabelSelector: textOf(selector) });
    const path = `namespaces/${namespace}/pods/*/${encodeURIComponent(name)}${query}`;
    const items = await fetching("custom", () =>
      this.#customItems(path, { resource: `pods.${customGroup}`, name: "*" }),
    );
    return new Map(
      someOf(items, "custom").map(({ describedObject, value, timestamp, windowSeconds, window = windowSeconds }) => [
        describedObject?.name ?? "",
        {
          milli: milliValue(value),
          timestamp_ms: Date.parse(timestamp ?? "") || 0,
          window_ms: window === undefined ? usualWindow_ms : window * 1000,
        },
      ]),
    );
  }

  /** A metric of one object, in thousandths. An object other than a Namespace is looked for in the autoscaler's. */
  object(metric: MetricIdentifier, namespace: string, described: CrossVersionObjectReference): Promise<number> {
    const query = queryOf({ metricLabelSelector: textOf(metric.selector) });
    return fetching("custom", async () => {
      const { place, subject } = await this.#placeOf(metric.name, described);
      const items = await this.#customItems(`namespaces/${namespace}/${place}${query}`, subject);
      const [value, ...others] = items;
      if (value === undefined || others.length > 0)
        throw new Error(`the custom metrics API server returned ${items.length} results when we asked for exactly one`);
      return milliValue(value.value);
    });
  }

  /** Where in a namespace the metric of an object is. */
  async #placeOf(
    metric: string,
    { apiVersion = "", kind, name }: CrossVersionObjectReference,
  ): Promise<{ readonly place: string; readonly subject: Subject }> {
    const { group } = parseApiVersion(apiVersion);
    const encoded = encodeURIComponent(metric);
    if (kind === "Namespace" && group === "")
      return { place: `metrics/${encoded}`, subject: { resource: `metrics.${customGroup}`, name: metric } };
    const found = await this.mapper.resourceOf(apiVersion, kind);
    if (!found) {
      const groupKind = group === "" ? kind : `${kind}.${group}`;
      throw new Error(
        `unable to map kind ${groupKind} to resource: no matches for kind ${goQuote(kind)} in group ${goQuote(group)}`,
      );
    }
    const { plural } = found.ref;
    const qualified = group === "" ? plural : `${plural}.${group}`;
    return { place: `${qualified}/${name}/${encoded}`, subject: { resource: `${qualified}.${customGroup}`, name } };
  }

  /** All values of a metric from outside the cluster, summed up, in thousandths. */
  async external({ name, selector }: MetricIdentifier, namespace: string): Promise<number> {
    const query = queryOf({ labelSelector: textOf(selector) });
    const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${encodeURIComponent(name)}${query}`;
    const subject = { resource: `${name}.external.metrics.k8s.io` };
    const items = await fetching("external", () => this.#items<MetricValue>(path, subject));
    return someOf(items, "external").reduce((sum, { value }) => sum + milliValue(value), 0);
  }

  async #customItems(path: string, subject: Subject): Promise<readonly MetricValue[]> {
    return this.#items(`/apis/${await this.#customVersion()}/${path}`, subject);
  }

  /** The version that the server prefers among those that are understood. */
  async #customVersion(): Promise<string> {
    let group: APIGroup;
    try {
      group = (await this.client.raw({ method: "GET", path: `/apis/${customGroup}` })) as APIGroup;
    } catch (error) {
      if (isNotFound(error)) throw new Error(`no custom metrics API (${customGroup}) registered`, { cause: error });
      throw error;
    }
    const served = [group.preferredVersion, ...group.versions].map((version) => version?.groupVersion ?? "");
    const version = served.find((each) => customVersions.includes(each));
    if (version === undefined) throw new Error("no known available metric versions found");
    return version;
  }

  async #items<T>(path: string, subject: Subject): Promise<readonly T[]> {
    try {
      const { items } = (await this.client.raw({ method: "GET", path })) as { readonly items?: readonly T[] | null };
      return items ?? [];
    } catch (error) {
      const text = error instanceof StatusError ? textInPlaceOfStatus(error) : undefined;
      if (text === undefined) throw error;
      const { resource, name } = subject;
      const about = `get ${name === undefined ? resource : `${resource} ${name}`}`;
      throw new Error(`${genericWords((error as StatusError).code, text)} (${about})`, { cause: error });
    }
  }
}

type MetricsApi = "resource" | "custom" | "external";

async function fetching<T>(api: MetricsApi, fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (error) {
    const text = messageOf(error);
    throw new Error(`unable to fetch metrics from ${api} metrics API: ${text}`, { cause: error });
  }
}

function someOf<T>(items: readonly T[], api: MetricsApi): readonly T[] {
  if (items.length === 0) throw new Error(`no metrics returned from ${api} metrics API`);
  return items;
}

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
