import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { jobs, pods as podResource } from "#shared/api/resources.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOf,
  defineController,
  observeChildren,
  type ReconcileResult,
  watching,
} from "#shared/client/controller.ts";
import { claimChildren, controllerReferenceOf } from "#shared/client/controller-ref.ts";
import { jobSyncs, jobSyncTimes } from "../controller-counts.ts";
import { candidates, childIndexes, keysOfOwners, type PodOwnerKind } from "../pod-control/pod-control.ts";
import { forAll } from "../pod-control/slow-start.ts";
import { isFinished } from "./facts.ts";
import { JobMemory } from "./memory.ts";
import { isTracked, trackingFinalizer } from "./pod-facts.ts";
import { JobSync } from "./sync.ts";
import { releasePod } from "./tracking.ts";

const kind: PodOwnerKind<Job> = { ref: jobs, selectorOf: ({ spec }) => labelSelectorOf(spec.selector) };

/** The value of spec.managedBy that means this controller. */
const ownName = "kubernetes.io/job-controller";

/** Keys of pods that may have lost their Job and still bear its finalizer. */
const orphanPrefix = "orphan:";

export interface JobControllerOptions {
  /** Changes of pods are gathered for so long, so that many that end at once cost few writes. */
  readonly gather_ms?: number | undefined;
}

/** Runs pods to their end, as often as a Job asks for. */
export function jobController({ gather_ms = 1000 }: JobControllerOptions = {}): ControllerDefinition {
  const memory = new JobMemory();
  return defineController({
    name: "job-controller",
    watches: [
      watching(jobs, {
        // On an older one pods that were counted and let go since would be missed, and made again.
        writes: true,
        observe({ type, object }, context) {
          if (type !== "delete") return;
          const { namespace, name, uid = "" } = object.metadata;
          context.expectations.forget(`${namespace}/${name}`);
          memory.forget(`${namespace}/${name}`);
          for (const pod of context.lister(podResource).byIndex("controllerUid", uid)) enqueueOrphan(pod, context);
        },
      }),
      watching(podResource, {
        enqueue(pod, context) {
          if (isTracked(pod) && hasLostJob(pod, context)) enqueueOrphan(pod, context);
          for (const key of keysOfOwners(kind, pod, context)) context.queue.addAfter(key, gather_ms);
          return [];
        },
        observe: observeChildren<Pod>("Job"),
        indexes: childIndexes,
      }),
    ],
    concurrency: 5,
    // Upstream's: what refuses pods, a quota for instance, goes on refusing them for a while.
    backOff: { first_ms: 1_000, longest_ms: 60_000 },
    async reconcile(key, context) {
      if (key.startsWith(orphanPrefix)) return releaseOrphan(key.slice(orphanPrefix.length), context);
      const job = context.lister(jobs).get(key);
      return job ? reconcileJob(key, job, context, memory) : context.written.forget(key);
    },
  });
}

const enqueueOrphan = ({ metadata }: Pod, { queue }: ControllerContext): void =>
  queue.add(`${orphanPrefix}${metadata.namespace}/${metadata.name}`);

/** Nobody will count the pod any more. */
function hasLostJob(pod: Pod, context: ControllerContext): boolean {
  const reference = controllerReferenceOf(pod);
  if (!reference) return true;
  const [key] = controllerOf("Job")(pod, context);
  if (key === undefined) return false;
  const job = context.lister(jobs).get(key);
  return job?.metadata.uid !== reference.uid || (isFinished(job) && !isManagedElsewhere(job));
}

async function releaseOrphan(key: string, context: ControllerContext): Promise<undefined> {
  const pod = context.lister(podResource).get(key);
  if (pod && isTracked(pod) && hasLostJob(pod, context)) await releaseIfSame(pod, context);
}

/** Another pod may have come to bear the name. */
async function releaseIfSame(pod: Pod, { client }: ControllerContext): Promise<void> {
  try {
    await releasePod(client, pod);
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) throw error;
  }
}

const isManagedElsewhere = ({ spec }: Job): boolean => spec.managedBy !== undefined && spec.managedBy !== ownName;

async function reconcileJob(
  key: string,
  job: Job,
  context: ControllerContext,
  memory: JobMemory,
): Promise<ReconcileResult> {
  if (isManagedElsewhere(job)) return undefined;
  const { uid = "" } = job.metadata;
  if (isFinished(job)) {
    context.written.forget(key);
    memory.forget(key);
    const left = context.lister(podResource).byIndex("controllerUid", uid).filter(isTracked);
    await forAll(left, (pod) => releaseIfSame(pod, context));
    return undefined;
  }
  const behind_ms = context.written.wait_ms(key);
  if (behind_ms !== undefined) return { behind_ms };
  const mode = job.spec.completionMode ?? "NonIndexed";
  if (mode !== "NonIndexed" && mode !== "Indexed") {
    const message = "Skipped Job sync because completion mode is unknown";
    context.events.record(job, { type: "Warning", reason: "UnknownCompletionMode", message });
    return undefined;
  }
  // Before the claims: what is adopted now is not yet in the cache.
  const mayManage = context.expectations.satisfied(key);
  const selector = kind.selectorOf(job);
  const pods = await claimChildren<Pod, Job>({
    client: context.client,
    ownerRef: jobs,
    owner: job,
    childRef: podResource,
    children: candidates(context, podResource, job, selector),
    matches: ({ metadata }) => selector.matches(metadata.labels),
    finalizersOnAdoption: [trackingFinalizer],
  });
  const sync = new JobSync(key, job, pods, context, memory);
  const began_ms = performance.now();
  let result = "error";
  try {
    const next = await sync.run(mayManage ? "manage pods" : "count only");
    result = "success";
    return next;
  } finally {
    const labels = [mode, result, sync.action];
    jobSyncs.add(labels);
    jobSyncTimes.observe((performance.now() - began_ms) / 1000, labels);
  }
}
