/** Status updates of Jobs, which other controllers than ours may make (KEP-4368): each rule holds where what it judges
 *  changes (validateJobStatus and getStatusValidationOptions upstream). */
import type { FieldError } from "#shared/api/errors.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import { collect, type Field, nonNegative, semanticEqual } from "../validation/field.ts";
import { firstOverlap, parseIndexes } from "./indexes.ts";

const isTrue = (job: Readonly<Job>, type: string): boolean =>
  job.status?.conditions?.some((each) => each.type === type && each.status === "True") ?? false;
const isFinished = (job: Readonly<Job>): boolean => isTrue(job, "Complete") || isTrue(job, "Failed");

export function validateJobStatus(job: Job, old: Readonly<Job>): FieldError[] {
  return collect((root) => {
    const field = root.at("status");
    const { status = {} } = job;
    for (const key of ["active", "succeeded", "failed", "ready", "terminating"] as const) {
      nonNegative(status[key], field.at(key));
    }
    validateUncounted(job, field.at("uncountedTerminatedPods"));
    validateConditions(job, old, field.at("conditions"));
    validateTimes(job, old, field);
    validateCounts(job, old, field);
    validateIndexLists(job, old, field);
  });
}

function validateUncounted({ status }: Job, field: Field): void {
  const seen = new Set<string>();
  for (const key of ["succeeded", "failed"] as const) {
    for (const [index, uid] of (status?.uncountedTerminatedPods?.[key] ?? []).entries()) {
      const at = field.at(key).index(index);
      if (uid === "") at.invalid(uid, "must not be empty");
      else if (seen.has(uid)) at.duplicate(uid);
      seen.add(uid);
    }
  }
}

function validateConditions(job: Job, old: Readonly<Job>, field: Field): void {
  const [complete, failed, target, met] = ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"].map((type) => ({
    now: isTrue(job, type),
    changed: isTrue(job, type) !== isTrue(old, type),
    before: isTrue(old, type),
  }));
  if (!complete || !failed || !target || !met) return;
  const rules: readonly (readonly [boolean, string])[] = [
    [
      (complete.changed || failed.changed) && complete.now && failed.now,
      "cannot set Complete=True and Failed=true conditions",
    ],
    [
      (complete.changed || target.changed) && complete.now && target.now,
      "cannot set Complete=True and FailureTarget=true conditions",
    ],
    [
      (failed.changed || job.status?.failedIndexes !== old.status?.failedIndexes) && failed.now && !target.now,
      "cannot set Failed=True condition without the FailureTarget=true condition",
    ],
    [
      (complete.changed || met.changed) && complete.now && !met.now,
      "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    ],
    [met.now && failed.now, "cannot set SuccessCriteriaMet=True and Failed=true conditions"],
    [met.now && target.now, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"],
    [
      job.spec.successPolicy !== undefined && !met.now && complete.now,
      "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
    ],
    [failed.before && !failed.now, "cannot disable the terminal Failed=True condition"],
    [complete.before && !complete.now, "cannot disable the terminal Complete=True condition"],
    [target.before && !target.now, "cannot disable the terminal FailureTarget=True condition"],
    [met.before && !met.now, "cannot disable the SuccessCriteriaMet=True condition"],
    [
      complete.before && !met.before && met.now,
      "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
    ],
  ];
  for (const [isBroken, message] of rules) if (isBroken) field.invalidWithoutValue(message);
}

function validateTimes(job: Job, old: Readonly<Job>, field: Field): void {
  const { startTime, completionTime } = job.status ?? {};
  const before = old.status ?? {};
  const startChanged = startTime !== before.startTime;
  const endChanged = completionTime !== before.completionTime;
  const complete = isTrue(job, "Complete");
  const completeChanged = complete !== isTrue(old, "Complete");
  const end = field.at("completionTime");
  if (completeChanged || endChanged) {
    if (completionTime !== undefined && !complete) {
      end.invalid(completionTime, "cannot set completionTime when there is no Complete=True condition");
    }
    if (completionTime === undefined && complete) end.required("completionTime is required for Complete jobs");
  }
  if (
    (startChanged || endChanged) &&
    startTime &&
    completionTime &&
    Date.parse(completionTime) < Date.parse(startTime)
  ) {
    end.invalid(completionTime, "must be equal to or after `startTime`");
  }
  const neverRan = job.spec.suspend === true && job.spec.completions === 0;
  const finishedChanged = isFinished(job) !== isFinished(old);
  if ((finishedChanged || startChanged) && !neverRan && startTime === undefined && isFinished(job)) {
    field.at("startTime").required("startTime is required for finished job");
  }
  if (completionTime !== undefined && before.completionTime !== undefined && endChanged) {
    end.invalid(completionTime, "field is immutable");
  }
  const isResuming =
    isTrue(old, "Suspended") &&
    job.status?.conditions?.some(({ type, status }) => type === "Suspended" && status === "False");
  if (startChanged && !isResuming && before.startTime !== undefined && !job.spec.suspend) {
    field.at("startTime").required("startTime cannot be removed for unsuspended job");
  }
}

/** What a finished Job no longer has, and counters that only grow. */
function validateCounts(job: Job, old: Readonly<Job>, field: Field): void {
  const { active = 0, ready, succeeded = 0, failed = 0 } = job.status ?? {};
  const before = old.status ?? {};
  if (isFinished(job)) validateFinished(job, old, field);
  if ((active !== (before.active ?? 0) || ready !== before.ready) && ready !== undefined && ready > active) {
    field.at("ready").invalid(ready, "cannot set more ready pods than active");
  }
  if (failed < (before.failed ?? 0)) field.at("failed").invalid(failed, "cannot decrease the failed counter");
  const isElastic = job.spec.completionMode === "Indexed" && job.spec.completions === job.spec.parallelism;
  if (!isElastic && succeeded < (before.succeeded ?? 0)) {
    field.at("succeeded").invalid(succeeded, "cannot decrease the succeeded counter");
  }
}

function validateFinished(job: Job, old: Readonly<Job>, field: Field): void {
  const { active = 0, terminating, uncountedTerminatedPods: uncounted } = job.status ?? {};
  const before = old.status ?? {};
  const finishedNow = !isFinished(old);
  if ((finishedNow || active !== (before.active ?? 0)) && active > 0) {
    field.at("active").invalid(active, "active>0 is invalid for finished job");
  }
  const uncountedChanged = !semanticEqual(uncounted, before.uncountedTerminatedPods);
  const hasUncounted = (uncounted?.succeeded?.length ?? 0) + (uncounted?.failed?.length ?? 0) > 0;
  if ((finishedNow || uncountedChanged) && hasUncounted) {
    const shown = { Succeeded: uncounted?.succeeded ?? null, Failed: uncounted?.failed ?? null };
    field.at("uncountedTerminatedPods").invalid(shown, "must be empty for finished job");
  }
  if ((finishedNow || terminating !== before.terminating) && (terminating ?? 0) > 0) {
    field.at("terminating").invalid(terminating, "terminating>0 is invalid for finished job");
  }
}

function validateIndexLists(job: Job, old: Readonly<Job>, field: Field): void {
  const { completedIndexes: completed = "", failedIndexes: failed } = job.status ?? {};
  const { completions, completionMode, backoffLimitPerIndex } = job.spec;
  const completedChanged = completed !== (old.status?.completedIndexes ?? "");
  const failedChanged = failed !== old.status?.failedIndexes;
  const complain = (key: "completedIndexes" | "failedIndexes", text: string): void => {
    const parsed = parseIndexes(text, completions ?? 0);
    if (typeof parsed === "string") field.at(key).invalid(text, `error parsing ${key}: ${parsed}`);
  };
  if (completedChanged && completions !== undefined) complain("completedIndexes", completed);
  if (failedChanged && completions !== undefined && backoffLimitPerIndex !== undefined && failed !== undefined) {
    complain("failedIndexes", failed);
  }
  if (completedChanged && completed !== "" && completionMode !== "Indexed") {
    field
      .at("completedIndexes")
      .invalid(completed, "cannot set non-empty completedIndexes when non-indexed completion mode");
  }
  if (failedChanged && backoffLimitPerIndex === undefined && failed !== undefined) {
    field.at("failedIndexes").invalid(failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
  }
  if ((failedChanged || completedChanged) && completions !== undefined && completed !== "" && failed) {
    const overlap = firstOverlap(completed, failed, completions);
    if (overlap !== undefined) {
      field.at("failedIndexes").invalid(failed, `failedIndexes and completedIndexes overlap at index: ${overlap}`);
    }
  }
}
