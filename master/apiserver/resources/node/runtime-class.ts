import { runtimeClasses } from "#shared/api/resources.ts";
import type { RuntimeClass } from "#shared/api/types/node-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";

export const runtimeClass: ResourceDeclaration<RuntimeClass> = {
  ref: runtimeClasses,
  columns: [nameColumn, column("Handler", ({ handler }) => handler), ageColumn],
  strategy: { allowCreateOnUpdate: true, allowUnconditionalUpdate: false },
};
