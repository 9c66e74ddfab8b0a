import { isConflict } from "#shared/api/errors.ts";
import { pods as podResource } from "#shared/api/resources.ts";
import { selectorOrNone } from "#shared/api/selector/label-selector.ts";
import type { ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";
import type { Pod, PodTemplateSpec, ReplicationController } from "#shared/api/types/core-v1.generated.ts";
import { timestamp } from "#shared/client/clock.ts";
import {
  byControllerUid,
  type ControllerContext,
  type ControllerDefinition,
  defineController,
  type ReconcileResult,
  watching,
} from "#shared/client/controller.ts";
import { controllerReferenceOf } from "#shared/client/controller-ref.ts";
import { podsToDelete } from "../pod-control/deletion-order.ts";
import { isPodActive, isPodTerminating, nextAvailability_ms } from "../pod-control/pod-availability.ts";
import {
  candidates,
  claimPods,
  createPods,
  deletePods,
  type PodOwnerKind,
  podFromTemplate,
  watchingPods,
} from "../pod-control/pod-control.ts";
import { type ReplicaStatus, replicaStatusOf, sameReplicaStatus } from "./replica-status.ts";

/** Pods made or deleted for one owner in one go. */
const burst = 500;

type ReplicaOwner = ReplicaSet | ReplicationController;

/** What differs between the two kinds that keep a number of equal pods. */
export interface ReplicaKind<O extends ReplicaOwner> extends PodOwnerKind<O> {
  /** Of the controller, as upstream's. */
  readonly name: string;
  templateOf(owner: O): PodTemplateSpec | undefined;
  /** Whether the status says how many pods are on their way out. */
  readonly tellsTerminating: boolean;
}

/** Keeps as many pods of one template as the owner asks for: the controller of ReplicaSets and of
 *  ReplicationControllers. */
export function replicaController<O extends ReplicaOwner>(kind: ReplicaKind<O>): ControllerDefinition {
  return defineController({
    name: kind.name,
    watches: [
      watching(kind.ref, {
        observe({ type, object: { metadata } }, { expectations }) {
          if (type === "delete") expectations.forget(`${metadata.namespace}/${metadata.name}`);
        },
        // The ReplicaSets of one Deployment.
        indexes: { controllerUid: byControllerUid },
      }),
      watchingPods(kind),
    ],
    concurrency: 5,
    async reconcile(key, context) {
      const owner = context.lister(kind.ref).get(key);
      return owner ? reconcileReplicas(kind, key, owner, context) : context.expectations.forget(key);
    },
  });
}

async function reconcileReplicas<O extends ReplicaOwner>(
  kind: ReplicaKind<O>,
  key: string,
  owner: O,
  context: ControllerContext,
): Promise<ReconcileResult> {
  const { clock, expectations } = context;
  const mayManage = expectations.satisfied(key) && !owner.metadata.deletionTimestamp;
  const selector = kind.selectorOf(owner);
  const all = candidates(context, podResource, owner, selector);
  const active = await claimPods(context, kind, owner, all.filter(isPodActive));
  const failure = mayManage ? await manage(kind, key, owner, active, context) : undefined;

  const minReadySeconds = owner.spec?.minReadySeconds;
  const now_ms = clock.wall_ms();
  const status = replicaStatusOf(owner.status, {
    wanted: owner.spec?.replicas ?? 1,
    minReadySeconds,
    template: kind.templateOf(owner),
    generation: owner.metadata.generation ?? 0,
    active,
    terminating: kind.tellsTerminating
      ? all.filter(
          (pod) =>
            isPodTerminating(pod) &&
            controllerReferenceOf(pod)?.uid === owner.metadata.uid &&
            selector.matches(pod.metadata.labels),
        )
      : undefined,
    failure,
    now_ms,
    now: timestamp(clock),
  });
  if (!sameReplicaStatus(owner.status, status)) await writeStatus(kind, owner, status, context);
  if (failure !== undefined) throw failure;
  const wait_ms = nextAvailability_ms(active, minReadySeconds, now_ms);
  return wait_ms === undefined ? undefined : { requeueAfter_ms: wait_ms };
}

/** Once more where the owner has changed meanwhile, or the cache was behind: what was counted must not be lost, for the pods
 *  may be others at the next look. */
async function writeStatus<O extends ReplicaOwner>(
  { ref }: ReplicaKind<O>,
  owner: O,
  status: ReplicaStatus,
  { client }: ControllerContext,
): Promise<void> {
  const { namespace, name = "", uid } = owner.metadata;
  try {
    await client.update(ref, { ...owner, status }, { subresource: "status" });
  } catch (error) {
    if (!isConflict(error)) throw error;
    const latest = await client.get(ref, { namespace, name });
    if (latest.metadata.uid !== uid) throw error;
    await client.update(ref, { ...latest, status }, { subresource: "status" });
  }
}

/** Creates what is missing or deletes what is too much; gives what went wrong. */
async function manage<O extends ReplicaOwner>(
  kind: ReplicaKind<O>,
  key: string,
  owner: O,
  active: readonly Pod[],
  context: ControllerContext,
): Promise<unknown> {
  const surplus = active.length - (owner.spec?.replicas ?? 1);
  const template = kind.templateOf(owner);
  if (surplus < 0 && template) {
    const podAt = (): Pod => podFromTemplate(template, kind.ref, owner);
    return createPods(context, key, owner, Math.min(-surplus, burst), podAt);
  }
  if (surplus <= 0) return undefined;
  const doomed = podsToDelete(
    active,
    relatedPods(kind, owner, context),
    Math.min(surplus, burst),
    context.clock.wall_ms(),
  );
  return deletePods(context, key, owner, doomed);
}

/** Pods that the owner and those under the same controller as it select: they tell which nodes are crowded. */
function relatedPods<O extends ReplicaOwner>(
  kind: ReplicaKind<O>,
  owner: O,
  { lister }: ControllerContext,
): readonly Pod[] {
  const controller = controllerReferenceOf(owner);
  if (!controller) return [];
  const siblings = lister(kind.ref).byIndex("controllerUid", controller.uid);
  const selectors = siblings.map((sibling) => selectorOrNone(() => kind.selectorOf(sibling)));
  return lister(podResource).labelled(owner.metadata.namespace, (labels) =>
    selectors.some((selector) => selector.matches(labels)),
  );
}
