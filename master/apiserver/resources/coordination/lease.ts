import type { FieldError } from "#shared/api/errors.ts";
import { leases } from "#shared/api/resources.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { collect, nonNegative } from "../validation/field.ts";
import { isQualifiedName } from "../validation/names.ts";

const strategies = ["OldestEmulationVersion"];

const validate = ({ spec }: Lease): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { leaseDurationSeconds: duration_s, leaseTransitions, strategy, preferredHolder } = spec ?? {};
    if (duration_s !== undefined && duration_s <= 0) {
      field.at("leaseDurationSeconds").invalid(duration_s, "must be greater than 0");
    }
    nonNegative(leaseTransitions, field.at("leaseTransitions"));
    if (strategy !== undefined) {
      // Twice, as upstream has it.
      const at = field.at("strategy", "strategy");
      if (strategy.includes("/")) at.invalidEach(strategy, isQualifiedName(strategy));
      else if (!strategies.includes(strategy)) at.notSupported(strategy, strategies);
    }
    if (preferredHolder && !strategy) {
      field.at("preferredHolder").forbidden("may only be specified if `strategy` is defined");
    }
  });

export const lease: ResourceDeclaration<Lease> = {
  ref: leases,
  columns: [nameColumn, column("Holder", ({ spec }) => spec?.holderIdentity ?? ""), ageColumn],
  strategy: { allowCreateOnUpdate: true, allowUnconditionalUpdate: false, validate, validateUpdate: validate },
};
