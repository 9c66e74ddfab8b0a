import { priorityClasses } from "#shared/api/resources.ts";
import type { PriorityClass } from "#shared/api/types/scheduling-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, booleanColumn, column, integerColumn, nameColumn } from "../columns.ts";

export const priorityClass: ResourceDeclaration<PriorityClass> = {
  ref: priorityClasses,
  shortNames: ["pc"],
  columns: [
    nameColumn,
    integerColumn("Value", ({ value }) => value),
    booleanColumn("Global-Default", ({ globalDefault }) => globalDefault ?? false),
    ageColumn,
    column("PreemptionPolicy", ({ preemptionPolicy }) => preemptionPolicy ?? ""),
  ],
  strategy: { hasGeneration: true, generationBasis: () => undefined },
};
