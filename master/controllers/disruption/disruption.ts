import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { keyOf } from "#shared/api/object.ts";
import {
  deployments,
  podDisruptionBudgets,
  pods as podResource,
  replicaSets,
  replicationControllers,
  statefulSets,
} from "#shared/api/resources.ts";
import { labelSelectorOf, labelSelectorOrNone } from "#shared/api/selector/label-selector.ts";
import { structText } from "#shared/api/selector/struct-text.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { PodDisruptionBudget, PodDisruptionBudgetStatus } from "#shared/api/types/policy-v1.generated.ts";
import { timestamp } from "#shared/client/clock.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  defineController,
  nothing,
  type ReconcileResult,
  watching,
} from "#shared/client/controller.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { equalStatus } from "../equal-status.ts";
import { writePodCondition } from "../pod-condition.ts";
import { budgetStatus, disruptedOf, expectedOf, failedStatus, needsScale, staleMark_ms } from "./budget.ts";
import { scaleOf } from "./owner-scale.ts";

/** Keys of pods that bear the mark of a disruption to come. */
const podPrefix = "pod:";

/** Tells by the status of PodDisruptionBudgets how many of their pods may be evicted, and takes the mark of a disruption
 *  off pods that nothing came of. */
export function disruptionController(): ControllerDefinition {
  let mapper: ResourceMapper | undefined;
  return defineController({
    name: "disruption-controller",
    eventSource: "controllermanager",
    watches: [
      watching(podDisruptionBudgets),
      watching(podResource, { enqueue: keysOfPod }),
      watching(deployments, { enqueue: nothing }),
      watching(replicaSets, { enqueue: nothing }),
      watching(replicationControllers, { enqueue: nothing }),
      watching(statefulSets, { enqueue: nothing }),
    ],
    concurrency: 1,
    async reconcile(key, context) {
      if (key.startsWith(podPrefix)) return clearStaleMark(key.slice(podPrefix.length), context);
      const budget = context.lister(podDisruptionBudgets).get(key);
      if (!budget) return undefined;
      mapper ??= new ResourceMapper(context.client);
      return reconcileBudget(budget, context, mapper);
    },
  });
}

const selects = ({ spec }: PodDisruptionBudget, { metadata }: Pod): boolean =>
  labelSelectorOrNone(spec.selector).matches(metadata.labels);

function* keysOfPod(pod: Pod, { lister, clock, events }: ControllerContext): Iterable<string> {
  const budgets = lister(podDisruptionBudgets)
    .list(pod.metadata.namespace)
    .filter((budget) => selects(budget, pod));
  if (budgets.length > 1) {
    const { namespace, name } = pod.metadata;
    const message = `Pod "${namespace}"/"${name}" matches multiple PodDisruptionBudgets.  Chose "${budgets[0]?.metadata.name}" arbitrarily.`;
    events.record(pod, { type: "Warning", reason: "MultiplePodDisruptionBudgets", message });
  }
  yield* budgets.map(keyOf);
  if (staleMark_ms(pod, clock.wall_ms()) !== undefined) yield podPrefix + keyOf(pod);
}

async function clearStaleMark(key: string, { lister, client, clock }: ControllerContext): Promise<ReconcileResult> {
  const pod = lister(podResource).get(key);
  const wait_ms = pod && staleMark_ms(pod, clock.wall_ms());
  if (!pod || wait_ms === undefined) return undefined;
  if (wait_ms > 0) return { requeueAfter_ms: wait_ms };
  const { generation: observedGeneration } = pod.metadata;
  await writePodCondition(client, clock, pod, { type: "DisruptionTarget", status: "False", observedGeneration });
  return undefined;
}

async function reconcileBudget(
  budget: PodDisruptionBudget,
  context: ControllerContext,
  mapper: ResourceMapper,
): Promise<ReconcileResult> {
  try {
    return await updateBudget(budget, context, mapper);
  } catch (error) {
    if (isConflict(error) || isNotFound(error)) throw error;
    const message = messageOf(error);
    await writeStatus(budget, failedStatus(budget, message, timestamp(context.clock)), context);
    throw error;
  }
}

async function updateBudget(
  budget: PodDisruptionBudget,
  context: ControllerContext,
  mapper: ResourceMapper,
): Promise<ReconcileResult> {
  const { lister, events, clock } = context;
  const { namespace, name } = budget.metadata;
  const selector = labelSelectorOf(budget.spec.selector);
  const pods = lister(podResource).labelled(namespace, (labels) => selector.matches(labels));
  if (pods.length === 0) events.record(budget, { type: "Normal", reason: "NoPods", message: "No matching pods found" });
  const scale = needsScale(budget) ? await askScale(budget, pods, context, mapper) : 0;
  const now_ms = clock.wall_ms();
  const disrupted = disruptedOf(budget, pods, now_ms);
  for (const pod of disrupted.overdue) {
    const message = `Pod was expected by PDB ${namespace}/${name} to be deleted but it wasn't`;
    events.record(pod, { type: "Warning", reason: "NotDeleted", message });
  }
  const expected = expectedOf(budget, pods.length, scale);
  await writeStatus(budget, budgetStatus(budget, pods, expected, disrupted, timestamp(clock)), context);
  return disrupted.wait_ms === undefined ? undefined : { requeueAfter_ms: disrupted.wait_ms + 1 };
}

async function askScale(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  context: ControllerContext,
  mapper: ResourceMapper,
): Promise<number> {
  const { events } = context;
  try {
    const { replicas, hasUnmanaged } = await scaleOf(pods, context, mapper);
    if (hasUnmanaged) {
      const selector = structText(budget.spec.selector);
      const message = `Pods selected by this PodDisruptionBudget (selector: ${selector}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`;
      events.record(budget, { type: "Warning", reason: "UnmanagedPods", message });
    }
    return replicas;
  } catch (error) {
    const reason = "CalculateExpectedPodCountFailed";
    const message = `Failed to calculate the number of expected pods: ${messageOf(error)}`;
    events.record(budget, { type: "Warning", reason, message });
    throw error;
  }
}

async function writeStatus(
  budget: PodDisruptionBudget,
  status: PodDisruptionBudgetStatus,
  { client }: ControllerContext,
): Promise<void> {
  if (budget.status?.conditions && equalStatus(budget.status, status)) return;
  await client.update(podDisruptionBudgets, { ...budget, status }, { subresource: "status" });
}
