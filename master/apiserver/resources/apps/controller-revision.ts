import type { FieldError } from "#shared/api/errors.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import { controllerRevisions } from "#shared/api/resources.ts";
import type { ControllerRevision } from "#shared/api/types/apps-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { collect, immutable, nonNegative } from "../validation/field.ts";

function controller({ metadata }: ControllerRevision): string {
  const owner = metadata.ownerReferences?.find((reference) => reference.controller);
  if (owner === undefined) return "<none>";
  const { group } = parseApiVersion(owner.apiVersion);
  const kind = group === "" ? owner.kind : `${owner.kind}.${group}`;
  return `${kind.toLowerCase()}/${owner.name}`;
}

const validateRevision = ({ revision }: ControllerRevision): FieldError[] =>
  collect((root) => nonNegative(revision, root.at("revision")));

export const controllerRevision: ResourceDeclaration<ControllerRevision> = {
  ref: controllerRevisions,
  columns: [nameColumn, column("Controller", controller), column("Revision", ({ revision }) => revision), ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    validate(object) {
      return [
        ...validateRevision(object),
        ...collect((root) => {
          const data: unknown = object.data;
          if (data === undefined || data === null) root.at("data").required("data is mandatory");
          else if (typeof data !== "object" || Array.isArray(data)) {
            root.at("data").required("data must be a valid JSON object");
          }
        }),
      ];
    },
    validateUpdate: (object, old) => [
      ...validateRevision(object),
      ...collect((root) => immutable(object.data, old.data, root.at("data"))),
    ],
  },
};
