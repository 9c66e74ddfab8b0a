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
    warnings: workloadWarnings,
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
