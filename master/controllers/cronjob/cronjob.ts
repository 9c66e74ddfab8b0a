import { isAlreadyExists, isNotFound } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { keyOf } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { cronJobs, jobs } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { CronJob, CronJobStatus, Job } from "#shared/api/types/batch-v1.generated.ts";
import {
  byControllerUid,
  type ControllerContext,
  type ControllerDefinition,
  controllerOf,
  defineController,
  isNamespaceTerminating,
  type ReconcileResult,
  watching,
} from "#shared/client/controller.ts";
import { controllerReference, controllerReferenceOf } from "#shared/client/controller-ref.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { cronJobSkews } from "../controller-counts.ts";
import { equalStatus } from "../equal-status.ts";
import { conditionOf } from "../job/facts.ts";
import { dueStart, inZone, isKnownZone, parseSchedule, type Schedule, ScheduleError, type Starts } from "./schedule.ts";

const scheduledAnnotation = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/** The timer is set a little late, so that the time has surely come. */
const late_ms = 100;

/** Boards get their time late and by leaps: no timer is trusted for longer than this. */
const longestSleep_ms = 5 * 60_000;

/** Makes Jobs at the times of their schedules. */
export function cronJobController(): ControllerDefinition {
  /** By key, of CronJobs whose schedule was changed: the first time of the new one. Before it nothing is made up for that
   *  the new schedule would have started earlier, unless something else brings the CronJob to attention. */
  const rescheduled = new Map<string, number>();
  return defineController({
    name: "cronjob-controller",
    watches: [
      watching(cronJobs, {
        // On an older status a Job that it tells of would be one that nobody made, or be missed.
        writes: true,
        observe(event, { clock }) {
          const key = keyOf(event.object);
          const next_ms = event.type === "update" ? timeAfterChange(event, clock.wall_ms()) : undefined;
          if (next_ms === undefined) rescheduled.delete(key);
          else rescheduled.set(key, next_ms);
        },
      }),
      watching(jobs, {
        enqueue: controllerOf("CronJob"),
        observe(event, context) {
          for (const key of controllerOf("CronJob")(event.object, context)) rescheduled.delete(key);
        },
        indexes: { controllerUid: byControllerUid },
      }),
    ],
    concurrency: 5,
    async reconcile(key, context) {
      const cronJob = context.lister(cronJobs).get(key);
      if (!cronJob) return context.written.forget(key);
      const behind_ms = context.written.wait_ms(key);
      if (behind_ms !== undefined) return { behind_ms };
      const wait_ms = (rescheduled.get(key) ?? 0) - context.clock.wall_ms();
      if (wait_ms > 0) return { requeueAfter_ms: Math.min(wait_ms, longestSleep_ms) };
      rescheduled.delete(key);
      return new CronJobSync(cronJob, context).run();
    },
  });
}

/** When a schedule that has just been changed comes next; undefined when the change was another one. */
function timeAfterChange(
  { old, object }: { readonly old: CronJob; readonly object: CronJob },
  now_ms: number,
): number | undefined {
  if (old.spec.schedule === object.spec.schedule && old.spec.timeZone === object.spec.timeZone) return undefined;
  try {
    const schedule = parseSchedule(object.spec.schedule, object.spec.timeZone);
    const next_ms = schedule.next(now_ms);
    return next_ms === undefined ? undefined : next_ms + late_ms;
  } catch (error) {
    // The reconcile tells what is wrong with it.
    if (!(error instanceof ScheduleError)) throw error;
    return undefined;
  }
}

/** `Complete` or `Failed`; undefined while the Job is at work. */
const endOf = ({ status }: Job): "Complete" | "Failed" | undefined =>
  conditionOf(status, "Complete") ? "Complete" : conditionOf(status, "Failed") ? "Failed" : undefined;

class CronJobSync {
  readonly #cronJob: CronJob;
  readonly #context: ControllerContext;
  #status: CronJobStatus;

  constructor(cronJob: CronJob, context: ControllerContext) {
    this.#cronJob = cronJob;
    this.#context = context;
    this.#status = { ...cronJob.status };
  }

  async run(): Promise<ReconcileResult> {
    const { uid = "" } = this.#cronJob.metadata;
    const children = this.#context.lister(jobs).byIndex("controllerUid", uid);
    await this.#trimHistory(children);
    let result: ReconcileResult;
    let failure: unknown;
    try {
      await this.#followChildren(children);
      result = await this.#startDue();
    } catch (error) {
      failure = error;
    }
    if (!equalStatus(this.#cronJob.status, this.#status)) {
      const { client, written } = this.#context;
      const next = { ...this.#cronJob, status: this.#status };
      const updated = await client.update(cronJobs, next, { subresource: "status" });
      written.wrote(keyOf(updated), cronJobs, updated);
    }
    if (failure !== undefined) throw failure;
    return result;
  }

  #event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#context.events.record(this.#cronJob, { type, reason, message });
  }

  #isActive(uid: string | undefined): boolean {
    return this.#status.active?.some((reference) => reference.uid === uid) ?? false;
  }

  #forget(uid: string | undefined): void {
    this.#status = { ...this.#status, active: (this.#status.active ?? []).filter((one) => one.uid !== uid) };
  }

  /** Takes ended Jobs off the list of active ones. */
  async #followChildren(children: readonly Job[]): Promise<void> {
    for (const job of children) {
      const { uid, name } = job.metadata;
      const end = endOf(job);
      if (end && this.#isActive(uid)) {
        this.#forget(uid);
        this.#event("Normal", "SawCompletedJob", `Saw completed job: ${name}, condition: ${end}`);
      }
      if (end === "Complete") this.#noteSuccess(job.status?.completionTime);
      if (!end && !this.#isActive(uid)) await this.#noteUnexpected(job);
    }
    const known = new Set(children.map(({ metadata }) => metadata.uid));
    for (const { uid, namespace, name = "" } of this.#status.active ?? []) {
      if (known.has(uid) || (await unlessGone(this.#context.client.get(jobs, { namespace, name })))) continue;
      this.#event("Normal", "MissingJob", `Active job went missing: ${name}`);
      this.#forget(uid);
    }
  }

  #noteSuccess(at: string | undefined): void {
    const { lastSuccessfulTime } = this.#status;
    if (at && (!lastSuccessfulTime || Date.parse(at) > Date.parse(lastSuccessfulTime)))
      this.#status = { ...this.#status, lastSuccessfulTime: at };
  }

  /** The cache of CronJobs may only be behind: the API says what is so. */
  async #noteUnexpected({ metadata }: Job): Promise<void> {
    const { namespace, name = "" } = this.#cronJob.metadata;
    const fresh = await this.#context.client.get(cronJobs, { namespace, name });
    const known = fresh.status?.active?.find(({ uid }) => uid === metadata.uid);
    if (known) this.#status = { ...this.#status, active: [...(this.#status.active ?? []), known] };
    else {
      const message = `Saw a job that the controller did not create or forgot: ${metadata.name}`;
      this.#event("Warning", "UnexpectedJob", message);
    }
  }

  /** Deletes the oldest of those that ended well, and of those that did not, beyond their limits. */
  async #trimHistory(children: readonly Job[]): Promise<void> {
    const { successfulJobsHistoryLimit, failedJobsHistoryLimit } = this.#cronJob.spec;
    for (const [end, limit] of [
      ["Complete", successfulJobsHistoryLimit],
      ["Failed", failedJobsHistoryLimit],
    ] as const) {
      if (limit === undefined) continue;
      const ended = children.filter((job) => endOf(job) === end && !job.metadata.deletionTimestamp).sort(byStart);
      for (const job of ended.slice(0, Math.max(0, ended.length - limit))) await this.#delete(job);
    }
  }

  /** False when it could not be deleted, which an event tells. One that is gone already may only be still in the cache. */
  async #delete({ metadata }: Job): Promise<boolean> {
    const key = { namespace: metadata.namespace, name: metadata.name ?? "" };
    try {
      await this.#context.client.delete(jobs, key, { propagationPolicy: "Background" });
      this.#event("Normal", "SuccessfulDelete", `Deleted job ${metadata.name}`);
    } catch (error) {
      if (!isNotFound(error)) {
        this.#event("Warning", "FailedDelete", `Deleted job: ${messageOf(error)}`);
        return false;
      }
    }
    this.#forget(metadata.uid);
    return true;
  }

  async #startDue(): Promise<ReconcileResult> {
    const { metadata, spec } = this.#cronJob;
    if (metadata.deletionTimestamp) return undefined;
    const { timeZone } = spec;
    if (timeZone !== undefined && !isKnownZone(timeZone)) {
      this.#event("Warning", "UnknownTimeZone", `invalid timeZone: "${timeZone}": unknown time zone ${timeZone}`);
      return undefined;
    }
    if (spec.suspend) return undefined;
    const schedule = this.#schedule();
    if (!schedule) return undefined;
    const now_ms = this.#context.clock.wall_ms();
    const due = this.#dueStart(schedule, now_ms);
    if (!due) return undefined;
    const { latest_ms, tooMany } = due;
    if (tooMany) {
      const advice = "Set or decrease .spec.startingDeadlineSeconds or check clock skew";
      this.#event("Warning", "TooManyMissedTimes", `too many missed start times. ${advice}`);
    }
    if (latest_ms !== undefined && this.#mayStart(latest_ms, now_ms)) await this.#start(latest_ms);
    const next_ms = schedule.next(Math.max(now_ms, latest_ms ?? 0));
    if (next_ms === undefined) return undefined;
    return { requeueAfter_ms: Math.min(next_ms + late_ms - now_ms, longestSleep_ms) };
  }

  #schedule(): Schedule | undefined {
    const { schedule, timeZone } = this.#cronJob.spec;
    if (schedule.includes("TZ")) {
      const advice = "see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
      const message = `CRON_TZ or TZ used in schedule "${schedule}" is not officially supported, ${advice}`;
      this.#event("Warning", "UnsupportedSchedule", message);
    }
    try {
      return parseSchedule(schedule, timeZone);
    } catch (error) {
      if (!(error instanceof ScheduleError)) throw error;
      this.#event("Warning", "UnparseableSchedule", `unparseable schedule: "${schedule}" : ${error.message}`);
      return undefined;
    }
  }

  /** undefined for a schedule that can only wait for another one. */
  #dueStart(schedule: Schedule, now_ms: number): Starts | undefined {
    try {
      return dueStart(this.#cronJob, schedule, now_ms);
    } catch (error) {
      if (!(error instanceof ScheduleError)) throw error;
      const message = `invalid schedule: ${this.#cronJob.spec.schedule} : ${error.message}`;
      this.#event("Warning", "InvalidSchedule", message);
      return undefined;
    }
  }

  #mayStart(due_ms: number, now_ms: number): boolean {
    const { startingDeadlineSeconds, concurrencyPolicy } = this.#cronJob.spec;
    if (startingDeadlineSeconds !== undefined && due_ms + startingDeadlineSeconds * 1000 < now_ms) {
      const time = new Date(due_ms).toUTCString().replace("GMT", "+0000");
      this.#event("Warning", "MissSchedule", `Missed scheduled time to start a job: ${time}`);
      return false;
    }
    const { active = [], lastScheduleTime } = this.#status;
    const isDone =
      active.some(({ name }) => name === this.#jobName(due_ms)) ||
      (lastScheduleTime !== undefined && Date.parse(lastScheduleTime) === due_ms);
    if (isDone) return false;
    if (concurrencyPolicy !== "Forbid" || active.length === 0) return true;
    const message = "Not starting job because prior execution is running and concurrency policy is Forbid";
    this.#event("Normal", "JobAlreadyActive", message);
    return false;
  }

  /** One name for each minute: a start is never made twice. */
  #jobName(due_ms: number): string {
    return `${this.#cronJob.metadata.name}-${Math.floor(due_ms / 60_000)}`;
  }

  async #start(due_ms: number): Promise<void> {
    if (this.#cronJob.spec.concurrencyPolicy === "Replace") await this.#stopActive();
    const job = await this.#create(due_ms);
    if (!job) return;
    const { namespace, name, uid, resourceVersion } = job.metadata;
    const reference = { apiVersion: "batch/v1", kind: "Job", namespace, name, uid, resourceVersion };
    const lastScheduleTime = rfc3339(due_ms);
    const others = (this.#status.active ?? []).filter((one) => one.uid !== uid);
    this.#status = { ...this.#status, active: [...others, reference], lastScheduleTime };
  }

  async #stopActive(): Promise<void> {
    for (const { namespace, name = "" } of this.#status.active ?? []) {
      let job: Job;
      try {
        job = await this.#context.client.get(jobs, { namespace, name });
      } catch (error) {
        this.#event("Warning", "FailedGet", `Get job: ${messageOf(error)}`);
        throw error;
      }
      if (!(await this.#delete(job))) throw new Error(`could not replace job ${namespace}/${name}`);
    }
  }

  /** The Job of that time; undefined when another's has the name. */
  async #create(due_ms: number): Promise<Job | undefined> {
    const { metadata, spec } = this.#cronJob;
    const { namespace } = metadata;
    const name = this.#jobName(due_ms);
    const template = spec.jobTemplate;
    try {
      const created = await this.#context.client.create(
        jobs,
        {
          apiVersion: "batch/v1",
          kind: "Job",
          metadata: {
            name,
            namespace,
            labels: { ...template.metadata?.labels },
            annotations: { ...template.metadata?.annotations, [scheduledAnnotation]: inZone(due_ms, spec.timeZone) },
            ownerReferences: [controllerReference(cronJobs, this.#cronJob)],
          },
          spec: cloneJson(template.spec ?? { template: {} }),
        },
        { namespace },
      );
      cronJobSkews.observe((Date.parse(created.metadata.creationTimestamp ?? "") - due_ms) / 1000);
      this.#event("Normal", "SuccessfulCreate", `Created job ${name}`);
      return created;
    } catch (error) {
      if (isAlreadyExists(error)) {
        const existing = await this.#context.client.get(jobs, { namespace, name });
        return controllerReferenceOf(existing)?.uid === metadata.uid ? existing : undefined;
      }
      if (!isNamespaceTerminating(error))
        this.#event("Warning", "FailedCreate", `Error creating job: ${messageOf(error)}`);
      throw error;
    }
  }
}

/** Started first, then by name; those that never started last. */
function byStart(a: Job, b: Job): number {
  const [at, bt] = [a.status?.startTime, b.status?.startTime];
  if (!at !== !bt) return at ? -1 : 1;
  if (at && bt && at !== bt) return Date.parse(at) - Date.parse(bt);
  return (a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1;
}
