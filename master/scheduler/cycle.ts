import { type StepTimer, statusOf, untimed } from "./extension-times.ts";
import type { ClusterView, PluginCycle, PostFilterResult, Rejection, SchedulerPlugin } from "./framework.ts";
import type { NodeInfo } from "./node-info.ts";
import type { NominatedPods } from "./nominated-pods.ts";
import type { PodInfo } from "./pod-info.ts";

/** Why no node takes the pod. */
export interface Unfit {
  readonly kind: "unfit";
  readonly nodeCount: number;
  /** Said by a plugin about all nodes at once. */
  readonly general?: Rejection | undefined;
  readonly rejections: ReadonlyMap<string, Rejection>;
  /** Reason of the nodes that were not looked at. */
  readonly absentReason?: string | undefined;
  /** Plugins that rejected: only changes that concern them can help. */
  readonly plugins: ReadonlySet<string>;
  /** What plugins say of it. */
  readonly postFilter: readonly PostFilterResult[];
  /** A plugin that had not begun could not say anything: then nobody after it is asked, and nobody has to go. */
  readonly postFilterFailure?: string | undefined;
}

export type Decision = { readonly kind: "fits"; readonly node: string; readonly evaluated: number } | Unfit;

/** Below this many nodes every one is looked at; above, a share, going round from where the last search ended. */
const minFeasible = 100;

interface Part {
  readonly plugin: SchedulerPlugin;
  readonly cycle: PluginCycle;
}

const postFilterOf = (parts: readonly Part[]): PostFilterResult[] =>
  parts.flatMap(({ cycle }) => cycle.postFilter?.() ?? []);

type AfterFilters = Pick<Unfit, "postFilter" | "postFilterFailure">;

/** One pod's plugins, begun for a state of the cluster. */
export class Cycle {
  readonly #parts: readonly Part[];

  constructor(
    private readonly plugins: readonly SchedulerPlugin[],
    pod: PodInfo,
    cluster: ClusterView,
  ) {
    this.#parts = plugins.flatMap((plugin) => {
      const cycle = plugin.begin(pod, cluster);
      return cycle ? [{ plugin, cycle }] : [];
    });
  }

  /** The first plugin that turns down every node. Those after it do not come to see the pod. */
  get general():
    | { readonly plugin: string; readonly rejection: Rejection; readonly postFilter: AfterFilters }
    | undefined {
    const at = this.#parts.findIndex(({ cycle }) => cycle.reject);
    const { plugin, cycle } = this.#parts[at] ?? {};
    if (!plugin || !cycle?.reject) return undefined;
    const after = this.plugins.slice(this.plugins.indexOf(plugin) + 1);
    const postFilter = after.some(({ hasPostFilter }) => hasPostFilter)
      ? { postFilter: [], postFilterFailure: "not found" }
      : { postFilter: postFilterOf(this.#parts.slice(0, at + 1)) };
    return { plugin: plugin.name, rejection: cycle.reject, postFilter };
  }

  /** Names of the only nodes to look at, with the plugins that said so. */
  get onlyNodes(): { readonly names: ReadonlySet<string>; readonly plugins: readonly string[] } | undefined {
    const limiting = this.#parts.filter(({ cycle }) => cycle.onlyNodes);
    const [first, ...others] = limiting.map(({ cycle }) => cycle.onlyNodes ?? new Set<string>());
    if (!first) return undefined;
    const names = new Set([...first].filter((name) => others.every((other) => other.has(name))));
    return { names, plugins: limiting.map(({ plugin }) => plugin.name).sort() };
  }

  /** The first plugin's word against the node. */
  filter(node: NodeInfo): { readonly plugin: string; readonly rejection: Rejection } | undefined {
    for (const { plugin, cycle } of this.#parts) {
      const rejection = cycle.filter?.(node);
      if (rejection) return { plugin: plugin.name, rejection };
    }
    return undefined;
  }

  postFilter(): PostFilterResult[] {
    return postFilterOf(this.#parts);
  }

  /** Weighted sums of all plugins' scores, in the nodes' order. */
  scores(feasible: readonly NodeInfo[]): number[] {
    const sums = feasible.map(() => 0);
    for (const { plugin, cycle } of this.#parts) {
      const scores = cycle.scores?.(feasible) ?? [];
      for (const [index, score] of scores.entries()) sums[index] = (sums[index] ?? 0) + score * (plugin.weight ?? 1);
    }
    return sums;
  }
}

export interface SearchState {
  /** Where the next search begins, so that all nodes of a big fleet get their turn. */
  nextStart: number;
}

/** Nodes that all plugins take the pod on, as many as are looked for. */
export interface Feasible {
  readonly kind: "feasible";
  /** At least one. */
  readonly nodes: readonly NodeInfo[];
  /** The one node is the one that was cleared for this pod: no other was looked at. */
  readonly isCleared: boolean;
  readonly evaluated: number;
  readonly cycle: Cycle;
  /** How the search looks if none of these nodes will do either. */
  readonly unfit: Unfit;
}

/** What a search is about; it changes `search.nextStart` alone. */
export interface SearchQuestion {
  readonly pod: PodInfo;
  readonly plugins: readonly SchedulerPlugin[];
  readonly cluster: ClusterView;
  /** Pods nominated to a node by a preemption count as being there for those of no higher priority. */
  readonly nominated: NominatedPods;
  readonly search: SearchState;
  readonly percentageOfNodesToScore?: number | undefined;
  /** Measures the steps; none are when absent. */
  readonly timer?: StepTimer | undefined;
}

/**
 * The nodes that take a pod, before they are scored.
 * @param cleared "first": a node that was cleared for this pod is enough when it takes it.
 */
export function findFeasible(question: SearchQuestion, cleared: "first" | "as any other"): Feasible | Unfit {
  const { pod, plugins, cluster, nominated, search, percentageOfNodesToScore, timer = untimed } = question;
  const all = cluster.nodes();
  const unfit = (rest: Partial<Unfit>): Unfit => ({
    kind: "unfit",
    nodeCount: all.length,
    rejections: new Map(),
    plugins: new Set(),
    postFilter: [],
    ...rest,
  });
  // No plugin has rejected it: whatever changes may help.
  if (all.length === 0) return unfit({});
  const prefiltered = timer("PreFilter");
  const cycle = new Cycle(plugins, pod, cluster);
  const { general, onlyNodes } = cycle;
  prefiltered(statusOf(general?.rejection));
  if (general) return unfit({ general: general.rejection, plugins: new Set([general.plugin]), ...general.postFilter });

  const filtered = timer("Filter");
  const nominee = cleared === "first" ? cluster.node(pod.pod.status?.nominatedNodeName ?? "") : undefined;
  if (nominee && !filterWithNominated(pod, nominee, cycle, plugins, cluster, nominated)) {
    filtered("Success");
    return { kind: "feasible", nodes: [nominee], isCleared: true, evaluated: 1, cycle, unfit: unfit({}) };
  }

  const candidates = onlyNodes ? all.filter(({ name }) => onlyNodes.names.has(name)) : all;
  const wanted = feasibleWanted(candidates.length, percentageOfNodesToScore);
  const feasible: NodeInfo[] = [];
  const rejections = new Map<string, Rejection>();
  const rejecting = new Set<string>();
  let looked = 0;
  for (; looked < candidates.length && feasible.length < wanted; looked++) {
    const node = candidates[(search.nextStart + looked) % candidates.length];
    if (!node) break;
    const against = filterWithNominated(pod, node, cycle, plugins, cluster, nominated);
    if (against) {
      rejections.set(node.name, against.rejection);
      rejecting.add(against.plugin);
    } else {
      feasible.push(node);
    }
  }
  // Success even where no node is left, as upstream counts it: the step itself went well.
  filtered("Success");
  if (candidates.length > 0) search.nextStart = (search.nextStart + looked) % candidates.length;
  for (const plugin of onlyNodes?.plugins ?? []) rejecting.add(plugin);
  const absentReason = onlyNodes ? `node(s) didn't satisfy plugin(s) [${onlyNodes.plugins.join(" ")}]` : undefined;
  const noneTakesIt = unfit({ rejections, plugins: rejecting, absentReason });
  if (feasible.length === 0) return { ...noneTakesIt, postFilter: cycle.postFilter() };
  return { kind: "feasible", nodes: feasible, isCleared: false, evaluated: looked, cycle, unfit: noneTakesIt };
}

/** The best node for a pod. Pure but for `random`, which breaks ties, and the rotating start. */
export function decide(question: SearchQuestion, random: () => number): Decision {
  const found = findFeasible(question, "first");
  if (found.kind === "unfit") return found;
  const { nodes, evaluated, cycle } = found;
  const node = nodes.length === 1 ? nodes[0] : pickBest(nodes, scored(question, cycle, nodes), random);
  return { kind: "fits", node: node?.name ?? "", evaluated };
}

/** What the plugins think of nodes. */
export function scored({ timer = untimed }: SearchQuestion, cycle: Cycle, nodes: readonly NodeInfo[]): number[] {
  const through = timer("Score");
  const scores = cycle.scores(nodes);
  through("Success");
  return scores;
}

/** With pods nominated there, the node must do both with them and, since they may never come, without. */
export function filterWithNominated(
  pod: PodInfo,
  node: NodeInfo,
  cycle: Cycle,
  plugins: readonly SchedulerPlugin[],
  cluster: ClusterView,
  nominated: NominatedPods,
): { readonly plugin: string; readonly rejection: Rejection } | undefined {
  const coming = nominated.on(node.name).filter(({ uid, priority }) => uid !== pod.uid && priority >= pod.priority);
  if (coming.length > 0) {
    const crowded = node.clone();
    for (const info of coming) crowded.addPod(info);
    const against = new Cycle(plugins, pod, withNode(cluster, crowded)).filter(crowded);
    if (against) return against;
  }
  return cycle.filter(node);
}

/** The cluster with one node as it might be. */
export function withNode(cluster: ClusterView, changed: NodeInfo): ClusterView {
  const nodes = cluster.nodes().map((node) => (node.name === changed.name ? changed : node));
  return {
    nodes: () => nodes,
    node: (name) => (name === changed.name ? changed : cluster.node(name)),
    namespaceLabels: (namespace) => cluster.namespaceLabels(namespace),
    lister: (ref) => cluster.lister(ref),
  };
}

/** All of a small fleet; of a big one the share that is set, else half, down to a twentieth; but never below 100. */
export function feasibleWanted(nodes: number, percentage = 0): number {
  if (nodes < minFeasible) return nodes;
  const percent = percentage > 0 ? percentage : Math.max(5, 50 - Math.floor(nodes / 125));
  return Math.max(minFeasible, Math.floor((nodes * percent) / 100));
}

/** Of several that are equally good, any. */
export function pickBest(
  nodes: readonly NodeInfo[],
  scores: readonly number[],
  random: () => number,
): NodeInfo | undefined {
  const best = Math.max(...scores);
  const ties = nodes.filter((_, index) => scores[index] === best);
  return ties[Math.floor(random() * ties.length)];
}

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s).` as upstream words it. */
export function explainUnfit(unfit: Unfit, afterPreemption = ""): string {
  let text = `0/${unfit.nodeCount} nodes are available:`;
  if (unfit.general) {
    text += ` ${unfit.general.reasons.join(", ")}.`;
  } else {
    const counts = new Map<string, number>();
    for (const { reasons } of unfit.rejections.values())
      for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    const absent = unfit.nodeCount - unfit.rejections.size;
    if (unfit.absentReason && absent > 0)
      counts.set(unfit.absentReason, (counts.get(unfit.absentReason) ?? 0) + absent);
    const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
    if (parts.length > 0) text += ` ${parts.join(", ")}.`;
  }
  return afterPreemption ? `${text} ${afterPreemption}` : text;
}
