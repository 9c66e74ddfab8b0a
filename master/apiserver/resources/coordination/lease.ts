import type { FieldError } from "#shared/api/errors.ts";
import { leases } from "#shared/api/resources.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { collect, nonNegative } from "../validation/field.ts";

/** Fields of coordinated leader election, which upstream keeps behind a gate that is closed: dropped. */
function dropCoordination({ spec }: Lease): void {
  if (!spec) return;
  delete spec.strategy;
  delete spec.preferredHolder;
}

const validate = ({ spec }: Lease): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { leaseDurationSeconds: duration_s, leaseTransitions } = spec ?? {};
    if (duration_s !== undefined && duration_s <= 0) {
      field.at("leaseDurationSeconds").invalid(duration_s, "must be greater than 0");
    }
    nonNegative(leaseTransitions, field.at("leaseTransitions"));
  });

export const lease: ResourceDeclaration<Lease> = {
  ref: leases,
  columns: [nameColumn, column("Holder", ({ spec }) => spec?.holderIdentity ?? ""), ageColumn],
  strategy: {
    metadataRules: "names",
    allowCreateOnUpdate: true,
    allowUnconditionalUpdate: false,
    prepareForCreate: dropCoordination,
    prepareForUpdate: dropCoordination,
    validate,
    validateUpdate: validate,
  },
};
