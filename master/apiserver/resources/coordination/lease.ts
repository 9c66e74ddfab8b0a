import type { FieldError } from "#shared/api/errors.ts";
import { leases } from "#shared/api/resources.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { dropUnlessUsed } from "../gated-fields.ts";
import { collect, nonNegative } from "../validation/field.ts";

/** Fields of coordinated leader election. */
const dropCoordination = dropUnlessUsed<Lease>(
  ({ spec }) => {
    if (spec) delete spec.strategy;
  },
  ({ spec }) => {
    if (spec) delete spec.preferredHolder;
  },
);

const validate = ({ spec }: Lease): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { leaseDurationSeconds: duration_s, leaseTransitions } = spec ?? {};
    if (duration_s !== undefined && duration_s <= 0) {
      field.at("leaseDurationSeconds").invalid(duration_s, "must be greater than 0");
    }
    nonNegative(leaseTransitions, field.at("leaseTransitions"));
    if (spec?.preferredHolder && !spec.strategy)
      field.at("preferredHolder").forbidden("may only be specified if `strategy` is defined");
  });

export const lease: ResourceDeclaration<Lease> = {
  ref: leases,
  columns: [nameColumn, column("Holder", ({ spec }) => spec?.holderIdentity ?? ""), ageColumn],
  strategy: {
    metadataRules: "names",
    allowCreateOnUpdate: true,
    allowUnconditionalUpdate: false,
    prepareForCreate: (draft) => dropCoordination(draft),
    prepareForUpdate: dropCoordination,
    validate,
    validateUpdate: validate,
  },
};
