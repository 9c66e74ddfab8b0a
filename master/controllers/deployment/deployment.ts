import { isTerminal } from "#shared/api/pod-phase.ts";
import { deployments, pods, replicaSets } from "#shared/api/resources.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type { Deployment, ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";
import {
  type ControllerContext,
  controllerOf,
  defineController,
  type ReconcileResult,
  watching,
} from "#shared/client/controller.ts";
import { claimChildren } from "#shared/client/controller-ref.ts";
import { candidates, childIndexes, keysOfOwners, type PodOwnerKind } from "../pod-control/pod-control.ts";
import { desiredReplicasOf } from "./annotations.ts";
import { rollBack, rollbackRevision } from "./rollback.ts";
import { Rollout } from "./rollout.ts";
import { isActive, newReplicaSetSize, replicasOf, scale, scaleDownOld } from "./sizes.ts";
import {
  conditionOf,
  hasProgressDeadline,
  isComplete,
  nextProgressCheck_ms,
  statusOf,
  type WantedCondition,
  withCondition,
  withProgress,
} from "./status.ts";

const kind: PodOwnerKind<Deployment> = { ref: deployments, selectorOf: ({ spec }) => labelSelectorOf(spec.selector) };

/** Rolls a Deployment's pods from template to template by sizing its ReplicaSets. */
export const deploymentController = defineController({
  name: "deployment-controller",
  watches: [
    watching(deployments),
    watching(replicaSets, {
      // On older ones the sizes just given would count for nothing, and one just made would be made again.
      writes: true,
      enqueue: (replicaSet, context) => keysOfOwners(kind, replicaSet, context),
      indexes: childIndexes,
    }),
    watching(pods, {
      // Recreate waits for the last old pod to go.
      when: ({ type }) => type === "delete",
      *enqueue(pod, context) {
        for (const owner of controllerOf("ReplicaSet")(pod, context)) {
          const replicaSet = context.lister(replicaSets).get(owner);
          if (replicaSet) yield* controllerOf("Deployment")(replicaSet, context);
        }
      },
      indexes: childIndexes,
    }),
  ],
  concurrency: 5,
  async reconcile(key, context) {
    const deployment = context.lister(deployments).get(key);
    if (!deployment) return context.written.forget(key);
    const behind_ms = context.written.wait_ms(key);
    if (behind_ms !== undefined) return { behind_ms };
    return reconcileDeployment(deployment, context);
  },
});

async function reconcileDeployment(deployment: Deployment, context: ControllerContext): Promise<ReconcileResult> {
  const selector = kind.selectorOf(deployment);
  if (selector.isEmpty) return refuseEmptySelector(deployment, context);
  const owned = await claimChildren<ReplicaSet, Deployment>({
    client: context.client,
    ownerRef: deployments,
    owner: deployment,
    childRef: replicaSets,
    children: candidates(context, replicaSets, deployment, selector),
    matches: ({ metadata }) => selector.matches(metadata.labels),
  });
  const rollout = new Rollout(context, deployment, owned);
  if (deployment.metadata.deletionTimestamp) {
    await rollout.syncRevision("leave");
    return syncStatus(rollout);
  }
  await notePause(rollout);
  if (deployment.spec.paused) return syncSize(rollout);
  const revision = rollbackRevision(deployment);
  if (revision !== undefined) return rollBack(rollout, revision).then(() => undefined);
  await rollout.syncRevision("leave");
  if (isScaling(rollout)) return syncSize(rollout);
  return deployment.spec.strategy?.type === "Recreate" ? recreate(rollout) : rollingUpdate(rollout);
}

async function refuseEmptySelector(deployment: Deployment, context: ControllerContext): Promise<undefined> {
  const message = "This deployment is selecting all pods. A non-empty selector is required.";
  context.events.record(deployment, { type: "Warning", reason: "SelectingAll", message });
  const status = { ...deployment.status, observedGeneration: deployment.metadata.generation };
  await new Rollout(context, deployment, []).writeStatus(status);
}

/** Pausing stops the clock of the progress deadline, and says so. */
async function notePause(rollout: Rollout): Promise<void> {
  const { deployment } = rollout;
  if (!hasProgressDeadline(deployment)) return;
  const present = conditionOf(deployment.status, "Progressing");
  if (present?.reason === "ProgressDeadlineExceeded") return;
  const isNoted = present?.reason === "DeploymentPaused";
  if (isNoted === (deployment.spec.paused ?? false)) return;
  const wanted: WantedCondition = deployment.spec.paused
    ? { type: "Progressing", status: "Unknown", reason: "DeploymentPaused", message: "Deployment is paused" }
    : { type: "Progressing", status: "Unknown", reason: "DeploymentResumed", message: "Deployment is resumed" };
  const { status = {} } = deployment;
  await rollout.writeStatus({ ...status, conditions: withCondition(status.conditions, wanted, rollout.now) });
}

/** The Deployment's number has changed since its ReplicaSets were sized. */
const isScaling = ({ all, deployment }: Rollout): boolean =>
  all.filter(isActive).some((one) => {
    const desired = desiredReplicasOf(one);
    return desired !== undefined && desired !== replicasOf(deployment);
  });

async function syncSize(rollout: Rollout): Promise<undefined> {
  await rollout.syncRevision("leave");
  await rollout.resize(scale(rollout.deployment, rollout.current, rollout.old));
  if (rollout.deployment.spec.paused && rollbackRevision(rollout.deployment) === undefined) await rollout.cleanUp();
  return syncStatus(rollout);
}

async function syncStatus(rollout: Rollout): Promise<undefined> {
  await rollout.writeStatus(statusOf(rollout.deployment, rollout.current, rollout.old, rollout.now));
}

async function rollingUpdate(rollout: Rollout): Promise<ReconcileResult> {
  await rollout.syncRevision("create");
  const { current, deployment, old } = rollout;
  if (!current) throw new Error("a rollout without a ReplicaSet");
  const wanted = replicasOf(deployment);
  const size = replicasOf(current) >= wanted ? wanted : newReplicaSetSize(deployment, rollout.all, replicasOf(current));
  if (size !== replicasOf(current) && (await rollout.resize([{ replicaSet: current, replicas: size }])))
    return syncProgress(rollout);
  if (await rollout.resize(scaleDownOld(deployment, current, old))) return syncProgress(rollout);
  if (isComplete(rollout.deployment, rollout.deployment.status)) await rollout.cleanUp();
  return syncProgress(rollout);
}

/** Ends all old pods before the first new one starts. */
async function recreate(rollout: Rollout): Promise<ReconcileResult> {
  const toZero = rollout.old.filter(isActive).map((replicaSet) => ({ replicaSet, replicas: 0 }));
  if (await rollout.resize(toZero)) return syncProgress(rollout);
  if (hasOldPods(rollout)) return syncProgress(rollout);
  await rollout.syncRevision("create");
  const { current, deployment } = rollout;
  if (current && replicasOf(current) !== replicasOf(deployment))
    await rollout.resize([{ replicaSet: current, replicas: replicasOf(deployment) }]);
  if (isComplete(rollout.deployment, rollout.deployment.status)) await rollout.cleanUp();
  return syncProgress(rollout);
}

function hasOldPods({ old, context }: Rollout): boolean {
  return old.some(
    ({ metadata, status }) =>
      (status?.replicas ?? 0) > 0 ||
      context
        .lister(pods)
        .byIndex("controllerUid", metadata.uid ?? "")
        .some((pod) => !isTerminal(pod)),
  );
}

async function syncProgress(rollout: Rollout): Promise<ReconcileResult> {
  const { deployment, current, old, now } = rollout;
  const status = withProgress(deployment, statusOf(deployment, current, old, now), current, old, now);
  if (await rollout.writeStatus(status)) return undefined;
  const wait_ms = nextProgressCheck_ms(deployment, status, Date.parse(now));
  return wait_ms === undefined ? undefined : { requeueAfter_ms: wait_ms };
}
