import { cronJobs } from "#shared/api/resources.ts";
import type { CronJob, CronJobSpec } from "#shared/api/types/batch-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import {
  ageColumn,
  booleanColumn,
  column,
  containerColumns,
  formatLabelSelector,
  integerColumn,
  nameColumn,
  since,
  wideColumn,
} from "../columns.ts";
import { defaultPodTemplate, withPodTemplate } from "../core/pod/defaults.ts";
import { hostNameWarnings, podWarnings } from "../core/pod/warnings.ts";
import { status } from "../subresources.ts";
import { collect, type Field, nonNegative, requiredOneOf, semanticEqual } from "../validation/field.ts";
import { validateJobSpec } from "./job-rules.ts";
import { scheduleComplaint } from "./schedule.ts";

/** A Job's name gets a dash and ten digits, and is a label of its pods. */
const maxName = 52;

function applyDefaults(draft: CronJob): void {
  draft.spec ??= {} as CronJobSpec;
  const { spec } = draft;
  spec.concurrencyPolicy ||= "Allow";
  spec.suspend ??= false;
  spec.successfulJobsHistoryLimit ??= 3;
  spec.failedJobsHistoryLimit ??= 1;
  spec.jobTemplate ??= {};
  spec.jobTemplate.spec ??= { template: {} };
  spec.jobTemplate.spec.template ??= {};
  for (const { onPodConditions } of spec.jobTemplate.spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of onPodConditions ?? []) pattern.status ||= "True";
  }
  defaultPodTemplate(spec.jobTemplate.spec.template);
}

function validateTimeZone(zone: string | undefined, field: Field): void {
  if (zone === undefined) return;
  if (zone === "") {
    field.invalid("", "timeZone must be nil or non-empty string");
    return;
  }
  const isBroken = zone
    .split("/")
    .some((part) => /^(\.|\.\.|-.*)$/.test(part) || !/^[A-Za-z.\-_0-9+]{1,14}$/.test(part));
  if (isBroken) {
    field.invalid(zone, `unknown time zone ${zone}`);
    return;
  }
  if (zone.toLowerCase() === "local") {
    field.invalid(zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
  }
  if (zone !== "Local" && !isTimeZone(zone)) field.invalid(zone, `unknown time zone ${zone}`);
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

function validateSpec(spec: CronJobSpec, old: Readonly<CronJobSpec> | undefined, field: Field): void {
  validateSchedule(spec, old, field.at("schedule"));
  nonNegative(spec.startingDeadlineSeconds, field.at("startingDeadlineSeconds"));
  if (old === undefined || old.timeZone !== spec.timeZone) validateTimeZone(spec.timeZone, field.at("timeZone"));
  requiredOneOf(spec.concurrencyPolicy, ["Allow", "Forbid", "Replace"], field.at("concurrencyPolicy"));
  const template = spec.jobTemplate.spec ?? { template: {} };
  const at = field.at("jobTemplate", "spec");
  validateJobSpec(template, at);
  if (template.selector) at.at("selector").invalid(template.selector, "`selector` will be auto-generated");
  if (template.manualSelector) at.at("manualSelector").notSupported(true, ["nil", "false"]);
  nonNegative(spec.successfulJobsHistoryLimit, field.at("successfulJobsHistoryLimit"));
  nonNegative(spec.failedJobsHistoryLimit, field.at("failedJobsHistoryLimit"));
}

function validateSchedule(
  { schedule = "", timeZone }: CronJobSpec,
  old: Readonly<CronJobSpec> | undefined,
  field: Field,
): void {
  if (schedule === "") {
    field.required();
    return;
  }
  const complaint = scheduleComplaint(schedule);
  if (complaint !== undefined) field.invalid(schedule, complaint);
  if (!schedule.includes("TZ")) return;
  if (!old?.schedule.includes("TZ")) {
    field.invalid(schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
  } else if (timeZone !== undefined) {
    field.invalid(schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
  }
}

export const cronJob: ResourceDeclaration<CronJob> = {
  ref: cronJobs,
  shortNames: ["cj"],
  categories: ["all"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Schedule", ({ spec }) => spec.schedule),
    column("Timezone", ({ spec }) => spec.timeZone ?? "<none>"),
    booleanColumn("Suspend", ({ spec: { suspend } }) =>
      suspend === undefined ? "<unset>" : suspend ? "True" : "False",
    ),
    integerColumn("Active", (object) => object.status?.active?.length ?? 0),
    column("Last Schedule", ({ status: seen }) => (seen?.lastScheduleTime ? since(seen.lastScheduleTime) : "<none>")),
    ageColumn,
    ...containerColumns<CronJob>(({ spec }) => spec.jobTemplate.spec?.template.spec?.containers),
    wideColumn("Selector", ({ spec }) => formatLabelSelector(spec.jobTemplate.spec?.selector)),
  ],
  strategy: withPodTemplate<CronJob>(({ spec }) => spec.jobTemplate.spec?.template, {
    hasStatus: true,
    hasGeneration: true,
    warnings: ({ metadata, spec }, old) => [
      ...(old ? [] : hostNameWarnings(metadata)),
      ...(old && semanticEqual(spec, old.spec)
        ? []
        : podWarnings(spec.jobTemplate.spec?.template ?? {}, "spec.jobTemplate.spec.template")),
    ],
    applyDefaults,
    prepareForCreate(draft) {
      draft.status = {};
    },
    validate: (object) =>
      collect((root) => {
        validateSpec(object.spec, undefined, root.at("spec"));
        const { name = "" } = object.metadata;
        if (name.length > maxName)
          root.at("metadata", "name").invalid(name, `must be no more than ${maxName} characters`);
      }),
    validateUpdate: (object, old) => collect((root) => validateSpec(object.spec, old.spec, root.at("spec"))),
  }),
};
