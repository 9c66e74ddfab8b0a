import { Interned } from "#shared/api/interned.ts";
import { keyOf } from "#shared/api/object.ts";
import { podRequests } from "#shared/api/scheduling/pod-resources.ts";
import { type LabelSelector, labelSelectorOrNone } from "#shared/api/selector/label-selector.ts";
import { sidecarsOf } from "#shared/api/sidecars.ts";
import type { Pod, PodAffinityTerm, WeightedPodAffinityTerm } from "#shared/api/types/core-v1.generated.ts";
import { isExclusiveDisk } from "./exclusive-disks.ts";

/** A term of pod (anti-)affinity made ready to match. */
export interface AffinityTerm {
  readonly selector: LabelSelector;
  readonly namespaces: ReadonlySet<string>;
  /** Absent: only `namespaces` count. */
  readonly namespaceSelector?: LabelSelector | undefined;
  readonly topologyKey: string;
}
export interface WeightedAffinityTerm {
  readonly term: AffinityTerm;
  readonly weight: number;
}

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** What scoring assumes of a container that requests nothing: 100m and 200 MB (schedutil's non-zero requests). */
const assumedRequests = { cpu: 100, memory: 200 * 1024 * 1024 };

/** A pod with what plugins ask of it again and again, worked out once. */
export class PodInfo {
  /** Of a pod that has its node, `placedPart` alone. */
  readonly pod: Pod;
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly priority: number;
  readonly requests: ReadonlyMap<string, number>;
  /** With assumptions for containers that request nothing; for scoring only. */
  readonly assumedRequests: ReadonlyMap<string, number>;
  readonly hostPorts: readonly HostPort[];
  readonly requiredAffinity: readonly AffinityTerm[];
  readonly requiredAntiAffinity: readonly AffinityTerm[];
  readonly preferredAffinity: readonly WeightedAffinityTerm[];
  readonly preferredAntiAffinity: readonly WeightedAffinityTerm[];

  /** Throws BadRequest for selectors that validation would have refused. */
  constructor(pod: Pod) {
    this.pod = pod.spec?.nodeName ? placedPart(pod) : pod;
    this.key = keyOf(pod);
    this.uid = pod.metadata.uid ?? "";
    this.namespace = pod.metadata.namespace ?? "";
    this.priority = pod.spec?.priority ?? 0;
    this.requests = sharedAmounts(podRequests(pod, { useStatus: true }));
    this.assumedRequests = sharedAmounts(podRequests(pod, { useStatus: true, whenMissing: assumedRequests }));
    this.hostPorts = orNone(hostPortsOf(pod));
    const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
    const required = (terms: readonly PodAffinityTerm[] = []): readonly AffinityTerm[] =>
      orNone(terms.map((term) => compileTerm(term, pod)));
    const preferred = (terms: readonly WeightedPodAffinityTerm[] = []): readonly WeightedAffinityTerm[] =>
      orNone(terms.map(({ weight, podAffinityTerm }) => ({ weight, term: compileTerm(podAffinityTerm, pod) })));
    this.requiredAffinity = required(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution);
    this.requiredAntiAffinity = required(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution);
    this.preferredAffinity = preferred(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution);
    this.preferredAntiAffinity = preferred(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution);
  }

  get hasAffinity(): boolean {
    return this.requiredAffinity.length + this.preferredAffinity.length > 0 || this.hasAntiAffinity;
  }

  get hasAntiAffinity(): boolean {
    return this.requiredAntiAffinity.length + this.preferredAntiAffinity.length > 0;
  }
}

/** What is still asked of a pod that has its node: a fleet may have very many of them, and the rest is in the cache. */
function placedPart({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { name, namespace, uid, generation, deletionTimestamp } = metadata;
  const labels = metadata.labels && knownLabels.get(JSON.stringify(metadata.labels), metadata.labels);
  const claims = spec.volumes?.filter(
    (volume) => volume.persistentVolumeClaim || volume.ephemeral || isExclusiveDisk(volume),
  );
  const disruption = status?.conditions?.filter(({ type }) => type === "DisruptionTarget");
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, labels, generation, ...(deletionTimestamp ? { deletionTimestamp } : {}) },
    spec: claims && claims.length > 0 ? { ...noSpec, volumes: claims } : noSpec,
    status: {
      startTime: status?.startTime,
      ...(disruption && disruption.length > 0 ? { conditions: disruption } : {}),
    },
  };
}

/** One for all pods without claims. */
const noSpec: Pod["spec"] = { containers: [] };

/** Pods of one template ask for the same and have the same labels. */
const knownAmounts = new Interned<ReadonlyMap<string, number>>(256);
const knownLabels = new Interned<Readonly<Record<string, string>>>(4096);
const sharedAmounts = (amounts: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
  knownAmounts.get(JSON.stringify([...amounts]), amounts);

/** One empty list for all that have none. */
const none: readonly never[] = [];
const orNone = <T>(list: readonly T[]): readonly T[] => (list.length > 0 ? list : none);

function compileTerm(term: PodAffinityTerm, pod: Pod): AffinityTerm {
  const { labelSelector, namespaces = [], namespaceSelector, topologyKey } = term;
  const named = namespaces.length > 0 || namespaceSelector ? namespaces : [pod.metadata.namespace ?? ""];
  return {
    selector: labelSelectorOrNone(labelSelector),
    namespaces: new Set(named),
    ...(namespaceSelector ? { namespaceSelector: labelSelectorOrNone(namespaceSelector) } : {}),
    topologyKey,
  };
}

/** Whether the term speaks of this pod; `namespaceLabels` are those of the pod's namespace. */
export function termMatches(term: AffinityTerm, pod: Pod, namespaceLabels: Readonly<Record<string, string>>): boolean {
  const here =
    term.namespaces.has(pod.metadata.namespace ?? "") || (term.namespaceSelector?.matches(namespaceLabels) ?? false);
  return here && term.selector.matches(pod.metadata.labels);
}

function hostPortsOf({ spec }: Pod): HostPort[] {
  return [...(spec?.containers ?? []), ...sidecarsOf(spec)].flatMap(({ ports = [] }) =>
    ports
      .filter(({ hostPort }) => (hostPort ?? 0) > 0)
      .map(({ hostIP, protocol, hostPort = 0 }) => ({
        ip: hostIP || "0.0.0.0",
        protocol: protocol ?? "TCP",
        port: hostPort,
      })),
  );
}

/** Two ports clash on one node: same number and protocol, and one of them on all addresses or both on the same. */
export function portsClash(a: HostPort, b: HostPort): boolean {
  const sameAddress = a.ip === b.ip || a.ip === "0.0.0.0" || b.ip === "0.0.0.0";
  return a.port === b.port && a.protocol === b.protocol && sameAddress;
}
