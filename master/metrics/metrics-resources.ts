/** metrics.k8s.io/v1beta1, worked out from the boards when somebody asks: what `kubectl top` and autoscaling read. */
import { formatQuantity, quantityOf } from "#shared/api/quantity.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { nodes, pods } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import type { NodeMetrics, PodMetrics } from "#shared/api/types/metrics-v1beta1.generated.ts";
import type { ComputedScope, ResourceDeclaration, TableColumn } from "../apiserver/registry/declaration.ts";
import type { ResourceReader } from "../apiserver/registry/reader.ts";
import { column, nameColumn } from "../apiserver/resources/columns.ts";
import type { UsageCollector } from "./usage-collector.ts";
import type { Usage } from "./usage-sample.ts";

const group = "metrics.k8s.io";
const version = "v1beta1";
const nodeMetrics: ResourceRef<NodeMetrics> = {
  group,
  version,
  kind: "NodeMetrics",
  plural: "nodes",
  namespaced: false,
};
const podMetrics: ResourceRef<PodMetrics> = {
  group,
  version,
  kind: "PodMetrics",
  plural: "pods",
  namespaced: true,
};

export interface MetricsParts {
  readonly reader: ResourceReader;
  readonly collector: Pick<UsageCollector, "usage">;
  /** Boards that can be reached now. */
  boards(): readonly string[];
}

/** The group's two resources. Another server may take their place by an APIService (metrics-server, for one). */
export function metricsResources(parts: MetricsParts): ResourceDeclaration[] {
  const common = { verbs: ["get", "list"], replaceable: true };
  return [
    {
      ...common,
      ref: nodeMetrics,
      columns: usageColumns<NodeMetrics>(({ usage }) => [usage]),
      computed: (scope: ComputedScope) => nodeObjects(parts, scope),
    } as ResourceDeclaration,
    {
      ...common,
      ref: podMetrics,
      columns: usageColumns<PodMetrics>(({ containers }) => containers.map(({ usage }) => usage)),
      computed: (scope: ComputedScope) => podObjects(parts, scope),
    } as ResourceDeclaration,
  ];
}

type Amounts = NodeMetrics["usage"];

function usageColumns<T extends { readonly metadata: object; readonly window: string }>(
  amounts: (object: T) => readonly Amounts[],
): TableColumn<T>[] {
  const cell = (resource: string) => (object: T) => {
    const [first] = amounts(object);
    return String(first?.[resource] ?? "");
  };
  return [
    nameColumn as unknown as TableColumn<T>,
    column("Cpu", cell("cpu")),
    column("Memory", cell("memory")),
    column("Window", ({ window }) => window),
  ];
}

async function nodeObjects({ reader, collector, boards }: MetricsParts, scope: ComputedScope): Promise<NodeMetrics[]> {
  const reachable = new Set(boards());
  const wanted = reader
    .list(nodes)
    .filter(({ metadata }) => reachable.has(metadata.name ?? "") && matches(metadata, scope));
  const usage = await collector.usage(wanted.map(({ metadata }) => metadata.name ?? ""));
  return wanted.flatMap(({ metadata }): NodeMetrics[] => {
    const board = usage.get(metadata.name ?? "")?.board;
    if (!board) return [];
    return [
      {
        kind: "NodeMetrics",
        apiVersion: `${group}/${version}`,
        metadata: metadataOf(metadata),
        ...timeOf(board),
        usage: amountsOf(board),
      },
    ];
  });
}

async function podObjects({ reader, collector, boards }: MetricsParts, scope: ComputedScope): Promise<PodMetrics[]> {
  const reachable = new Set(boards());
  const wanted = reader
    .list(pods, scope.namespace)
    .filter((pod) => isRunning(pod) && reachable.has(pod.spec.nodeName ?? "") && matches(pod.metadata, scope));
  const usage = await collector.usage(wanted.map(({ spec }) => spec.nodeName ?? ""));
  return wanted.flatMap((pod): PodMetrics[] => {
    const { metadata, spec } = pod;
    const containers = usage.get(spec.nodeName ?? "")?.pods.get(`${metadata.namespace}/${metadata.name}`);
    const running = runningContainers(pod);
    const known = [...(containers ?? [])].filter(([name]) => running.has(name));
    // A sum that lacks a part would be taken for little usage.
    if (known.length < running.size || known.length === 0) return [];
    const [first] = known.map(([, each]) => each).sort((a, b) => a.at_ms - b.at_ms);
    if (!first) return [];
    return [
      {
        kind: "PodMetrics",
        apiVersion: `${group}/${version}`,
        metadata: { ...metadataOf(metadata), namespace: metadata.namespace ?? "" },
        ...timeOf(first),
        containers: known.map(([name, each]) => ({ name, usage: amountsOf(each) })),
      },
    ];
  });
}

const isRunning = ({ status }: Pod): boolean => status?.phase === "Running";

/** Those that run now: init containers that have ended, and ones between two attempts, use nothing. */
function runningContainers({ status }: Pod): Set<string> {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = status ?? {};
  const all = [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses];
  return new Set(all.filter(({ state }) => state?.running !== undefined).map(({ name }) => name));
}

/** Nothing is asked of boards whose objects the answer leaves out. */
export function matches({ name, labels }: Pick<ObjectMeta, "name" | "labels">, scope: ComputedScope): boolean {
  return (scope.name === undefined || scope.name === name) && (scope.labels?.matches(labels) ?? true);
}

function metadataOf({ name = "", labels }: Pick<ObjectMeta, "name" | "labels">) {
  return { name, ...(labels ? { labels } : {}), creationTimestamp: rfc3339(Date.now()) };
}

function timeOf({ at_ms, window_ms }: Usage): { timestamp: string; window: string } {
  return { timestamp: rfc3339(at_ms), window: `${(window_ms / 1000).toFixed(3).replace(/\.?0+$/, "")}s` };
}

function amountsOf({ cpu_cores, memory_bytes }: Usage): Amounts {
  return {
    cpu: formatQuantity(quantityOf(Math.round(cpu_cores * 1e9), "DecimalSI", -9)),
    memory: formatQuantity(quantityOf(Math.round(memory_bytes / 1024) * 1024, "BinarySI")),
  };
}
