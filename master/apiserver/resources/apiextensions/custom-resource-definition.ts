import { customResourceDefinitions } from "#shared/api/resources.ts";
import type { CustomResourceDefinition } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { createdAtColumn, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import { applyDefinitionDefaults, keepStoredVersion } from "./defaults.ts";

export const customResourceDefinition: ResourceDeclaration<CustomResourceDefinition> = {
  ref: customResourceDefinitions,
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  subresources: { status },
  columns: [nameColumn, createdAtColumn],
  strategy: {
    hasStatus: true,
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    applyDefaults: applyDefinitionDefaults,
    prepareForCreate: keepStoredVersion,
    prepareForUpdate: keepStoredVersion,
  },
};
