import type { FieldError } from "#shared/api/errors.ts";
import { deployments } from "#shared/api/resources.ts";
import type { Deployment, DeploymentSpec } from "#shared/api/types/apps-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, containerColumns, nameColumn, selectorText, wideColumn } from "../columns.ts";
import { defaultPodTemplate, withPodTemplate } from "../core/pod/defaults.ts";
import { workloadWarnings } from "../core/pod/warnings.ts";
import { validateLastingTemplate } from "../core/pod-template-rules.ts";
import { scale, status } from "../subresources.ts";
import { collect, type Field, immutable, nonNegative } from "../validation/field.ts";
import { numberOrPercentValue, validateNotMoreThanAll, validateNumberOrPercent } from "../validation/ports.ts";
import { isEvaluable, validateWorkloadSelector } from "./selector-rules.ts";

function applyDefaults(draft: Deployment): void {
  draft.spec ??= {} as DeploymentSpec;
  const { spec } = draft;
  spec.replicas ??= 1;
  spec.strategy ??= {};
  spec.strategy.type ||= "RollingUpdate";
  if (spec.strategy.type === "RollingUpdate") {
    spec.strategy.rollingUpdate ??= {};
    spec.strategy.rollingUpdate.maxUnavailable ??= "25%";
    spec.strategy.rollingUpdate.maxSurge ??= "25%";
  }
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  spec.template ??= {};
  defaultPodTemplate(spec.template);
}

function validateStrategy({ strategy }: DeploymentSpec, field: Field): void {
  const { type = "", rollingUpdate } = strategy ?? {};
  const at = field.at("rollingUpdate");
  if (type === "Recreate") {
    if (rollingUpdate) at.forbidden("may not be specified when strategy `type` is 'Recreate'");
  } else if (type === "RollingUpdate") {
    if (rollingUpdate === undefined) {
      at.required("this should be defaulted and never be nil");
      return;
    }
    const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate;
    validateNumberOrPercent(maxUnavailable, at.at("maxUnavailable"));
    validateNumberOrPercent(maxSurge, at.at("maxSurge"));
    if (numberOrPercentValue(maxUnavailable) === 0 && numberOrPercentValue(maxSurge) === 0) {
      at.at("maxUnavailable").invalid(maxUnavailable, "may not be 0 when `maxSurge` is 0");
    }
    validateNotMoreThanAll(maxUnavailable, at.at("maxUnavailable"));
  } else field.notSupported({ Type: type, RollingUpdate: rollingUpdate ?? null }, ["Recreate", "RollingUpdate"]);
}

function validate({ spec }: Deployment): FieldError[] {
  return collect((root) => {
    const field = root.at("spec");
    nonNegative(spec.replicas, field.at("replicas"));
    validateWorkloadSelector(spec.selector, "deployment", field.at("selector"));
    if (!isEvaluable(spec.selector)) field.at("selector").invalid(spec.selector, "invalid label selector");
    else validateLastingTemplate(spec.template, spec.selector, "ReplicaSet", field.at("template"));
    validateStrategy(spec, field.at("strategy"));
    nonNegative(spec.minReadySeconds, field.at("minReadySeconds"));
    nonNegative(spec.revisionHistoryLimit, field.at("revisionHistoryLimit"));
    const deadline = spec.progressDeadlineSeconds;
    if (deadline === undefined) return;
    nonNegative(deadline, field.at("progressDeadlineSeconds"));
    if (deadline <= (spec.minReadySeconds ?? 0)) {
      field.at("progressDeadlineSeconds").invalid(deadline, "must be greater than minReadySeconds");
    }
  });
}

const counts = [
  "observedGeneration",
  "replicas",
  "updatedReplicas",
  "readyReplicas",
  "availableReplicas",
  "unavailableReplicas",
  "terminatingReplicas",
  "collisionCount",
] as const;

function validateStatusUpdate({ status: seen }: Deployment, old: Readonly<Deployment>): FieldError[] {
  return collect((root) => {
    const field = root.at("status");
    const { replicas = 0, readyReplicas = 0, availableReplicas = 0, collisionCount = 0 } = seen ?? {};
    for (const key of counts) nonNegative(seen?.[key], field.at(key));
    for (const key of ["updatedReplicas", "readyReplicas", "availableReplicas"] as const) {
      const count = seen?.[key] ?? 0;
      if (count > replicas) field.at(key).invalid(count, "cannot be greater than status.replicas");
    }
    if (availableReplicas > readyReplicas) {
      field.at("availableReplicas").invalid(availableReplicas, "cannot be greater than readyReplicas");
    }
    validateCollisions(collisionCount, seen?.collisionCount, old.status?.collisionCount, field);
  });
}

/** A count of collisions only grows: names of revisions are made of it. */
export function validateCollisions(
  shown: number,
  count: number | undefined,
  old: number | undefined,
  field: Field,
): void {
  if (old === undefined || (count !== undefined && count >= old)) return;
  field.at("collisionCount").invalid(shown, "cannot be decremented");
}

export const deployment: ResourceDeclaration<Deployment> = {
  ref: deployments,
  shortNames: ["deploy"],
  categories: ["all"],
  subresources: { scale, status },
  columns: [
    nameColumn,
    column("Ready", ({ spec, status: seen }) => `${seen?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
    column("Up-to-date", (object) => object.status?.updatedReplicas ?? 0),
    column("Available", (object) => object.status?.availableReplicas ?? 0),
    ageColumn,
    ...containerColumns<Deployment>(({ spec }) => spec.template.spec?.containers),
    wideColumn("Selector", ({ spec }) => selectorText(spec.selector) ?? "<invalid>"),
  ],
  strategy: withPodTemplate<Deployment>(({ spec }) => spec.template, {
    hasStatus: true,
    hasGeneration: true,
    generationBasis: ({ spec, metadata }) => ({ spec, annotations: metadata.annotations }),
    warnings: workloadWarnings,
    statusResets: [["metadata", "labels"]],
    applyDefaults,
    prepareForCreate(draft) {
      draft.status = {};
    },
    validate,
    validateUpdate: (object, old) => [
      ...validate(object),
      ...collect((root) => immutable(object.spec.selector, old.spec.selector, root.at("spec", "selector"))),
    ],
    validateStatusUpdate,
  }),
};
