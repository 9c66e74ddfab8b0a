import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";

const keyCount = (map: object | undefined): number => Object.keys(map ?? {}).length;

export const configMap: ResourceDeclaration<ConfigMap> = {
  ref: configMaps,
  shortNames: ["cm"],
  columns: [nameColumn, column("Data", ({ data, binaryData }) => keyCount(data) + keyCount(binaryData)), ageColumn],
  strategy: {},
};
