import { daemonSets } from "#shared/api/resources.ts";
import type { DaemonSet } from "#shared/api/types/apps-v1.generated.ts";
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
import { status } from "../subresources.ts";

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
  strategy: { hasStatus: true, hasGeneration: true },
};
