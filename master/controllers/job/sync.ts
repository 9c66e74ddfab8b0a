import { jobs, pods as podResource } from "#shared/api/resources.ts";
import type { Job, JobCondition, JobStatus } from "#shared/api/types/batch-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { timestamp } from "#shared/client/clock.ts";
import type { ControllerContext, ReconcileResult } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { jobPodsFinished, jobsFinished } from "../controller-counts.ts";
import { equalStatus } from "../equal-status.ts";
import { isPodReady } from "../pod-condition.ts";
import { createPods, deletePod } from "../pod-control/pod-control.ts";
import { forAll } from "../pod-control/slow-start.ts";
import { recordAfter } from "./back-off.ts";
import { deadline_ms, type Ending, earlyEnding, factsOf, type JobFacts } from "./facts.ts";
import type { JobMemory } from "./memory.ts";
import { planPods, podOf } from "./plan-pods.ts";
import { isSuspended, isTracked } from "./pod-facts.ts";
import { planTracking, releasePod, settled } from "./tracking.ts";

const completed: Ending = {
  type: "SuccessCriteriaMet",
  reason: "CompletionsReached",
  message: "Reached expected number of succeeded pods",
};

/** Pods after what this reconcile did to them, before the cache shows it. */
interface Tally {
  active: number;
  ready: number;
  terminating: number;
}

/** One reconcile of one Job that has not finished. */
export class JobSync {
  readonly #facts: JobFacts;
  readonly #tally: Tally;
  #job: Job;
  #status: JobStatus;
  #wait_ms: number | undefined;
  /** What came of the look, in the words of upstream's metrics. */
  action: "reconciling" | "tracking" | "pods_created" | "pods_deleted" = "reconciling";

  constructor(
    readonly key: string,
    job: Job,
    pods: readonly Pod[],
    readonly context: ControllerContext,
    readonly memory: JobMemory,
  ) {
    this.#job = job;
    this.#facts = factsOf(job, pods, memory.notSeenReleased(key, context.lister(podResource)));
    this.#status = { ...job.status };
    const { active, ready, terminating } = this.#facts;
    this.#tally = { active: active.length, ready, terminating };
  }

  /** `count only`: the cache does not show yet what was done before. */
  async run(mode: "manage pods" | "count only"): Promise<ReconcileResult> {
    if (!this.#status.startTime && !isSuspended(this.#job)) this.#status.startTime = this.#now;
    const record = recordAfter(this.memory.backOffOf(this.key), this.#facts.newSucceeded, this.#facts.newFailed);
    const begun = { ...this.#facts, job: { ...this.#job, status: this.#status } };
    let ending = earlyEnding(begun, this.#now_ms);
    let failure: unknown;
    if (ending) {
      failure = await this.#deleteAll();
      // Only when every pod was asked to go is it known what there is to count.
      if (failure !== undefined || mode === "count only") ending = undefined;
    } else {
      this.#waitFor(deadline_ms(begun.job, this.#now_ms));
      const manages = mode === "manage pods" && !this.#job.metadata.deletionTimestamp;
      if (manages) failure = await this.#manage(record);
      if (this.#isComplete()) ending = completed;
      else if (manages) this.#noteSuspension();
    }
    const { active, ready, terminating } = this.#tally;
    this.#status = { ...this.#status, active, ready, terminating };
    await this.#track(ending, () => this.memory.keepBackOff(this.key, record));
    if (failure !== undefined) throw failure;
    return this.#wait_ms === undefined ? undefined : { requeueAfter_ms: this.#wait_ms };
  }

  get #mode(): string {
    return this.#job.spec.completionMode ?? "NonIndexed";
  }

  get #now_ms(): number {
    return this.context.clock.wall_ms();
  }

  get #now(): string {
    return timestamp(this.context.clock);
  }

  #waitFor(wait_ms: number | undefined): void {
    if (wait_ms !== undefined) this.#wait_ms = Math.min(this.#wait_ms ?? wait_ms, Math.max(wait_ms, 0));
  }

  #event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.context.events.record(this.#job, { type, reason, message });
  }

  #isComplete(): boolean {
    const { completions } = this.#job.spec;
    const { succeeded } = this.#facts;
    return this.#tally.active === 0 && (completions === undefined ? succeeded > 0 : succeeded >= completions);
  }

  async #manage(record: Parameters<typeof planPods>[1]): Promise<unknown> {
    const plan = planPods(this.#facts, record, this.#now_ms);
    this.action = plan.kind === "create" ? "pods_created" : plan.kind === "delete" ? "pods_deleted" : "tracking";
    switch (plan.kind) {
      case "nothing":
        return undefined;
      case "wait":
        this.#waitFor(plan.wait_ms);
        return undefined;
      case "delete":
        return this.#deleteSurplus(plan.pods);
      case "create": {
        let created = 0;
        const failure = await createPods(this.context, this.key, this.#job, plan.indexes.length, (position) => {
          created++;
          return podOf(this.#facts, plan.indexes[position]);
        });
        if (failure === undefined) this.#tally.active += created;
        return failure;
      }
    }
  }

  /** Pods of an ending Job: deleted first and counted as failed then. */
  async #deleteAll(): Promise<unknown> {
    return this.#delete(this.#facts.active, async (pod) => deletePod(this.context, this.#job, pod));
  }

  /** Pods that are too many: let go uncounted, then deleted. */
  async #deleteSurplus(pods: readonly Pod[]): Promise<unknown> {
    const { expectations, client } = this.context;
    const uidOf = ({ metadata }: Pod): string => metadata.uid ?? "";
    expectations.expectDeletions(this.key, pods.map(uidOf));
    return this.#delete(pods, async (pod) => {
      try {
        if (isTracked(pod)) await releasePod(client, pod);
        await deletePod(this.context, this.#job, pod);
      } catch (error) {
        expectations.deletionObserved(this.key, uidOf(pod));
        throw error;
      }
    });
  }

  async #delete(pods: readonly Pod[], run: (pod: Pod) => Promise<void>): Promise<unknown> {
    try {
      await forAll(pods, async (pod) => {
        await unlessGone(run(pod));
        this.#tally.active--;
        this.#tally.terminating++;
        if (isPodReady(pod)) this.#tally.ready--;
      });
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #noteSuspension(): void {
    const suspended = isSuspended(this.#job);
    const present = this.#status.conditions?.find(({ type }) => type === "Suspended");
    if ((present?.status === "True") === suspended) return;
    this.#setCondition(
      suspended
        ? { type: "Suspended", status: "True", reason: "JobSuspended", message: "Job suspended" }
        : { type: "Suspended", status: "False", reason: "JobResumed", message: "Job resumed" },
    );
    if (!suspended) this.#status.startTime = this.#now;
    this.#event("Normal", suspended ? "Suspended" : "Resumed", suspended ? "Job suspended" : "Job resumed");
  }

  #setCondition(wanted: Omit<JobCondition, "lastProbeTime" | "lastTransitionTime">): void {
    const now = this.#now;
    const others = (this.#status.conditions ?? []).filter(({ type }) => type !== wanted.type);
    const condition = { ...wanted, lastProbeTime: now, lastTransitionTime: now };
    this.#status = { ...this.#status, conditions: [...others, condition] };
  }

  /** Counts what has ended, lets those pods go, and finishes the Job when there is nothing left to count. */
  async #track(ending: Ending | undefined, written: () => void): Promise<void> {
    const held = new Set(this.#facts.tracked.map(({ metadata }) => metadata.uid ?? ""));
    const plan = planTracking(this.#facts, settled(this.#status, held), ending);
    this.#status = plan.status;
    const isNoted = this.#status.conditions?.some(({ type, status }) => type === ending?.type && status === "True");
    if (ending && !isNoted) this.#setCondition({ ...ending, status: "True" });
    await this.#write();
    written();
    let failure: unknown;
    try {
      await forAll(plan.release, async (pod) => {
        await releasePod(this.context.client, pod);
        this.memory.released(this.key, pod);
        held.delete(pod.metadata.uid ?? "");
      });
    } catch (error) {
      failure = error;
    }
    this.#status = settled(this.#status, held);
    const finishes = ending && failure === undefined && !plan.isPartial && this.#mayFinish();
    if (finishes) this.#finish(ending);
    await this.#write();
    if (finishes) this.#tellFinish(ending);
    if (failure !== undefined) throw failure;
  }

  #mayFinish(): boolean {
    const { succeeded = [], failed = [] } = this.#status.uncountedTerminatedPods ?? {};
    return succeeded.length + failed.length === 0 && this.#tally.terminating === 0;
  }

  #finish({ type, reason, message }: Ending): void {
    const isSuccess = type === "SuccessCriteriaMet";
    this.#setCondition({ type: isSuccess ? "Complete" : "Failed", status: "True", reason, message });
    if (isSuccess) this.#status.completionTime = this.#now;
  }

  #tellFinish({ type, reason, message }: Ending): void {
    jobsFinished.add([this.#mode, type === "FailureTarget" ? "failed" : "succeeded", reason]);
    if (type === "FailureTarget") {
      this.#event("Warning", reason, message);
      return;
    }
    const { completions } = this.#job.spec;
    if (completions !== undefined && (this.#status.succeeded ?? 0) > completions) {
      const surplus = "Too many succeeded pods running after completion count reached";
      this.#event("Warning", "TooManySucceededPods", surplus);
    }
    this.#event("Normal", "Completed", "Job completed");
  }

  async #write(): Promise<void> {
    const isNew = this.#job.status?.ready === undefined || this.#job.status.terminating === undefined;
    if (!isNew && equalStatus(this.#job.status, this.#status)) return;
    const next = { ...this.#job, status: this.#status };
    const before = this.#job.status;
    this.#job = await this.context.client.update(jobs, next, { subresource: "status" });
    this.context.written.wrote(this.key, jobs, this.#job);
    for (const result of ["succeeded", "failed"] as const) {
      const more = (this.#status[result] ?? 0) - (before?.[result] ?? 0);
      if (more > 0) jobPodsFinished.add([this.#mode, result], more);
    }
  }
}
