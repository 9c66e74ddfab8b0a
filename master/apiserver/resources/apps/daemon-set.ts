import type { FieldError } from "#shared/api/errors.ts";
import { daemonSets } from "#shared/api/resources.ts";
import type { DaemonSet, DaemonSetSpec } from "#shared/api/types/apps-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import {
  ageColumn,
  column,
  containerColumns,
  formatLabelSelector,
  formatLabels,
  integerColumn,
  nameColumn,
  wideColumn,
} from "../columns.ts";
import { defaultPodTemplate, withPodTemplate } from "../core/pod/defaults.ts";
import { templateWarnings } from "../core/pod/warnings.ts";
import { validateLastingTemplate } from "../core/pod-template-rules.ts";
import { status } from "../subresources.ts";
import { collect, type Field, immutable, nonNegative, semanticEqual } from "../validation/field.ts";
import { numberOrPercentValue, validateNotMoreThanAll, validateNumberOrPercent } from "../validation/ports.ts";
import { isEmptySelector, validateLabelSelector } from "../validation/selectors.ts";
import { validateCollisions } from "./deployment.ts";
import { isEvaluable } from "./selector-rules.ts";
import { setTemplateGeneration, templateGeneration } from "./template-generation.ts";

function applyDefaults(draft: DaemonSet): void {
  draft.spec ??= {} as DaemonSetSpec;
  const { spec } = draft;
  spec.updateStrategy ??= {};
  spec.updateStrategy.type ||= "RollingUpdate";
  if (spec.updateStrategy.type === "RollingUpdate") {
    spec.updateStrategy.rollingUpdate ??= {};
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
    spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
  }
  spec.revisionHistoryLimit ??= 10;
  spec.template ??= {};
  defaultPodTemplate(spec.template);
}

function validateStrategy({ updateStrategy }: DaemonSetSpec, field: Field): void {
  const { type = "", rollingUpdate } = updateStrategy ?? {};
  if (type === "OnDelete") return;
  if (type !== "RollingUpdate") {
    const shown = { Type: type, RollingUpdate: rollingUpdate ?? null };
    field.notSupported(shown, ["RollingUpdate", "OnDelete"]);
    return;
  }
  const at = field.at("rollingUpdate");
  if (rollingUpdate === undefined) {
    at.required();
    return;
  }
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate;
  validateNumberOrPercent(maxUnavailable, at.at("maxUnavailable"));
  validateNumberOrPercent(maxSurge, at.at("maxSurge"));
  validateNotMoreThanAll(maxUnavailable, at.at("maxUnavailable"));
  validateNotMoreThanAll(maxSurge, at.at("maxSurge"));
  const [hasUnavailable, hasSurge] = [maxUnavailable, maxSurge].map((value) => numberOrPercentValue(value) !== 0);
  if (hasUnavailable && hasSurge) at.at("maxSurge").invalid(maxSurge, "may not be set when maxUnavailable is non-zero");
  else if (!hasUnavailable && !hasSurge) at.at("maxUnavailable").required("cannot be 0 when maxSurge is 0");
}

function validate(object: DaemonSet): FieldError[] {
  return collect((root) => {
    const { spec } = object;
    const field = root.at("spec");
    validateLabelSelector(spec.selector, field.at("selector"), "values of affinity selectors");
    if (spec.selector !== undefined && isEmptySelector(spec.selector)) {
      field.at("selector").invalid(spec.selector, "empty selector is invalid for daemonset");
    }
    // A selector that cannot be evaluated is reported once, above.
    const matched = isEvaluable(spec.selector) ? spec.selector : {};
    validateLastingTemplate(spec.template, matched, "DaemonSet", field.at("template"));
    nonNegative(spec.minReadySeconds, field.at("minReadySeconds"));
    nonNegative(templateGeneration(object), field.at("templateGeneration"));
    validateStrategy(spec, field.at("updateStrategy"));
    nonNegative(spec.revisionHistoryLimit, field.at("revisionHistoryLimit"));
  });
}

const counts = [
  "currentNumberScheduled",
  "numberMisscheduled",
  "desiredNumberScheduled",
  "numberReady",
  "observedGeneration",
  "updatedNumberScheduled",
  "numberAvailable",
  "numberUnavailable",
  "collisionCount",
] as const;

function validateStatusUpdate({ status: seen }: DaemonSet, old: Readonly<DaemonSet>): FieldError[] {
  return collect((root) => {
    const field = root.at("status");
    for (const key of counts) nonNegative(seen?.[key], field.at(key));
    validateCollisions(seen?.collisionCount ?? 0, seen?.collisionCount, old.status?.collisionCount, field);
  });
}

/** Older versions had the field; whoever makes the object manages the annotation that shows it. */
function applyAllDefaults(draft: DaemonSet): void {
  applyDefaults(draft);
  setTemplateGeneration(draft, templateGeneration(draft));
}

export const daemonSet: ResourceDeclaration<DaemonSet> = {
  ref: daemonSets,
  shortNames: ["ds"],
  categories: ["all"],
  subresources: { status },
  columns: [
    nameColumn,
    integerColumn("Desired", (object) => object.status?.desiredNumberScheduled ?? 0),
    integerColumn("Current", (object) => object.status?.currentNumberScheduled ?? 0),
    integerColumn("Ready", (object) => object.status?.numberReady ?? 0),
    integerColumn("Up-to-date", (object) => object.status?.updatedNumberScheduled ?? 0),
    integerColumn("Available", (object) => object.status?.numberAvailable ?? 0),
    column("Node Selector", ({ spec }) => formatLabels(spec.template.spec?.nodeSelector)),
    ageColumn,
    ...containerColumns<DaemonSet>(({ spec }) => spec.template.spec?.containers),
    wideColumn("Selector", ({ spec }) => formatLabelSelector(spec.selector)),
  ],
  strategy: withPodTemplate<DaemonSet>(({ spec }) => spec.template, {
    hasStatus: true,
    hasGeneration: true,
    warnings: templateWarnings,
    applyDefaults: applyAllDefaults,
    prepareForCreate(draft) {
      draft.status = {
        currentNumberScheduled: 0,
        numberMisscheduled: 0,
        desiredNumberScheduled: 0,
        numberReady: 0,
      };
      setTemplateGeneration(draft, Math.max(1, templateGeneration(draft)));
    },
    prepareForUpdate(draft, old) {
      const changed = !semanticEqual(draft.spec.template, old.spec.template);
      setTemplateGeneration(draft, templateGeneration(old) + (changed ? 1 : 0));
    },
    validate,
    validateUpdate: (object, old) => [
      ...collect((root) => immutable(object.spec.selector, old.spec.selector, root.at("spec", "selector"))),
      ...validate(object),
    ],
    prepareForStatusUpdate: (draft, old) => setTemplateGeneration(draft, templateGeneration(old)),
    validateStatusUpdate,
  }),
};
