import type { FieldError } from "#shared/api/errors.ts";
import { replicaSets } from "#shared/api/resources.ts";
import type { ReplicaSet, ReplicaSetSpec } from "#shared/api/types/apps-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, containerColumns, formatLabelSelector, integerColumn, nameColumn, wideColumn } from "../columns.ts";
import { defaultPodTemplate, withPodTemplate } from "../core/pod/defaults.ts";
import { workloadWarnings } from "../core/pod/warnings.ts";
import { validateLastingTemplate } from "../core/pod-template-rules.ts";
import { scale, status } from "../subresources.ts";
import { collect, immutable, nonNegative } from "../validation/field.ts";
import { validateReplicaStatus } from "./replica-status.ts";
import { isEvaluable, validateWorkloadSelector } from "./selector-rules.ts";

function validate({ spec }: ReplicaSet): FieldError[] {
  return collect((root) => {
    const field = root.at("spec");
    nonNegative(spec.replicas, field.at("replicas"));
    nonNegative(spec.minReadySeconds, field.at("minReadySeconds"));
    validateWorkloadSelector(spec.selector, "deployment", field.at("selector"));
    if (!isEvaluable(spec.selector)) field.at("selector").invalid(spec.selector, "invalid label selector");
    else validateLastingTemplate(spec.template, spec.selector, "ReplicaSet", field.at("template"));
  });
}

export const replicaSet: ResourceDeclaration<ReplicaSet> = {
  ref: replicaSets,
  shortNames: ["rs"],
  categories: ["all"],
  subresources: { scale, status },
  columns: [
    nameColumn,
    integerColumn("Desired", ({ spec }) => spec.replicas ?? 0),
    integerColumn("Current", (object) => object.status?.replicas ?? 0),
    integerColumn("Ready", (object) => object.status?.readyReplicas ?? 0),
    ageColumn,
    ...containerColumns<ReplicaSet>(({ spec }) => spec.template?.spec?.containers),
    wideColumn("Selector", ({ spec }) => formatLabelSelector(spec.selector)),
  ],
  strategy: withPodTemplate<ReplicaSet>(({ spec }) => spec.template, {
    hasStatus: true,
    hasGeneration: true,
    warnings: workloadWarnings,
    applyDefaults(draft) {
      draft.spec ??= {} as ReplicaSetSpec;
      draft.spec.replicas ??= 1;
      draft.spec.template ??= {};
      defaultPodTemplate(draft.spec.template);
    },
    prepareForCreate(draft) {
      draft.status = { replicas: 0 };
    },
    validate,
    validateUpdate: (object, old) => [
      ...validate(object),
      ...collect((root) => immutable(object.spec.selector, old.spec.selector, root.at("spec", "selector"))),
    ],
    validateStatusUpdate: ({ status: seen }) => collect((root) => validateReplicaStatus(seen, root.at("status"))),
  }),
};
