import { namespaces } from "#shared/api/resources.ts";
import type { Namespace } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";

export const namespace: ResourceDeclaration<Namespace> = {
  ref: namespaces,
  shortNames: ["ns"],
  verbs: ["create", "delete", "get", "list", "patch", "update", "watch"],
  subresources: { finalize: { verbs: ["update"] }, status },
  columns: [nameColumn, column("Status", (object) => object.status?.phase), ageColumn],
  selectableFields: { "status.phase": (object) => object.status?.phase ?? "" },
  strategy: { hasStatus: true },
};
