/** Jobs and templates of Jobs: defaults, the generated selector, create and update (pkg/apis/batch/validation). */
import type { FieldError } from "#shared/api/errors.ts";
import type { Job, JobSpec, PodFailurePolicyRule, SuccessPolicyRule } from "#shared/api/types/batch-v1.generated.ts";
import type { PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import { isEvaluable } from "../apps/selector-rules.ts";
import { defaultPodTemplate } from "../core/pod/defaults.ts";
import { validatePodTemplate } from "../core/pod/validate.ts";
import { validateDomainPrefixedPath } from "../validation/domain-path.ts";
import { collect, type Field, immutable, nonNegative, oneOf, semanticEqual } from "../validation/field.ts";
import { isDns1123Label, isQualifiedName } from "../validation/names.ts";
import { selects, validateLabelSelector } from "../validation/selectors.ts";
import { parseIndexes } from "./indexes.ts";

const maxInt32 = 2 ** 31 - 1;
const limits = {
  parallelismOfIndexed: 100_000,
  failedIndexes: 100_000,
  /** Above this many completions a limit per index costs much, and others get tighter. */
  manyCompletions: 100_000,
  parallelismOfMany: 10_000,
  failedIndexesOfMany: 10_000,
  failureRules: 20,
  exitCodes: 255,
  conditionPatterns: 20,
  successRules: 20,
  succeededIndexes_bytes: 64 * 1024,
  managedBy: 63,
};
const nameLabels = ["job-name", "batch.kubernetes.io/job-name"];
const uidLabels = ["controller-uid", "batch.kubernetes.io/controller-uid"];
const uidLabel = "batch.kubernetes.io/controller-uid";

export function defaultJob(job: Job): void {
  job.spec ??= {} as JobSpec;
  const { spec, metadata } = job;
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : maxInt32;
  spec.completionMode ??= "NonIndexed";
  spec.suspend ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? "Failed" : "TerminatingOrFailed";
  spec.manualSelector ??= false;
  for (const { onPodConditions } of spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of onPodConditions ?? []) pattern.status ||= "True";
  }
  spec.template ??= {};
  defaultPodTemplate(spec.template);
  const labels = spec.template.metadata?.labels;
  if (labels && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = labels;
}

/**
 * Labels the pods with the Job's name and UID and selects them by the UID, so that no two Jobs share pods. A Job that has
 * its pods' labels by default (the very same object, as upstream's defaults share the map) gets these too.
 */
export function generateSelector(job: Job): void {
  const { name = "", uid = "" } = job.metadata;
  const { template } = job.spec;
  const generated = Object.fromEntries([
    ...nameLabels.map((key) => [key, name]),
    ...uidLabels.map((key) => [key, uid]),
  ]);
  const own = template.metadata?.labels;
  const labels = { ...generated, ...own };
  if (own && job.metadata.labels === own) job.metadata.labels = { ...labels };
  template.metadata = { ...template.metadata, labels };
  job.spec.selector = {
    ...job.spec.selector,
    matchLabels: { [uidLabel]: uid, ...job.spec.selector?.matchLabels },
  };
}

function validateGeneratedSelector(job: Job, field: Field): void {
  const { spec, metadata } = job;
  if (spec.manualSelector || spec.selector === undefined) return;
  const { uid = "", name = "" } = metadata;
  if (uid === "") field.at("metadata", "uid").required();
  const labels = spec.template.metadata?.labels ?? {};
  const expected: Record<string, string> = {
    "controller-uid": uid,
    "job-name": name,
    "batch.kubernetes.io/controller-uid": uid,
    "batch.kubernetes.io/job-name": name,
  };
  for (const [key, value] of Object.entries(expected)) {
    const at = field.at("spec", "template", "metadata", "labels").key(key);
    if (labels[key] === undefined) at.required(`must be '${value}'`);
    else if (labels[key] !== value) at.invalid(labels, `must be '${value}'`);
  }
  if (isEvaluable(spec.selector) && !selects(spec.selector, expected)) {
    field.at("spec", "selector").invalid(spec.selector, "`selector` not auto-generated");
  }
}

export function validateJob(job: Job): FieldError[] {
  return collect((root) => validateWhole(job, root));
}

function validateWhole(job: Job, root: Field): void {
  validateGeneratedSelector(job, root);
  validateSpecWithSelector(job.spec, root.at("spec"));
  const { completions = 0, completionMode } = job.spec;
  if (completionMode !== "Indexed" || completions <= 0) return;
  const { name = "" } = job.metadata;
  const hostname = `${name}-${completions - 1}`;
  if (isDns1123Label(hostname).length > 0) {
    root.at("metadata", "name").invalid(name, `will not able to create pod with invalid DNS label: ${hostname}`);
  }
}

function validateSpecWithSelector(spec: JobSpec, field: Field): void {
  validateJobSpec(spec, field);
  if (spec.selector === undefined) field.at("selector").required();
  else validateLabelSelector(spec.selector, field.at("selector"), "values of its selector");
  const labels = spec.template.metadata?.labels;
  if (isEvaluable(spec.selector) && (spec.selector === undefined || !selects(spec.selector, labels))) {
    field.at("template", "metadata", "labels").invalid(labels ?? null, "`selector` does not match template `labels`");
  }
}

/** What holds for Jobs and for templates of them: all but the selector. */
export function validateJobSpec(spec: JobSpec, field: Field): void {
  const counts = [
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
  ] as const;
  for (const key of counts) nonNegative(spec[key], field.at(key));
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    field.at("backoffLimitPerIndex").required("when maxFailedIndexes is specified");
  }
  if (spec.managedBy !== undefined) validateManagedBy(spec.managedBy, field.at("managedBy"));
  const { completionMode: mode = "NonIndexed" } = spec;
  oneOf(mode, ["NonIndexed", "Indexed"], field.at("completionMode"));
  if (mode === "Indexed") validateIndexed(spec, field);
  if (mode === "NonIndexed") {
    for (const key of ["backoffLimitPerIndex", "maxFailedIndexes"] as const) {
      if (spec[key] !== undefined) field.at(key).invalid(spec[key], "requires indexed completion mode");
    }
  }
  if (spec.podFailurePolicy) validateFailurePolicy(spec, field.at("podFailurePolicy"));
  if (spec.successPolicy) {
    const at = field.at("successPolicy");
    if (mode === "Indexed") validateSuccessPolicy(spec, at);
    else at.invalid(shownSuccessPolicy(spec.successPolicy.rules ?? []), "requires indexed completion mode");
  }
  if (spec.podReplacementPolicy !== undefined) {
    const policies = spec.podFailurePolicy ? ["Failed"] : ["Failed", "TerminatingOrFailed"];
    oneOf(spec.podReplacementPolicy, policies, field.at("podReplacementPolicy"));
  }
  validatePodTemplate(spec.template, field.at("template"));
  validateRestartPolicy(spec, field.at("template", "spec", "restartPolicy"));
}

const shownSuccessPolicy = (rules: readonly SuccessPolicyRule[]) => ({
  Rules: rules.map(({ succeededIndexes, succeededCount }) => ({
    SucceededIndexes: succeededIndexes ?? null,
    SucceededCount: succeededCount ?? null,
  })),
});

function validateRestartPolicy({ template, podFailurePolicy }: JobSpec, field: Field): void {
  const policy = template.spec?.restartPolicy ?? "";
  if (policy === "Always" || policy === "") field.required('valid values: "OnFailure", "Never"');
  else if (policy !== "OnFailure" && policy !== "Never") field.notSupported(policy, ["OnFailure", "Never"]);
  else if (podFailurePolicy && policy !== "Never") {
    field.invalid(policy, 'only "Never" is supported when podFailurePolicy is specified');
  }
}

function validateManagedBy(name: string, field: Field): void {
  validateDomainPrefixedPath(name, field);
  if (name.length > limits.managedBy) field.tooLong(limits.managedBy);
}

function validateIndexed(spec: JobSpec, field: Field): void {
  const { completions, parallelism, maxFailedIndexes: failed, backoffLimitPerIndex } = spec;
  const atMost = (key: "parallelism" | "maxFailedIndexes", max: number, when = ""): void => {
    const value = spec[key];
    if (value !== undefined && value > max) field.at(key).invalid(value, `must be less than or equal to ${max}${when}`);
  };
  if (completions === undefined) field.at("completions").required("when completion mode is Indexed");
  atMost("parallelism", limits.parallelismOfIndexed, " when completion mode is Indexed");
  if (completions !== undefined && failed !== undefined && failed > completions) {
    field.at("maxFailedIndexes").invalid(failed, "must be less than or equal to completions");
  }
  atMost("maxFailedIndexes", limits.failedIndexes);
  if (completions === undefined || completions <= limits.manyCompletions || backoffLimitPerIndex === undefined) return;
  if (failed === undefined) {
    field.at("maxFailedIndexes").required(`must be specified when completions is above ${limits.manyCompletions}`);
  }
  const when = ` when completions are above ${limits.manyCompletions} and used with backoff limit per index`;
  if (parallelism !== undefined) atMost("parallelism", limits.parallelismOfMany, when);
  atMost("maxFailedIndexes", limits.failedIndexesOfMany, when);
}

const actions = ["Count", "FailIndex", "FailJob", "Ignore"];
const list = (values: readonly string[]): string => `[${values.map((value) => JSON.stringify(value)).join(" ")}]`;

function validateFailurePolicy(spec: JobSpec, field: Field): void {
  const rules = spec.podFailurePolicy?.rules ?? [];
  const at = field.at("rules");
  if (rules.length > limits.failureRules) at.tooMany(rules.length, limits.failureRules);
  for (const [index, rule] of rules.entries()) validateFailureRule(rule, spec, at.index(index));
}

function validateFailureRule(rule: PodFailurePolicyRule, spec: JobSpec, field: Field): void {
  const { action = "", onExitCodes, onPodConditions = [] } = rule;
  if (action === "") field.at("action").required(`valid values: ${list(actions)}`);
  else if (action === "FailIndex") {
    if (spec.backoffLimitPerIndex === undefined) {
      field.at("action").invalid(action, "requires the backoffLimitPerIndex to be set");
    }
  } else oneOf(action, actions, field.at("action"));
  if (onExitCodes) validateExitCodes(onExitCodes, spec, field.at("onExitCodes"));
  validateConditionPatterns(onPodConditions, field.at("onPodConditions"));
  if (onExitCodes && onPodConditions.length > 0) {
    field.invalidWithoutValue("specifying both OnExitCodes and OnPodConditions is not supported");
  } else if (!onExitCodes && onPodConditions.length === 0) {
    field.invalidWithoutValue("specifying one of OnExitCodes and OnPodConditions is required");
  }
}

function validateConditionPatterns(patterns: NonNullable<PodFailurePolicyRule["onPodConditions"]>, field: Field): void {
  const statuses = ["False", "True", "Unknown"];
  if (patterns.length > limits.conditionPatterns) field.tooMany(patterns.length, limits.conditionPatterns);
  for (const [index, { type = "", status }] of patterns.entries()) {
    const at = field.index(index);
    at.at("type").invalidEach(type, isQualifiedName(type));
    if (!status) at.at("status").required(`valid values: ${list(statuses)}`);
    else oneOf(status, statuses, at.at("status"));
  }
}

function validateExitCodes(
  { operator, containerName, values: given }: NonNullable<PodFailurePolicyRule["onExitCodes"]>,
  spec: JobSpec,
  field: Field,
): void {
  const operators = ["In", "NotIn"];
  if (!operator) field.at("operator").required(`valid values: ${list(operators)}`);
  else oneOf(operator, operators, field.at("operator"));
  const pod = spec.template.spec;
  const names = [...(pod?.containers ?? []), ...(pod?.initContainers ?? [])].map(({ name }) => name);
  if (containerName !== undefined && !names.includes(containerName)) {
    field
      .at("containerName")
      .invalid(containerName, "must be one of the container or initContainer names in the pod template");
  }
  const at = field.at("values");
  const values = given ?? [];
  if (values.length === 0) at.invalid(given, "at least one value is required");
  else if (values.length > limits.exitCodes) at.tooMany(values.length, limits.exitCodes);
  const seen = new Set<number>();
  for (const [index, value] of values.entries()) {
    if (operator === "In" && value === 0) at.index(index).invalid(value, "must not be 0 for the In operator");
    if (seen.has(value)) at.index(index).duplicate(value);
    seen.add(value);
  }
  if (values.some((value, index) => index > 0 && (values[index - 1] ?? 0) > value))
    at.invalid(values, "must be ordered");
}

function validateSuccessPolicy(spec: JobSpec, field: Field): void {
  const rules = spec.successPolicy?.rules ?? [];
  const at = field.at("rules");
  if (rules.length === 0) at.required("at least one rules must be specified when the successPolicy is specified");
  if (rules.length > limits.successRules) at.tooMany(rules.length, limits.successRules);
  for (const [index, rule] of rules.entries()) validateSuccessRule(rule, spec.completions ?? 0, at.index(index));
}

function validateSuccessRule(
  { succeededIndexes, succeededCount }: SuccessPolicyRule,
  completions: number,
  field: Field,
): void {
  if (succeededCount === undefined && succeededIndexes === undefined) {
    field.required("at least one of succeededCount or succeededIndexes must be specified");
  }
  let total = 0;
  if (succeededIndexes !== undefined) {
    const at = field.at("succeededIndexes");
    if (succeededIndexes.length > limits.succeededIndexes_bytes) at.tooLong(limits.succeededIndexes_bytes);
    const parsed = parseIndexes(succeededIndexes, completions);
    if (typeof parsed === "string") at.invalid(succeededIndexes, `error parsing succeededIndexes: ${parsed}`);
    else total = parsed.total;
  }
  if (succeededCount === undefined) return;
  const at = field.at("succeededCount");
  nonNegative(succeededCount, at);
  const tooMany = (max: number, what: string): void =>
    at.invalid(succeededCount, `must be less than or equal to ${max} (the number of ${what})`);
  if (succeededCount > completions) tooMany(completions, "specified completions");
  if (succeededIndexes !== undefined && succeededCount > total) {
    tooMany(total, "indexes in the specified succeededIndexes field");
  }
}

/** The old template with what may change before a suspended Job starts set as in the new one. */
function withNewDirectives(old: PodTemplateSpec, template: PodTemplateSpec): PodTemplateSpec {
  const affinity = { ...old.spec?.affinity, nodeAffinity: template.spec?.affinity?.nodeAffinity };
  const isEmpty = Object.values(affinity).every((each) => each === undefined);
  return {
    metadata: { ...old.metadata, annotations: template.metadata?.annotations, labels: template.metadata?.labels },
    spec: {
      ...(old.spec ?? { containers: [] }),
      affinity: isEmpty ? template.spec?.affinity && {} : affinity,
      nodeSelector: template.spec?.nodeSelector,
      tolerations: template.spec?.tolerations,
      schedulingGates: template.spec?.schedulingGates,
    },
  };
}

export function validateJobUpdate(job: Job, old: Readonly<Job>): FieldError[] {
  return collect((root) => {
    validateWhole(job, root);
    const [spec, before] = [job.spec, old.spec];
    const field = root.at("spec");
    validateSpecWithSelector(spec, field);
    validateCompletions(spec, before, field.at("completions"));
    immutable(spec.selector, before.selector, field.at("selector"));
    const notStarted = before.suspend && old.status?.startTime === undefined;
    const template = notStarted ? withNewDirectives(before.template, spec.template) : before.template;
    immutable(spec.template, template, field.at("template"));
    const keys = ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] as const;
    for (const key of keys) immutable(spec[key], before[key], field.at(key));
  });
}

/** An indexed Job is elastic: completions and parallelism may change together. */
function validateCompletions(spec: JobSpec, old: Readonly<JobSpec>, field: Field): void {
  if (spec.completionMode !== "Indexed") {
    immutable(spec.completions, old.completions, field);
    return;
  }
  if (spec.completions === undefined || semanticEqual(spec.completions, old.completions)) return;
  if (spec.completions !== spec.parallelism) {
    field.invalid(spec.completions, "can only be modified in tandem with spec.parallelism");
  }
}
