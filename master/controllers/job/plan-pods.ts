import { jobs } from "#shared/api/resources.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import type { Container, Pod, PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import { podsToDelete } from "../pod-control/deletion-order.ts";
import { isPodTerminating } from "../pod-control/pod-availability.ts";
import { podFromTemplate } from "../pod-control/pod-control.ts";
import { type BackOffRecord, remaining_ms, remainingOfIndex_ms } from "./back-off.ts";
import type { IndexFacts, JobFacts } from "./facts.ts";
import { Indexes } from "./indexes.ts";
import {
  failureCountAnnotation,
  hasBackOffPerIndex,
  ignoredFailureCountAnnotation,
  indexAnnotation,
  indexFailures,
  indexOf,
  isSuspended,
  parallelismOf,
  replacesOnlyFailed,
  trackingFinalizer,
} from "./pod-facts.ts";
import { judgeFailure } from "./pod-failure-policy.ts";

/** Pods made or deleted for one Job in one go. */
const burst = 500;

export type PodPlan =
  | { readonly kind: "nothing" }
  | { readonly kind: "delete"; readonly pods: readonly Pod[] }
  /** One pod for each entry: its completion index, if the Job has such. */
  | { readonly kind: "create"; readonly indexes: readonly (number | undefined)[] }
  /** Failures are still too fresh. */
  | { readonly kind: "wait"; readonly wait_ms: number };

const nothing: PodPlan = { kind: "nothing" };

/** The pods that a Job that goes on should get or lose (pure). */
export function planPods(facts: JobFacts, record: BackOffRecord, now_ms: number): PodPlan {
  const { job, active } = facts;
  const wanted = isSuspended(job) ? 0 : wantedActive(facts);
  const doomed = surplus(facts, Math.max(0, active.length - wanted), now_ms).slice(0, burst);
  if (doomed.length > 0) return { kind: "delete", pods: doomed };
  if (isSuspended(job)) return nothing;
  const onTheirWay = replacesOnlyFailed(job) ? facts.terminating : 0;
  const missing = wanted - onTheirWay - active.length;
  if (missing <= 0) return nothing;
  const perIndex = hasBackOffPerIndex(job);
  const wait_ms = perIndex ? 0 : remaining_ms(record, now_ms);
  if (wait_ms > 0) return { kind: "wait", wait_ms };
  const count = Math.min(missing, burst);
  if (!facts.indexes) return { kind: "create", indexes: Array.from({ length: count }, () => undefined) };
  const pending = pendingIndexes(facts, facts.indexes, count);
  return perIndex ? planIndexes(facts.indexes, pending, now_ms) : { kind: "create", indexes: pending };
}

function wantedActive({ job, active, succeeded }: JobFacts): number {
  const { completions } = job.spec;
  // A work queue: the first success says that there is no more work to begin.
  if (completions === undefined) return succeeded > 0 ? active.length : parallelismOf(job);
  return Math.max(0, Math.min(completions - succeeded, parallelismOf(job)));
}

/** At least so many pods to lose: those of no or a doubled index always, then those that are least of a loss. */
function surplus({ job, active, indexes }: JobFacts, atLeast: number, now_ms: number): Pod[] {
  const doomed: Pod[] = [];
  let staying = [...active];
  if (indexes) {
    const groups = Map.groupBy(active, (pod) => indexOf(pod));
    staying = [];
    for (const [index, pods] of groups) {
      if (index === undefined || index >= (job.spec.completions ?? 0)) {
        doomed.push(...pods);
        continue;
      }
      const extra = podsToDelete(pods, [], pods.length - 1, now_ms);
      doomed.push(...extra);
      staying.push(...pods.filter((pod) => !extra.includes(pod)));
    }
  }
  return [...doomed, ...podsToDelete(staying, [], Math.max(0, atLeast - doomed.length), now_ms)];
}

function pendingIndexes({ job, active, pods }: JobFacts, indexes: IndexFacts, count: number): number[] {
  const busy = replacesOnlyFailed(job) ? [...active, ...pods.filter(isPodTerminating)] : active;
  const taken = Indexes.of(busy.map(indexOf).filter((index) => index !== undefined))
    .union(indexes.succeeded)
    .union(indexes.failed ?? Indexes.none);
  return taken.firstAbsent(count, job.spec.completions ?? 0);
}

/** With a back-off for each index, only those whose time has come. */
function planIndexes({ toReplace }: IndexFacts, pending: readonly number[], now_ms: number): PodPlan {
  const waits = pending.map((index) => ({ index, wait_ms: remainingOfIndex_ms(toReplace.get(index), now_ms) }));
  const due = waits.filter(({ wait_ms }) => wait_ms === 0).map(({ index }) => index);
  if (due.length > 0) return { kind: "create", indexes: due };
  return waits.length > 0 ? { kind: "wait", wait_ms: Math.min(...waits.map(({ wait_ms }) => wait_ms)) } : nothing;
}

/** A pod of the Job; for an index it bears it as label, annotation, host name and environment variable. */
export function podOf({ job, indexes }: JobFacts, index: number | undefined): Pod {
  const { template } = job.spec;
  const metadata = { ...template.metadata };
  metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), trackingFinalizer])];
  if (index === undefined) return podFromTemplate({ ...template, metadata }, jobs, job);
  const number = { [indexAnnotation]: String(index) };
  metadata.labels = { ...metadata.labels, ...number };
  metadata.annotations = { ...metadata.annotations, ...number, ...failureCounts(job, indexes?.toReplace.get(index)) };
  const pod = podFromTemplate({ metadata, spec: specOfIndex(template, `${job.metadata.name}-${index}`) }, jobs, job);
  const suffix = `-${index}-`;
  // Generated names have five more characters.
  pod.metadata.generateName = (job.metadata.name ?? "").slice(0, 58 - suffix.length) + suffix;
  return pod;
}

function specOfIndex({ spec = { containers: [] } }: PodTemplateSpec, hostname: string): PodTemplateSpec["spec"] {
  const fieldPath = `metadata.labels['${indexAnnotation}']`;
  const variable = { name: "JOB_COMPLETION_INDEX", valueFrom: { fieldRef: { fieldPath } } };
  const withIndex = (container: Container): Container =>
    container.env?.some(({ name }) => name === variable.name)
      ? container
      : { ...container, env: [...(container.env ?? []), variable] };
  return {
    ...spec,
    hostname,
    containers: spec.containers.map(withIndex),
    ...(spec.initContainers ? { initContainers: spec.initContainers.map(withIndex) } : {}),
  };
}

/** How often the index has failed, for a Job that limits that. */
function failureCounts(job: Job, replaced: Pod | undefined): Record<string, string> {
  if (!hasBackOffPerIndex(job)) return {};
  if (!replaced) return { [failureCountAnnotation]: "0" };
  const { counted, ignored } = indexFailures(replaced);
  const { counts } = judgeFailure(job.spec.podFailurePolicy, replaced);
  const ignoredNow = ignored + (counts ? 0 : 1);
  return {
    [failureCountAnnotation]: String(counted + (counts ? 1 : 0)),
    ...(ignoredNow > 0 ? { [ignoredFailureCountAnnotation]: String(ignoredNow) } : {}),
  };
}
