import { labelSelectorOrNone } from "#shared/api/selector/label-selector.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { PodDisruptionBudget } from "#shared/api/types/policy-v1.generated.ts";
import type { PluginArgs } from "./configuration/plugin-args.ts";
import { Cycle, explainUnfit, filterWithNominated, type SearchQuestion, type Unfit, withNode } from "./cycle.ts";
import { type ClusterView, type Rejection, rejection } from "./framework.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";

export interface PreemptionCandidate {
  readonly node: string;
  /** Most important first. Never empty. */
  readonly victims: readonly PodInfo[];
  readonly budgetViolations: number;
}

/** Why nobody has to go. */
export type NoPreemption =
  /** `clearNomination`: no preemption can help any more, so that an earlier one's node is given up. */
  { readonly kind: "none"; readonly message: string; readonly clearNomination: boolean };

export type PreemptionPlan = { readonly kind: "preempt"; readonly candidate: PreemptionCandidate } | NoPreemption;

export interface PreemptionCandidates {
  readonly kind: "candidates";
  readonly candidates: readonly PreemptionCandidate[];
}

/**
 * Which pods of lower priority could go so that this one fits (pure). On each node that preemption could help, all lower
 * pods are thought away and then kept again one by one, those first whose disruption budget would be violated, then by
 * importance.
 */
export function preemptionCandidates(
  question: SearchQuestion,
  unfit: Unfit,
  budgets: readonly PodDisruptionBudget[],
  { minCandidateNodesPercentage, minCandidateNodesAbsolute }: PluginArgs["DefaultPreemption"],
): PreemptionCandidates | NoPreemption {
  const { pod: preemptor, cluster } = question;
  const ineligible = whyIneligible(preemptor, unfit, cluster);
  if (ineligible) return { kind: "none", message: `preemption: ${ineligible}`, clearNomination: false };
  const rejections = new Map<string, Rejection>();
  const candidates: PreemptionCandidate[] = [];
  const nodes = cluster.nodes();
  const most = Math.max(minCandidateNodesAbsolute, Math.floor((nodes.length * minCandidateNodesPercentage) / 100));
  for (const node of nodes) {
    if (unfit.general || !unfit.rejections.get(node.name)?.preemptible) continue;
    if (candidates.length >= most) break;
    const outcome = victimsOn(node, question, budgets);
    if ("victims" in outcome) candidates.push(outcome);
    else rejections.set(node.name, outcome);
  }
  if (candidates.length > 0) return { kind: "candidates", candidates };
  const absentReason = "Preemption is not helpful for scheduling";
  const message = explainUnfit({ ...unfit, general: undefined, rejections, absentReason });
  return { kind: "none", message: `preemption: ${message}`, clearNomination: true };
}

/** The candidate that hurts least. */
export function preemptionPlan(found: PreemptionCandidates | NoPreemption): PreemptionPlan {
  if (found.kind === "none") return found;
  const candidate = leastHarm(found.candidates);
  if (candidate) return { kind: "preempt", candidate };
  return { kind: "none", message: "preemption: no candidate node for preemption", clearNomination: false };
}

function whyIneligible({ pod, priority }: PodInfo, unfit: Unfit, cluster: ClusterView): string | undefined {
  if (pod.spec?.preemptionPolicy === "Never") return "not eligible due to preemptionPolicy=Never.";
  const nominatedNode = pod.status?.nominatedNodeName ?? "";
  const node = cluster.node(nominatedNode);
  // One that was not looked at will not do either.
  const against = unfit.general ?? unfit.rejections.get(nominatedNode);
  if (!node || !against?.preemptible) return undefined;
  for (const other of node.pods.values())
    if (other.priority < priority && isBeingPreempted(other.pod))
      return "not eligible due to a terminating pod on the nominated node.";
  return undefined;
}

const isBeingPreempted = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp !== undefined &&
  (status?.conditions?.some(
    (condition) =>
      condition.type === "DisruptionTarget" &&
      condition.status === "True" &&
      condition.reason === "PreemptionByScheduler",
  ) ??
    false);

function victimsOn(
  node: NodeInfo,
  { pod: preemptor, plugins, cluster, nominated }: SearchQuestion,
  budgets: readonly PodDisruptionBudget[],
): PreemptionCandidate | Rejection {
  const lower = [...node.pods.values()].filter(({ priority }) => priority < preemptor.priority).sort(byImportance);
  if (lower.length === 0) return { reasons: ["No preemption victims found for incoming pod"], preemptible: false };
  const trial = node.clone();
  const rejectionNow = (): Rejection | undefined => {
    const view = withNode(cluster, trial);
    return filterWithNominated(preemptor, trial, new Cycle(plugins, preemptor, view), plugins, view, nominated)
      ?.rejection;
  };
  for (const { uid } of lower) trial.removePod(uid);
  const hopeless = rejectionNow();
  if (hopeless) return hopeless;
  const { violating, others } = splitByBudgets(lower, budgets);
  const victims: PodInfo[] = [];
  let budgetViolations = 0;
  for (const info of [...violating, ...others]) {
    trial.addPod(info);
    if (!rejectionNow()) continue;
    trial.removePod(info.uid);
    victims.push(info);
    if (violating.includes(info)) budgetViolations++;
  }
  // It was turned down for something that no pod on it is in the way of.
  if (victims.length === 0) return rejection(`expected at least one victim pod on node "${node.name}"`, "final");
  return { node: node.name, victims: victims.sort(byImportance), budgetViolations };
}

/** Higher priority first, then those that run longer. */
export function byImportance(a: PodInfo, b: PodInfo): number {
  return b.priority - a.priority || startOf(a).localeCompare(startOf(b));
}

/** Timestamps of one format order as text; a pod that has not started is the youngest. */
const startOf = ({ pod }: PodInfo): string => pod.status?.startTime ?? "9999";

function splitByBudgets(
  pods: readonly PodInfo[],
  budgets: readonly PodDisruptionBudget[],
): { violating: PodInfo[]; others: PodInfo[] } {
  const allowed = budgets.map(({ status }) => status?.disruptionsAllowed ?? 0);
  const selectors = budgets.map(({ spec }) => labelSelectorOrNone(spec?.selector));
  const violating: PodInfo[] = [];
  const others: PodInfo[] = [];
  for (const info of pods) {
    let violates = false;
    const { labels = {}, name = "", namespace } = info.pod.metadata;
    for (const [index, budget] of budgets.entries()) {
      const selector = selectors[index];
      if (budget.metadata.namespace !== namespace || !selector || selector.isEmpty || !selector.matches(labels))
        continue;
      if (Object.keys(labels).length === 0 || budget.status?.disruptedPods?.[name] !== undefined) continue;
      const left = (allowed[index] ?? 0) - 1;
      allowed[index] = left;
      if (left < 0) violates = true;
    }
    (violates ? violating : others).push(info);
  }
  return { violating, others };
}

/** Fewest budget violations; then the lowest highest priority; the lowest sum of priorities; fewest victims; the one whose
 *  most important victim started last. */
function leastHarm(candidates: readonly PreemptionCandidate[]): PreemptionCandidate | undefined {
  const highest = ({ victims }: PreemptionCandidate): number => victims[0]?.priority ?? Number.NEGATIVE_INFINITY;
  // Priorities may be negative; shifted, so that more victims always weigh more.
  const sum = ({ victims }: PreemptionCandidate): number =>
    victims.reduce((total, { priority }) => total + priority + 2 ** 31, 0);
  const earliestStart = (candidate: PreemptionCandidate): string =>
    candidate.victims
      .filter(({ priority }) => priority === highest(candidate))
      .map(startOf)
      .sort()[0] ?? "9999";
  return candidates.toSorted(
    (a, b) =>
      a.budgetViolations - b.budgetViolations ||
      highest(a) - highest(b) ||
      sum(a) - sum(b) ||
      a.victims.length - b.victims.length ||
      earliestStart(b).localeCompare(earliestStart(a)),
  )[0];
}
