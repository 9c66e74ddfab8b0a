import { controllerRevisions, daemonSets, nodes, pods as podResource } from "#shared/api/resources.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import { earliest } from "#shared/api/time.ts";
import type { ControllerRevision, DaemonSet } from "#shared/api/types/apps-v1.generated.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOf,
  defineController,
  everyKeyOf,
  type ReconcileResult,
  watching,
} from "#shared/client/controller.ts";
import type { InformerEvent } from "#shared/client/informer.ts";
import { equalStatus } from "../equal-status.ts";
import {
  claimRevisions,
  createRevision,
  podRevisionLabel,
  renumber,
  revisionData,
  sameData,
  truncateHistory,
} from "../history/controller-revision.ts";
import { nextAvailability_ms } from "../pod-control/pod-availability.ts";
import {
  candidates,
  childIndexes,
  claimPods,
  createPods,
  deletePods,
  type PodOwnerKind,
  podFromTemplate,
  watchingPods,
} from "../pod-control/pod-control.ts";
import { FailureBackOff } from "./failure-back-off.ts";
import { daemonTemplate } from "./node-selection.ts";
import { countDaemons, type DaemonView, planDaemons, planUpdate, viewOf } from "./plan.ts";

/** Daemons made or deleted for one DaemonSet in one go. */
const burst = 250;

const kind: PodOwnerKind<DaemonSet> = { ref: daemonSets, selectorOf: ({ spec }) => labelSelectorOf(spec.selector) };

/** Keeps one pod of a DaemonSet on every node that it selects. */
export function daemonSetController(): ControllerDefinition {
  const backOff = new FailureBackOff();
  return defineController({
    name: "daemonset-controller",
    serviceAccount: "daemon-set-controller",
    watches: [
      watching(daemonSets, {
        observe({ type, object: { metadata } }, { expectations }) {
          if (type === "delete") expectations.forget(`${metadata.namespace}/${metadata.name}`);
        },
      }),
      watchingPods(kind),
      watching(nodes, { enqueue: everyKeyOf(daemonSets), when: changesPlaces }),
      watching(controllerRevisions, { enqueue: controllerOf("DaemonSet"), indexes: childIndexes }),
    ],
    concurrency: 2,
    async reconcile(key, context) {
      const daemonSet = context.lister(daemonSets).get(key);
      if (!daemonSet) return context.expectations.forget(key);
      if (daemonSet.metadata.deletionTimestamp) return undefined;
      return reconcileDaemonSet(key, daemonSet, context, backOff);
    },
  });
}

/** A node's heartbeat changes nothing of where daemons belong. */
function changesPlaces(event: InformerEvent<Node>): boolean {
  if (event.type !== "update") return true;
  const facts = ({ metadata, spec }: Node): string => JSON.stringify([metadata.labels, spec?.taints]);
  return facts(event.old) !== facts(event.object);
}

async function reconcileDaemonSet(
  key: string,
  daemonSet: DaemonSet,
  context: ControllerContext,
  backOff: FailureBackOff,
): Promise<ReconcileResult> {
  const selector = kind.selectorOf(daemonSet);
  if (selector.isEmpty) {
    const message = "This daemon set is selecting all pods. A non-empty selector is required.";
    context.events.record(daemonSet, { type: "Warning", reason: "SelectingAll", message });
    return undefined;
  }
  const { expectations } = context;
  // Before the pods are read: what is seen of them after that is not in what follows.
  const mayManage = expectations.satisfied(key);
  const pods = await claimPods(context, kind, daemonSet, candidates(context, podResource, daemonSet, selector));
  const history = await syncHistory(daemonSet, pods, context);
  const hash = history.current.metadata.labels?.[podRevisionLabel] ?? "";
  const look = (): DaemonView => viewOf(daemonSet, hash, context.lister(nodes).list(), pods, context.clock.wall_ms());

  let outcome: ManageOutcome = { failure: undefined, wait_ms: undefined, hasActed: false };
  if (mayManage) {
    outcome = await manage(key, look(), context, backOff);
    // The pods that were read do not show what was done to them just now.
    if (!outcome.hasActed) outcome = { ...outcome, failure: await apply(key, look(), planUpdate(look()), context) };
    await cleanHistory(daemonSet, history.old, pods, context);
  }
  const observed = mayManage ? "as seen" : "not yet";
  await writeStatus(look(), history.collisionCount, observed, context);
  if (outcome.failure !== undefined) throw outcome.failure;
  const available_ms = nextAvailability_ms(pods, daemonSet.spec.minReadySeconds, context.clock.wall_ms());
  const requeueAfter_ms = earliest([outcome.wait_ms, available_ms]);
  return requeueAfter_ms === undefined ? undefined : { requeueAfter_ms };
}

interface ManageOutcome {
  readonly failure: unknown;
  /** Until a failed daemon may be replaced. */
  readonly wait_ms: number | undefined;
  /** Pods were made or deleted, or it was tried. */
  readonly hasActed: boolean;
}

async function manage(
  key: string,
  view: DaemonView,
  context: ControllerContext,
  backOff: FailureBackOff,
): Promise<ManageOutcome> {
  const { daemonSet } = view;
  const plan = planDaemons(view);
  const remove = [...plan.remove];
  const now_ms = context.clock.now_ms();
  let wait_ms: number | undefined;
  for (const { node, pod } of plan.failed) {
    const place = `${daemonSet.metadata.uid}/${daemonSet.status?.observedGeneration ?? 0}/${node}`;
    const left_ms = backOff.attempt(place, now_ms);
    if (left_ms > 0) {
      wait_ms = Math.min(wait_ms ?? left_ms, left_ms);
      continue;
    }
    const message = `Found failed daemon pod ${nameOf(pod)} on node ${node}, will try to kill it`;
    context.events.record(daemonSet, { type: "Warning", reason: "FailedDaemonPod", message });
    remove.push(pod);
  }
  for (const pod of plan.succeeded) {
    const message = `Found succeeded daemon pod ${nameOf(pod)} on node ${pod.spec?.nodeName}, will try to delete it`;
    context.events.record(daemonSet, { type: "Normal", reason: "SucceededDaemonPod", message });
    remove.push(pod);
  }
  const failure = await apply(key, view, { create: plan.create, remove }, context);
  return { failure, wait_ms, hasActed: plan.create.length + remove.length > 0 };
}

const nameOf = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;

/** Makes and deletes daemons; gives the first error. */
async function apply(
  key: string,
  { daemonSet, hash }: DaemonView,
  { create, remove }: { readonly create: readonly string[]; readonly remove: readonly Pod[] },
  context: ControllerContext,
): Promise<unknown> {
  const places = create.slice(0, burst);
  const podAt = (index: number): Pod =>
    podFromTemplate(daemonTemplate(daemonSet, hash, places[index] ?? ""), daemonSets, daemonSet);
  const refused = places.length > 0 ? await createPods(context, key, daemonSet, places.length, podAt) : undefined;
  const doomed = remove.slice(0, burst);
  const kept = doomed.length > 0 ? await deletePods(context, key, daemonSet, doomed) : undefined;
  return refused ?? kept;
}

interface History {
  readonly current: ControllerRevision;
  readonly old: readonly ControllerRevision[];
  readonly collisionCount: number;
}

/** The revision of the present template, made or made the newest again where needed. */
async function syncHistory(daemonSet: DaemonSet, pods: readonly Pod[], context: ControllerContext): Promise<History> {
  const { template } = daemonSet.spec;
  const all = await claimRevisions(context, daemonSets, daemonSet, kind.selectorOf(daemonSet));
  const data = revisionData(template);
  const equal = all.filter((one) => sameData(one.data, data));
  const old = all.filter((one) => !equal.includes(one));
  const revision = Math.max(0, ...old.map((one) => one.revision)) + 1;
  const collisionCount = daemonSet.status?.collisionCount ?? 0;
  const [newest, ...duplicates] = equal.toReversed();
  if (!newest) {
    const wanted = { ref: daemonSets, owner: daemonSet, template, revision, collisionCount };
    const made = await createRevision(context, { ...wanted, hashed: template, hashLabel: podRevisionLabel });
    return { current: made.revision, old, collisionCount: made.collisionCount };
  }
  await mergeDuplicates(newest, duplicates, pods, context);
  const current = newest.revision < revision ? await renumber(context, newest, revision) : newest;
  return { current, old, collisionCount };
}

/** Several revisions of one template (adopted, or of a lost race) become one, which its pods are told. */
async function mergeDuplicates(
  kept: ControllerRevision,
  duplicates: readonly ControllerRevision[],
  pods: readonly Pod[],
  { client }: ControllerContext,
): Promise<void> {
  if (duplicates.length === 0) return;
  const hashes = new Set(duplicates.map(({ metadata }) => metadata.labels?.[podRevisionLabel]));
  const labels = { [podRevisionLabel]: kept.metadata.labels?.[podRevisionLabel] };
  for (const { metadata } of pods)
    if (hashes.has(metadata.labels?.[podRevisionLabel])) {
      const key = { namespace: metadata.namespace, name: metadata.name ?? "" };
      await client.patch(podResource, key, { type: "merge", body: { metadata: { labels } } });
    }
  for (const { metadata } of duplicates)
    await client.delete(controllerRevisions, { namespace: metadata.namespace, name: metadata.name ?? "" });
}

async function cleanHistory(
  { spec }: DaemonSet,
  old: readonly ControllerRevision[],
  pods: readonly Pod[],
  context: ControllerContext,
): Promise<void> {
  const live = new Set(pods.map(({ metadata }) => metadata.labels?.[podRevisionLabel]));
  const unused = old.filter(({ metadata }) => !live.has(metadata.labels?.[podRevisionLabel]));
  const inUse = old.length - unused.length;
  await truncateHistory(context, unused, Math.max(0, (spec.revisionHistoryLimit ?? 10) - inUse));
}

async function writeStatus(
  view: DaemonView,
  collisionCount: number,
  observed: "as seen" | "not yet",
  { client }: ControllerContext,
): Promise<void> {
  const { daemonSet } = view;
  const { status: present, metadata } = daemonSet;
  const observedGeneration = observed === "as seen" ? metadata.generation : present?.observedGeneration;
  const status = {
    ...present,
    ...countDaemons(view),
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    ...(collisionCount > 0 ? { collisionCount } : {}),
  };
  if (!equalStatus(present, status))
    await client.update(daemonSets, { ...daemonSet, status }, { subresource: "status" });
}
