import { secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";

export const secret: ResourceDeclaration<Secret> = {
  ref: secrets,
  columns: [
    nameColumn,
    column("Type", ({ type }) => type),
    column("Data", ({ data }) => Object.keys(data ?? {}).length),
    ageColumn,
  ],
  selectableFields: { type: ({ type }) => type ?? "" },
  strategy: {},
};
