import { leases } from "#shared/api/resources.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";

export const lease: ResourceDeclaration<Lease> = {
  ref: leases,
  columns: [nameColumn, column("Holder", ({ spec }) => spec?.holderIdentity ?? ""), ageColumn],
  strategy: { allowCreateOnUpdate: true, allowUnconditionalUpdate: false },
};
