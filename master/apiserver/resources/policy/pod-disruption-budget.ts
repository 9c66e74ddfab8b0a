import { podDisruptionBudgets } from "#shared/api/resources.ts";
import type { PodDisruptionBudget } from "#shared/api/types/policy-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, integerColumn, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";

export const podDisruptionBudget: ResourceDeclaration<PodDisruptionBudget> = {
  ref: podDisruptionBudgets,
  shortNames: ["pdb"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Min Available", ({ spec }) => String(spec.minAvailable ?? "N/A")),
    column("Max Unavailable", ({ spec }) => String(spec.maxUnavailable ?? "N/A")),
    integerColumn("Allowed Disruptions", (object) => object.status?.disruptionsAllowed ?? 0),
    ageColumn,
  ],
  strategy: { hasStatus: true, hasGeneration: true, allowUnconditionalUpdate: false },
};
