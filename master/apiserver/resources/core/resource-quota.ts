import { resourceQuotas } from "#shared/api/resources.ts";
import type { ResourceQuota } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";

const isLimit = (resource: string): boolean => resource.startsWith("limits.");

function usage(quota: ResourceQuota, ofLimits: boolean): string {
  const { hard = {}, used = {} } = quota.status ?? {};
  return Object.keys(hard)
    .sort()
    .filter((resource) => isLimit(resource) === ofLimits)
    .map((resource) => `${resource}: ${used[resource] ?? "0"}/${hard[resource]}`)
    .join(", ");
}

export const resourceQuota: ResourceDeclaration<ResourceQuota> = {
  ref: resourceQuotas,
  shortNames: ["quota"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Request", (quota) => usage(quota, false)),
    column("Limit", (quota) => usage(quota, true)),
    ageColumn,
  ],
  strategy: { hasStatus: true },
};
