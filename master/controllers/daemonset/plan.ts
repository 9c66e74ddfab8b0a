import { byAge } from "#shared/api/object.ts";
import { isTerminal } from "#shared/api/pod-phase.ts";
import type { DaemonSet } from "#shared/api/types/apps-v1.generated.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { podRevisionLabel } from "../history/controller-revision.ts";
import { isPodReady } from "../pod-condition.ts";
import { scaledValue } from "../pod-control/int-or-percent.ts";
import { isPodAvailable } from "../pod-control/pod-availability.ts";
import { isUpdated, judgeNode, type NodeVerdict, targetNodeOf } from "./node-selection.ts";

/* What a DaemonSet should do, from what is seen; all of it pure. */

/** A DaemonSet with the nodes and its daemons on them. */
export interface DaemonView {
  readonly daemonSet: DaemonSet;
  /** Of the present template. */
  readonly hash: string;
  readonly nodes: ReadonlyMap<string, { readonly node: Node; readonly verdict: NodeVerdict }>;
  readonly daemons: ReadonlyMap<string, readonly Pod[]>;
  readonly now_ms: number;
}

/** Sorts the daemons to their nodes. Those that have ended and are being deleted no longer count. */
export function viewOf(
  daemonSet: DaemonSet,
  hash: string,
  nodes: readonly Node[],
  pods: readonly Pod[],
  now_ms: number,
): DaemonView {
  const daemons = new Map<string, Pod[]>();
  for (const pod of pods) {
    const node = isTerminal(pod) && pod.metadata.deletionTimestamp ? undefined : targetNodeOf(pod);
    if (node !== undefined) daemons.set(node, [...(daemons.get(node) ?? []), pod]);
  }
  const judged = nodes.map(
    (node) => [node.metadata.name ?? "", { node, verdict: judgeNode(daemonSet, node) }] as const,
  );
  return { daemonSet, hash, nodes: new Map(judged), daemons, now_ms };
}

export interface DaemonPlan {
  /** Names of nodes that get a daemon. */
  create: string[];
  remove: Pod[];
  /** Ended though it should run: removed under a back-off, so that another is made. */
  failed: { node: string; pod: Pod }[];
  succeeded: Pod[];
}

const emptyPlan = (): DaemonPlan => ({ create: [], remove: [], failed: [], succeeded: [] });

/** One daemon on every node that should have one, and none elsewhere. */
export function planDaemons(view: DaemonView): DaemonPlan {
  const plan = emptyPlan();
  for (const [node, { verdict }] of view.nodes) planNode(view, node, verdict, plan);
  for (const [node, pods] of view.daemons)
    if (!view.nodes.has(node)) plan.remove.push(...pods.filter(({ spec }) => !spec?.nodeName));
  return plan;
}

function planNode(view: DaemonView, node: string, { shouldRun, shouldStay }: NodeVerdict, plan: DaemonPlan): void {
  const pods = view.daemons.get(node);
  if (!pods) {
    if (shouldRun) plan.create.push(node);
    return;
  }
  const staying = pods.filter(({ metadata }) => !metadata.deletionTimestamp);
  if (!shouldStay) {
    plan.remove.push(...staying);
    return;
  }
  const running: Pod[] = [];
  for (const pod of staying) {
    if (pod.status?.phase === "Failed") plan.failed.push({ node, pod });
    else if (pod.status?.phase === "Succeeded") plan.succeeded.push(pod);
    else running.push(pod);
  }
  running.sort(oldestFirst);
  if (!allowsSurge(view.daemonSet)) plan.remove.push(...running.slice(1));
  else if (running.length > 1) planSurplus(view, running, plan);
  else if (running.length === 0 && shouldRun) plan.create.push(node);
}

/** With a surge, one daemon of the old and one of the new template may run side by side until the new one is fit. */
function planSurplus({ hash, daemonSet, now_ms }: DaemonView, running: readonly Pod[], plan: DaemonPlan): void {
  const isNew = ({ metadata }: Pod): boolean => metadata.labels?.[podRevisionLabel] === hash;
  const [newest, ...moreNew] = running.filter(isNew);
  const [oldest, ...moreOld] = running.filter((pod) => !isNew(pod));
  plan.remove.push(...moreNew, ...moreOld);
  if (!newest || !oldest) return;
  if (!isPodReady(oldest) || isPodAvailable(newest, daemonSet.spec.minReadySeconds, now_ms)) plan.remove.push(oldest);
}

/** On a node first, then older, then by name. */
function oldestFirst(a: Pod, b: Pod): number {
  if (!a.spec?.nodeName !== !b.spec?.nodeName) return a.spec?.nodeName ? -1 : 1;
  return byAge(a, b);
}

const isRolling = ({ spec }: DaemonSet): boolean => (spec.updateStrategy?.type ?? "RollingUpdate") === "RollingUpdate";

const surgeOf = (daemonSet: DaemonSet, wanted: number): number =>
  isRolling(daemonSet) ? scaledValue(daemonSet.spec.updateStrategy?.rollingUpdate?.maxSurge, wanted, "up") : 0;

const allowsSurge = (daemonSet: DaemonSet): boolean => surgeOf(daemonSet, 1) > 0;

/** The daemons to replace now, as far as unavailability or surge allow; nothing under OnDelete. */
export function planUpdate(view: DaemonView): Pick<DaemonPlan, "create" | "remove"> {
  const { daemonSet } = view;
  if (!isRolling(daemonSet)) return { create: [], remove: [] };
  const wanted = [...view.nodes].filter(([, { verdict }]) => verdict.shouldRun).map(([node]) => node);
  const maxSurge = surgeOf(daemonSet, wanted.length);
  const { maxUnavailable } = daemonSet.spec.updateStrategy?.rollingUpdate ?? {};
  const unavailable = scaledValue(maxUnavailable, wanted.length, "up");
  const places = new Map([...wanted.map((node) => [node, [] as readonly Pod[]] as const), ...view.daemons]);
  return maxSurge > 0
    ? planSurge(view, places, maxSurge, wanted.length)
    : planReplacement(view, places, unavailable === 0 ? 1 : unavailable);
}

type Places = ReadonlyMap<string, readonly Pod[]>;

/** The old and the new daemon of a node; undefined when there are more of a kind. */
function pairOn({ daemonSet, hash }: DaemonView, pods: readonly Pod[]): { old?: Pod; new?: Pod } | undefined {
  const staying = pods.filter(({ metadata }) => !metadata.deletionTimestamp);
  const [newPod, ...moreNew] = staying.filter((pod) => isUpdated(daemonSet, hash, pod));
  const [oldPod, ...moreOld] = staying.filter((pod) => !isUpdated(daemonSet, hash, pod));
  if (moreNew.length > 0 || moreOld.length > 0) return undefined;
  return { ...(oldPod ? { old: oldPod } : {}), ...(newPod ? { new: newPod } : {}) };
}

function planReplacement(
  view: DaemonView,
  places: Places,
  maxUnavailable: number,
): { create: string[]; remove: Pod[] } {
  const isAvailable = (pod: Pod): boolean => isPodAvailable(pod, view.daemonSet.spec.minReadySeconds, view.now_ms);
  const remove: Pod[] = [];
  const candidates: Pod[] = [];
  let unavailable = 0;
  for (const pods of places.values()) {
    const pair = pairOn(view, pods);
    if (!pair || !pair.old === !pair.new) unavailable++;
    else if (pair.new) unavailable += isAvailable(pair.new) ? 0 : 1;
    else if (pair.old && isAvailable(pair.old)) candidates.push(pair.old);
    else if (pair.old) {
      // Replacing what does not work makes nothing worse.
      remove.push(pair.old);
      unavailable++;
    }
  }
  return { create: [], remove: [...remove, ...candidates.slice(0, Math.max(0, maxUnavailable - unavailable))] };
}

function planSurge(
  view: DaemonView,
  places: Places,
  maxSurge: number,
  wanted: number,
): { create: string[]; remove: Pod[] } {
  const isAvailable = (pod: Pod | undefined): boolean =>
    pod !== undefined && isPodAvailable(pod, view.daemonSet.spec.minReadySeconds, view.now_ms);
  const remove: Pod[] = [];
  const strays: Pod[] = [];
  const create: string[] = [];
  const candidates: string[] = [];
  let surge = 0;
  let available = 0;
  for (const [node, pods] of places) {
    const pair = pairOn(view, pods);
    if (!pair) {
      surge++;
      continue;
    }
    if (isAvailable(pair.old ?? pair.new)) available++;
    if (!pair.old) continue;
    if (pair.new) {
      if (isAvailable(pair.new)) remove.push(pair.old);
      else surge++;
      continue;
    }
    const belongs = view.nodes.get(node)?.verdict.shouldRun ?? false;
    if (!belongs) (isAvailable(pair.old) ? strays : remove).push(pair.old);
    else (isAvailable(pair.old) ? candidates : create).push(node);
  }
  return {
    create: [...create, ...candidates.slice(0, Math.max(0, maxSurge - surge))],
    remove: [...remove, ...strays.slice(0, Math.max(0, available - wanted))],
  };
}

/** The counts of the status. */
export function countDaemons({ daemonSet, hash, nodes, daemons, now_ms }: DaemonView) {
  const counts = {
    desiredNumberScheduled: 0,
    currentNumberScheduled: 0,
    numberMisscheduled: 0,
    numberReady: 0,
    updatedNumberScheduled: 0,
    numberAvailable: 0,
    numberUnavailable: 0,
  };
  for (const [name, { verdict }] of nodes) {
    const [pod] = (daemons.get(name) ?? []).toSorted(oldestFirst);
    if (!verdict.shouldRun) {
      if (pod) counts.numberMisscheduled++;
      continue;
    }
    counts.desiredNumberScheduled++;
    if (!pod) continue;
    counts.currentNumberScheduled++;
    if (isPodReady(pod)) counts.numberReady++;
    if (isPodAvailable(pod, daemonSet.spec.minReadySeconds, now_ms)) counts.numberAvailable++;
    if (isUpdated(daemonSet, hash, pod)) counts.updatedNumberScheduled++;
  }
  counts.numberUnavailable = counts.desiredNumberScheduled - counts.numberAvailable;
  return counts;
}
