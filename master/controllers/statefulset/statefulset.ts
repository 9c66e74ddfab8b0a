import {
  controllerRevisions,
  persistentVolumeClaims,
  pods as podResource,
  statefulSets,
} from "#shared/api/resources.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type { ControllerRevision, StatefulSet } from "#shared/api/types/apps-v1.generated.ts";
import {
  type ControllerContext,
  controllerOf,
  defineController,
  nothing,
  type ReconcileResult,
  watching,
} from "#shared/client/controller.ts";
import { equalStatus } from "../equal-status.ts";
import {
  claimRevisions,
  createRevision,
  renumber,
  revisionData,
  sameData,
  truncateHistory,
} from "../history/controller-revision.ts";
import { nextAvailability_ms } from "../pod-control/pod-availability.ts";
import { candidates, childIndexes, claimPods, type PodOwnerKind, watchingPods } from "../pod-control/pod-control.ts";
import { identityOf, podRevision } from "./ordinals.ts";
import { completed } from "./pod-state.ts";
import { type Revisions, StatefulSetSync } from "./sync.ts";

const kind: PodOwnerKind<StatefulSet> = { ref: statefulSets, selectorOf: ({ spec }) => labelSelectorOf(spec.selector) };

/** On a ControllerRevision: the hash of its data. */
const revisionHashLabel = "controller.kubernetes.io/hash";

/** Keeps pods with names, claims and an order of their own. */
export const statefulSetController = defineController({
  name: "statefulset-controller",
  watches: [
    watching(statefulSets),
    watchingPods(kind),
    watching(persistentVolumeClaims, { enqueue: nothing }),
    watching(controllerRevisions, { enqueue: controllerOf("StatefulSet"), indexes: childIndexes }),
  ],
  concurrency: 5,
  async reconcile(key, context) {
    const set = context.lister(statefulSets).get(key);
    return set ? reconcileStatefulSet(set, context) : undefined;
  },
});

async function reconcileStatefulSet(set: StatefulSet, context: ControllerContext): Promise<ReconcileResult> {
  const selector = kind.selectorOf(set);
  const history = await claimRevisions(context, statefulSets, set, selector);
  const named = candidates(context, podResource, set, selector).filter(
    (pod) => identityOf(pod)?.parent === set.metadata.name,
  );
  const pods = await claimPods(context, kind, set, named);
  const revisions = await syncRevisions(set, history, context);
  const sync = new StatefulSetSync(set, pods, revisions, context);
  const failure = set.metadata.deletionTimestamp ? undefined : await sync.run();
  const status = completed(set, sync.status());
  if (!equalStatus(set.status, status))
    await context.client.update(statefulSets, { ...set, status }, { subresource: "status" });

  const live = new Set([revisions.current, revisions.update].map(({ metadata }) => metadata.name));
  for (const pod of pods) live.add(podRevision(pod));
  const unused = history.filter(({ metadata }) => !live.has(metadata.name));
  await truncateHistory(context, unused, set.spec.revisionHistoryLimit ?? 10);
  if (failure !== undefined) throw failure;
  const wait_ms = nextAvailability_ms(pods, set.spec.minReadySeconds, context.clock.wall_ms());
  return wait_ms === undefined ? undefined : { requeueAfter_ms: wait_ms };
}

/** The revision of the present template, made or made the newest again where needed, and the one that pods below a
 *  partition are of. */
async function syncRevisions(
  set: StatefulSet,
  history: readonly ControllerRevision[],
  context: ControllerContext,
): Promise<Revisions> {
  const { template } = set.spec;
  const newest = history.at(-1);
  const revision = (newest?.revision ?? 0) + 1;
  const data = revisionData(template);
  const equal = history.findLast((one) => sameData(one.data, data));
  let collisionCount = set.status?.collisionCount ?? 0;
  let update = equal;
  if (!equal) {
    const wanted = { ref: statefulSets, owner: set, template, revision, collisionCount };
    const made = await createRevision(context, { ...wanted, hashed: data, hashLabel: revisionHashLabel });
    update = made.revision;
    collisionCount = made.collisionCount;
  } else if (equal !== newest) update = await renumber(context, equal, revision);
  if (!update) throw new Error("a StatefulSet without a revision");
  const current = history.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update;
  return { current, update, collisionCount };
}
