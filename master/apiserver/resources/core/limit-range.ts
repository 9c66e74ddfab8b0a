import { limitRanges } from "#shared/api/resources.ts";
import type { LimitRange } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { createdAtColumn, nameColumn } from "../columns.ts";

export const limitRange: ResourceDeclaration<LimitRange> = {
  ref: limitRanges,
  shortNames: ["limits"],
  columns: [nameColumn, createdAtColumn],
  strategy: { allowCreateOnUpdate: true },
};
