import { namespaces as namespaceResource } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { PluginArgs } from "../configuration/plugin-args.ts";
import { bestScore, type ClusterView, rejection, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import { type AffinityTerm, type PodInfo, termMatches, type WeightedAffinityTerm } from "../pod-info.ts";

type Labels = Readonly<Record<string, string>>;

/** Pods counted by topology key and value. */
class TopologyCounts {
  readonly #counts = new Map<string, Map<string, number>>();

  add(topologyKey: string, labels: Labels, amount: number): void {
    const value = labels[topologyKey];
    if (value === undefined) return;
    const values = this.#counts.get(topologyKey) ?? new Map<string, number>();
    values.set(value, (values.get(value) ?? 0) + amount);
    this.#counts.set(topologyKey, values);
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  at(topologyKey: string, labels: Labels): number {
    const value = labels[topologyKey];
    return value === undefined ? 0 : (this.#counts.get(topologyKey)?.get(value) ?? 0);
  }

  /** Whether the node lies in any topology that counts above zero. */
  anyAt(labels: Labels): boolean {
    for (const key of this.#counts.keys()) if (this.at(key, labels) > 0) return true;
    return false;
  }

  sumAt(labels: Labels): number {
    let sum = 0;
    for (const key of this.#counts.keys()) sum += this.at(key, labels);
    return sum;
  }
}

/** Pods that want to be near or far from other pods, in both directions. */
export const interPodAffinity = (args: PluginArgs["InterPodAffinity"]): SchedulerPlugin => ({
  name: "InterPodAffinity",
  wokenBy: new Set(["nodeAdded", "nodeLabels", "podDeleted", "podAssigned", "podLabels", "namespaceLabels"]),
  mayHelp(incoming, event) {
    if (event.node) return mayHelpNode(incoming, event.node, event.nodeBefore);
    const { pod, podBefore, freed } = event;
    if (freed) return mayHelpGone(incoming, freed);
    return !pod || pod.uid === incoming.uid || mayHelpPresent(incoming, pod, podBefore);
  },
  begin(incoming, cluster) {
    const required = requiredCounts(incoming, cluster);
    const preferred = preferredCounts(incoming, cluster, args);
    return {
      ...(required ? { filter: (node: NodeInfo) => required.filter(node) } : {}),
      ...(preferred.isEmpty
        ? {}
        : { scores: (feasible) => normalizeRange(feasible.map(({ labels }) => preferred.sumAt(labels))) }),
    };
  },
});

/** A node helps where its topology is a new one, or one that the pod is not to be kept from any more. */
function mayHelpNode(incoming: PodInfo, { labels }: NodeInfo, before: Node | undefined): boolean {
  const near = incoming.requiredAffinity.map(({ topologyKey }) => topologyKey);
  const far = incoming.requiredAntiAffinity.map(({ topologyKey }) => topologyKey);
  // Others' anti-affinity keeps a pod away that asks for nothing itself.
  if (near.length + far.length === 0) return true;
  if (!before) return far.length > 0 || near.some((key) => labels[key] !== undefined);
  const differs = (key: string): boolean => labels[key] !== before.metadata.labels?.[key];
  return (
    near.some((key) => labels[key] !== undefined && differs(key)) ||
    far.some((key) => before.metadata.labels?.[key] !== undefined && differs(key))
  );
}

/** A pod that came, or changed, helps where it is now near as wanted, or no more what is to be kept from. */
function mayHelpPresent(incoming: PodInfo, now: PodInfo, before: PodInfo | undefined): boolean {
  const { requiredAffinity: near, requiredAntiAffinity: far } = incoming;
  if ([...near, ...far].some(({ namespaceSelector }) => namespaceSelector)) return true;
  const isNear = ({ pod }: PodInfo): boolean => near.length > 0 && near.every((term) => matchesResolved(term, pod));
  if (isNear(now) && !(before && isNear(before))) return true;
  return (
    before !== undefined && far.some((term) => matchesResolved(term, before.pod) && !matchesResolved(term, now.pod))
  );
}

/** A pod that went helps where one of both was to be kept from the other, or where the first of a group waits for none. */
function mayHelpGone(incoming: PodInfo, gone: PodInfo): boolean {
  const terms = [...incoming.requiredAffinity, ...incoming.requiredAntiAffinity];
  return (
    terms.some((term) => term.namespaceSelector || matchesResolved(term, gone.pod)) ||
    gone.requiredAntiAffinity.some((term) => term.namespaceSelector || matchesResolved(term, incoming.pod))
  );
}

function requiredCounts(
  incoming: PodInfo,
  cluster: ClusterView,
): { filter(node: NodeInfo): ReturnType<typeof rejection> | undefined } | undefined {
  const affinity = incoming.requiredAffinity.map((term) => withNamespaces(term, cluster));
  const antiAffinity = incoming.requiredAntiAffinity.map((term) => withNamespaces(term, cluster));
  const ownNamespaceLabels = cluster.namespaceLabels(incoming.namespace);
  const forbiddenByExisting = new TopologyCounts();
  const near = affinity.map(() => new TopologyCounts());
  const far = antiAffinity.map(() => new TopologyCounts());
  for (const node of cluster.nodes()) {
    if (affinity.length + antiAffinity.length === 0 && !node.hasPodsWithAntiAffinity) continue;
    for (const existing of node.pods.values()) {
      for (const term of existing.requiredAntiAffinity)
        if (termMatches(term, incoming.pod, ownNamespaceLabels))
          forbiddenByExisting.add(term.topologyKey, node.labels, 1);
      // Affinity counts only pods that match every term; anti-affinity each term for itself.
      if (affinity.length > 0 && affinity.every((term) => matchesResolved(term, existing.pod)))
        affinity.forEach((term, index) => void near[index]?.add(term.topologyKey, node.labels, 1));
      antiAffinity.forEach((term, index) => {
        if (matchesResolved(term, existing.pod)) far[index]?.add(term.topologyKey, node.labels, 1);
      });
    }
  }
  if (affinity.length + antiAffinity.length === 0 && forbiddenByExisting.isEmpty) return undefined;
  // The first of a group of pods that want to be together has nobody to be near.
  const isFirst = near.every(({ isEmpty }) => isEmpty) && affinity.every((term) => matchesResolved(term, incoming.pod));
  return {
    filter({ labels }) {
      const lacksLabel = affinity.some(({ topologyKey }) => labels[topologyKey] === undefined);
      const alone = affinity.some(({ topologyKey }, index) => (near[index]?.at(topologyKey, labels) ?? 0) === 0);
      if (affinity.length > 0 && (lacksLabel || (alone && !isFirst)))
        return rejection("node(s) didn't match pod affinity rules", "final");
      if (antiAffinity.some(({ topologyKey }, index) => (far[index]?.at(topologyKey, labels) ?? 0) > 0))
        return rejection("node(s) didn't match pod anti-affinity rules", "preemptible");
      if (forbiddenByExisting.anyAt(labels))
        return rejection("node(s) didn't satisfy existing pods anti-affinity rules", "preemptible");
      return undefined;
    },
  };
}

function preferredCounts(
  incoming: PodInfo,
  cluster: ClusterView,
  { hardPodAffinityWeight, ignorePreferredTermsOfExistingPods }: PluginArgs["InterPodAffinity"],
): TopologyCounts {
  const counts = new TopologyCounts();
  const resolve = ({ term, weight }: WeightedAffinityTerm): WeightedAffinityTerm => ({
    term: withNamespaces(term, cluster),
    weight,
  });
  const near = incoming.preferredAffinity.map(resolve);
  const far = incoming.preferredAntiAffinity.map(resolve);
  const ownNamespaceLabels = cluster.namespaceLabels(incoming.namespace);
  const wants = near.length + far.length > 0;
  if (!wants && ignorePreferredTermsOfExistingPods) return counts;
  const wanted = (term: AffinityTerm): boolean => termMatches(term, incoming.pod, ownNamespaceLabels);
  for (const node of cluster.nodes()) {
    if (!wants && !node.hasPodsWithAffinity) continue;
    for (const existing of node.pods.values()) {
      const weighted: readonly WeightedAffinityTerm[] = [
        ...near.filter(({ term }) => matchesResolved(term, existing.pod)),
        ...negated(far.filter(({ term }) => matchesResolved(term, existing.pod))),
        ...existing.requiredAffinity.filter(wanted).map((term) => ({ term, weight: hardPodAffinityWeight })),
        ...existing.preferredAffinity.filter(({ term }) => wanted(term)),
        ...negated(existing.preferredAntiAffinity.filter(({ term }) => wanted(term))),
      ];
      for (const { term, weight } of weighted) counts.add(term.topologyKey, node.labels, weight);
    }
  }
  return counts;
}

const negated = (terms: readonly WeightedAffinityTerm[]): WeightedAffinityTerm[] =>
  terms.map(({ term, weight }) => ({ term, weight: -weight }));

const noLabels: Labels = {};
const matchesResolved = (term: AffinityTerm, pod: Pod): boolean => termMatches(term, pod, noLabels);

/** Names the namespaces that a selector of namespaces selects now, so that matching needs no labels of namespaces. */
function withNamespaces(term: AffinityTerm, cluster: ClusterView): AffinityTerm {
  const { namespaceSelector } = term;
  if (!namespaceSelector) return term;
  const selected = cluster
    .lister(namespaceResource)
    .list()
    .filter(({ metadata }) => namespaceSelector.matches(metadata.labels))
    .map(({ metadata }) => metadata.name ?? "");
  return { ...term, namespaces: new Set([...term.namespaces, ...selected]), namespaceSelector: undefined };
}

function normalizeRange(scores: readonly number[]): number[] {
  const least = Math.min(...scores);
  const range = Math.max(...scores) - least;
  return scores.map((score) => (range > 0 ? Math.floor((bestScore * (score - least)) / range) : 0));
}
