import { deployments } from "#shared/api/resources.ts";
import type { Deployment } from "#shared/api/types/apps-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, containerColumns, nameColumn, selectorText, wideColumn } from "../columns.ts";
import { scale, status } from "../subresources.ts";

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
  strategy: {
    hasStatus: true,
    hasGeneration: true,
    generationBasis: ({ spec, metadata }) => ({ spec, annotations: metadata.annotations }),
  },
};
