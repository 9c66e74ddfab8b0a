import { statefulSets } from "#shared/api/resources.ts";
import type { StatefulSet } from "#shared/api/types/apps-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, containerColumns, nameColumn } from "../columns.ts";
import { scale, status } from "../subresources.ts";

export const statefulSet: ResourceDeclaration<StatefulSet> = {
  ref: statefulSets,
  shortNames: ["sts"],
  categories: ["all"],
  subresources: { scale, status },
  columns: [
    nameColumn,
    column("Ready", ({ spec, status: seen }) => `${seen?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
    ageColumn,
    ...containerColumns<StatefulSet>(({ spec }) => spec.template.spec?.containers),
  ],
  strategy: { hasStatus: true, hasGeneration: true },
};
