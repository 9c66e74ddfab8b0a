import { parseApiVersion } from "#shared/api/object.ts";
import { controllerRevisions } from "#shared/api/resources.ts";
import type { ControllerRevision } from "#shared/api/types/apps-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";

function controller({ metadata }: ControllerRevision): string {
  const owner = metadata.ownerReferences?.find((reference) => reference.controller);
  if (owner === undefined) return "<none>";
  const { group } = parseApiVersion(owner.apiVersion);
  const kind = group === "" ? owner.kind : `${owner.kind}.${group}`;
  return `${kind.toLowerCase()}/${owner.name}`;
}

export const controllerRevision: ResourceDeclaration<ControllerRevision> = {
  ref: controllerRevisions,
  columns: [nameColumn, column("Controller", controller), column("Revision", ({ revision }) => revision), ageColumn],
  strategy: {},
};
