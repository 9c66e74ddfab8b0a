import { cronJobs } from "#shared/api/resources.ts";
import type { CronJob } from "#shared/api/types/batch-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import {
  ageColumn,
  booleanColumn,
  column,
  containerColumns,
  formatLabelSelector,
  integerColumn,
  nameColumn,
  since,
  wideColumn,
} from "../columns.ts";
import { status } from "../subresources.ts";

export const cronJob: ResourceDeclaration<CronJob> = {
  ref: cronJobs,
  shortNames: ["cj"],
  categories: ["all"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Schedule", ({ spec }) => spec.schedule),
    column("Timezone", ({ spec }) => spec.timeZone ?? "<none>"),
    booleanColumn("Suspend", ({ spec: { suspend } }) =>
      suspend === undefined ? "<unset>" : suspend ? "True" : "False",
    ),
    integerColumn("Active", (object) => object.status?.active?.length ?? 0),
    column("Last Schedule", ({ status: seen }) => (seen?.lastScheduleTime ? since(seen.lastScheduleTime) : "<none>")),
    ageColumn,
    ...containerColumns<CronJob>(({ spec }) => spec.jobTemplate.spec?.template.spec?.containers),
    wideColumn("Selector", ({ spec }) => formatLabelSelector(spec.jobTemplate.spec?.selector)),
  ],
  strategy: { hasStatus: true, hasGeneration: true },
};
