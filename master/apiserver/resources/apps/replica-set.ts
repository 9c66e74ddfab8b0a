import { replicaSets } from "#shared/api/resources.ts";
import type { ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, containerColumns, formatLabelSelector, integerColumn, nameColumn, wideColumn } from "../columns.ts";
import { scale, status } from "../subresources.ts";

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
  strategy: { hasStatus: true, hasGeneration: true },
};
