import type { FieldError } from "#shared/api/errors.ts";
import { replicationControllers } from "#shared/api/resources.ts";
import type { ReplicationController } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { validateReplicaStatus } from "../apps/replica-status.ts";
import { ageColumn, containerColumns, formatLabels, integerColumn, nameColumn, wideColumn } from "../columns.ts";
import { scale, status } from "../subresources.ts";
import { collect, nonNegative } from "../validation/field.ts";
import { isLongName } from "../validation/names.ts";
import { defaultPodTemplate, labelLikeTemplate, withPodTemplate } from "./pod/defaults.ts";
import { workloadWarnings } from "./pod/warnings.ts";
import { validateLastingTemplate } from "./pod-template-rules.ts";

function validate({ spec }: ReplicationController): FieldError[] {
  return collect((root) => {
    const field = root.at("spec");
    nonNegative(spec.minReadySeconds, field.at("minReadySeconds"));
    const selector = spec.selector ?? {};
    if (Object.keys(selector).length === 0) field.at("selector").required();
    nonNegative(spec.replicas, field.at("replicas"));
    if (spec.template === undefined) field.at("template").required();
    else {
      validateLastingTemplate(spec.template, { matchLabels: selector }, "ReplicationController", field.at("template"));
    }
  });
}

export const replicationController: ResourceDeclaration<ReplicationController> = {
  ref: replicationControllers,
  shortNames: ["rc"],
  categories: ["all"],
  subresources: { scale, status },
  columns: [
    nameColumn,
    integerColumn("Desired", ({ spec }) => spec.replicas ?? 0),
    integerColumn("Current", (object) => object.status?.replicas ?? 0),
    integerColumn("Ready", (object) => object.status?.readyReplicas ?? 0),
    ageColumn,
    ...containerColumns<ReplicationController>(({ spec }) => spec.template?.spec?.containers),
    wideColumn("Selector", ({ spec }) => formatLabels(spec.selector)),
  ],
  selectableFields: { "status.replicas": (object) => String(object.status?.replicas ?? 0) },
  strategy: withPodTemplate<ReplicationController>(({ spec }) => spec.template, {
    hasStatus: true,
    hasGeneration: true,
    defaultPropagation: "Orphan",
    validateName: isLongName,
    ignoresGenerateName: true,
    prepareForStatusUpdate: labelLikeTemplate,
    warnings: workloadWarnings,
    applyDefaults(draft) {
      draft.spec ??= {};
      const { spec, metadata } = draft;
      spec.replicas ??= 1;
      defaultPodTemplate(spec.template);
      const labels = spec.template?.metadata?.labels;
      if (labels === undefined) return;
      if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
      if (Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
    },
    prepareForCreate(draft) {
      draft.status = { replicas: 0 };
    },
    validate,
    validateUpdate: validate,
    validateStatusUpdate: ({ status: seen }) => collect((root) => validateReplicaStatus(seen, root.at("status"))),
  }),
};
