import { replicationControllers } from "#shared/api/resources.ts";
import type { ReplicationController } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, containerColumns, formatLabels, integerColumn, nameColumn, wideColumn } from "../columns.ts";
import { scale, status } from "../subresources.ts";

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
  strategy: { hasStatus: true, hasGeneration: true },
};
