import { earliest } from "#shared/api/time.ts";
import { ContainerStartError } from "./container/container-error.ts";
import type { PlanRun } from "./plan-run.ts";
import { isOrdinaryInit } from "./planner/plan-pod.ts";
import type { PodPlan, PodStep } from "./planner/pod-step.ts";
import { executeStep } from "./pod-executors.ts";
import { ResizeError } from "./pod-resizer.ts";
import type { WaitingReason } from "./status/container-statuses.ts";

const retry_ms = 10_000;

/**
 * Carries out a plan, step by step; what the failure of one leaves out, `PodStep` says. Rejects with the signal's reason when the pod
 * is told to end, and with the failure that leaves out the rest of the plan.
 * @param waiting why containers could not be started, by their names: kept up to date while the plan is carried out
 * @returns the time for another try, epoch ms, when a container could not be started or given its resources
 */
export async function executePlan(
  plan: PodPlan,
  run: PlanRun,
  waiting: Map<string, WaitingReason>,
  onResizeFailed: (message: string) => void,
): Promise<number | undefined> {
  const failed = new Set<string>();
  const retries_ms: number[] = [];
  let hasResizeFailed = false;
  for (const step of plan.steps) {
    const container = containerOf(step);
    if (container !== undefined && failed.has(container)) continue;
    // A container may still have more than the pod was granted.
    if (step.kind === "settlePodLimits" && hasResizeFailed) continue;
    run.signal.throwIfAborted();
    try {
      await executeStep(step, run);
      if (step.kind === "startContainer" || step.kind === "runPostStart") waiting.delete(step.container);
    } catch (error) {
      const next_ms = run.parts.now_ms() + retry_ms;
      if (error instanceof ResizeError) {
        hasResizeFailed = true;
        onResizeFailed(error.message);
        retries_ms.push(next_ms);
        continue;
      }
      if (container === undefined || !(error instanceof ContainerStartError)) throw error;
      failed.add(container);
      waiting.set(container, { reason: error.reason, message: error.message });
      retries_ms.push(error.options.retryAt_ms ?? next_ms);
      if (isOrdinaryInit(run.pod, container)) break;
    }
  }
  return earliest(retries_ms);
}

const containerOf = (step: PodStep): string | undefined => ("container" in step ? step.container : undefined);
