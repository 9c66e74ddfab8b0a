import { ipAddresses, serviceCIDRs } from "#shared/api/resources.ts";
import type { IPAddress, ServiceCIDR } from "#shared/api/types/networking-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";

function parent({ spec: { parentRef } }: IPAddress): string {
  if (parentRef === undefined) return "<none>";
  const { group, resource, namespace, name } = parentRef;
  const qualified = (group ? `${resource}.${group}` : resource).toLowerCase();
  return namespace ? `${qualified}/${namespace}/${name}` : `${qualified}/${name}`;
}

export const ipAddress: ResourceDeclaration<IPAddress> = {
  ref: ipAddresses,
  shortNames: ["ip"],
  columns: [nameColumn, column("ParentRef", parent)],
  strategy: {},
};

export const serviceCIDR: ResourceDeclaration<ServiceCIDR> = {
  ref: serviceCIDRs,
  subresources: { status },
  columns: [nameColumn, column("CIDRs", ({ spec }) => (spec.cidrs ?? []).join(",")), ageColumn],
  strategy: { hasStatus: true },
};
