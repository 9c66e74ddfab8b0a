import { jobs } from "#shared/api/resources.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import {
  ageColumn,
  column,
  containerColumns,
  formatLabelSelector,
  humanDuration,
  nameColumn,
  since,
  wideColumn,
} from "../columns.ts";
import { labelLikeTemplate, withPodTemplate } from "../core/pod/defaults.ts";
import { workloadWarnings } from "../core/pod/warnings.ts";
import { status } from "../subresources.ts";
import { defaultJob, generateSelector, validateJob, validateJobUpdate } from "./job-rules.ts";
import { validateJobStatus } from "./job-status.ts";

const hasCondition = (job: Job, type: string): boolean =>
  job.status?.conditions?.find((condition) => condition.type === type)?.status === "True";

function state(job: Job): string {
  if (hasCondition(job, "Complete")) return "Complete";
  if (hasCondition(job, "Failed")) return "Failed";
  if (job.metadata.deletionTimestamp !== undefined) return "Terminating";
  const ongoing = ["Suspended", "FailureTarget", "SuccessCriteriaMet"];
  return ongoing.find((type) => hasCondition(job, type)) ?? "Running";
}

function completions({ spec, status: seen }: Job): string {
  const succeeded = seen?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function duration({ status: seen }: Job): string {
  if (!seen?.startTime) return "";
  if (!seen.completionTime) return since(seen.startTime);
  return humanDuration(Date.parse(seen.completionTime) - Date.parse(seen.startTime));
}

/** Which indexes are done is told in a text of bounded length. */
function indexWarnings({ spec }: Job): string[] {
  if (spec.completionMode !== "Indexed" || (spec.completions ?? 0) <= 100_000 || (spec.parallelism ?? 0) <= 10_000)
    return [];
  return [
    "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
  ];
}

export const job: ResourceDeclaration<Job> = {
  ref: jobs,
  categories: ["all"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Status", state),
    column("Completions", completions),
    column("Duration", duration),
    ageColumn,
    ...containerColumns<Job>(({ spec }) => spec.template.spec?.containers),
    wideColumn("Selector", ({ spec }) => formatLabelSelector(spec.selector)),
  ],
  unknownField: (field) => `field label ${goQuote(field)} not supported for Job`,
  selectableFields: { "status.successful": (object) => String(object.status?.succeeded ?? 0) },
  strategy: withPodTemplate<Job>(({ spec }) => spec.template, {
    judgesNameOnUpdate: true,
    hasStatus: true,
    hasGeneration: true,
    defaultPropagation: "Orphan",
    propagationWarning:
      "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
    warnings: (job, old) => [...workloadWarnings(job, old), ...indexWarnings(job)],
    applyDefaults: defaultJob,
    prepareForStatusUpdate: labelLikeTemplate,
    prepareForCreate(draft) {
      if (!draft.spec.manualSelector) generateSelector(draft);
      draft.status = {};
    },
    completeCreated: labelLikeTemplate,
    validate: validateJob,
    validateUpdate: validateJobUpdate,
    validateStatusUpdate: validateJobStatus,
  }),
};
