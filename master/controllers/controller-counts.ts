/** What controllers tell of their work beside that of their queues, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, exponential, HistogramTable } from "#shared/metrics/tables.ts";

/** `action`: `pods_created`, `pods_deleted`, `tracking` where there was nothing to do for pods, `reconciling` where they were
 *  left alone. */
const syncLabels = ["completion_mode", "result", "action"] as const;

export const jobSyncs = new CounterTable({
  name: "job_controller_job_syncs_total",
  help: "Looks at Jobs.",
  labels: syncLabels,
});

export const jobSyncTimes = new HistogramTable(
  { name: "job_controller_job_sync_duration_seconds", help: "How long a look at a Job took.", labels: syncLabels },
  exponential(0.004, 2, 15),
);

/** `result`: `succeeded` or `failed`; `reason` as the Job's condition has it. */
export const jobsFinished = new CounterTable({
  name: "job_controller_jobs_finished_total",
  help: "Jobs that have finished.",
  labels: ["completion_mode", "result", "reason"],
});

export const jobPodsFinished = new CounterTable({
  name: "job_controller_job_pods_finished_total",
  help: "Pods of Jobs that have ended and were counted.",
  labels: ["completion_mode", "result"],
});

export const cronJobSkews = new HistogramTable(
  {
    name: "cronjob_controller_job_creation_skew_duration_seconds",
    help: "From when a CronJob was due until its Job was there.",
    labels: [],
  },
  exponential(1, 2, 10),
);

export const taintDeletions = new CounterTable({
  name: "taint_eviction_controller_pod_deletions_total",
  help: "Pods deleted for the sake of taints.",
  labels: [],
});

export const taintDeletionTimes = new HistogramTable(
  {
    name: "taint_eviction_controller_pod_deletion_duration_seconds",
    help: "From when a pod was to go for the sake of a taint until it was deleted.",
    labels: [],
  },
  [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 60, 120, 180, 240],
);

/** `reason`: `orphaned`, `unscheduled`, `out-of-service` or `terminated`. */
const collectionLabels = ["namespace", "reason"] as const;

export const podCollections = new CounterTable({
  name: "pod_gc_collector_force_delete_pods_total",
  help: "Pods deleted that no kubelet would have.",
  labels: collectionLabels,
});

export const podCollectionErrors = new CounterTable({
  name: "pod_gc_collector_force_delete_pod_errors_total",
  help: "Those that could not be.",
  labels: collectionLabels,
});

/** `reason`: `timeout` or `out-of-service`. */
export const forcedDetaches = new CounterTable({
  name: "attach_detach_controller_attachdetach_controller_forced_detaches",
  help: "Volumes taken from nodes that had them mounted still.",
  labels: ["reason"],
});

export const controllerFamilies = (): Family[] =>
  [
    jobSyncs,
    jobSyncTimes,
    jobsFinished,
    jobPodsFinished,
    cronJobSkews,
    taintDeletions,
    taintDeletionTimes,
    podCollections,
    podCollectionErrors,
    forcedDetaches,
  ].map((each) => each.family());
