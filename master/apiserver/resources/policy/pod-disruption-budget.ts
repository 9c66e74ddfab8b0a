import type { FieldError } from "#shared/api/errors.ts";
import { podDisruptionBudgets } from "#shared/api/resources.ts";
import type { PodDisruptionBudget } from "#shared/api/types/policy-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, integerColumn, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import { collect, nonNegative, oneOf } from "../validation/field.ts";
import { validateConditions } from "../validation/object-meta.ts";
import { validateNotMoreThanAll, validateNumberOrPercent } from "../validation/ports.ts";
import { validateLabelSelector } from "../validation/selectors.ts";

const validate = ({ spec }: PodDisruptionBudget): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy: policy } = spec;
    if (minAvailable !== undefined && maxUnavailable !== undefined) {
      // Printed with the names of Go's fields.
      const shown = {
        MinAvailable: minAvailable,
        Selector: selector ?? null,
        MaxUnavailable: maxUnavailable,
        UnhealthyPodEvictionPolicy: policy ?? null,
      };
      field.invalid(shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for (const [key, value] of Object.entries({ minAvailable, maxUnavailable })) {
      if (value === undefined) continue;
      validateNumberOrPercent(value, field.at(key));
      validateNotMoreThanAll(value, field.at(key));
    }
    validateLabelSelector(selector, field.at("selector"), "values of its selector");
    if (policy !== undefined) oneOf(policy, ["AlwaysAllow", "IfHealthyBudget"], field.at("unhealthyPodEvictionPolicy"));
  });

const counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] as const;

const validateStatusUpdate = (object: PodDisruptionBudget): FieldError[] =>
  collect((root) => {
    const field = root.at("status");
    validateConditions(object.status?.conditions ?? [], field.at("conditions"));
    for (const name of counts) nonNegative(object.status?.[name], field.at(name));
  });

export const podDisruptionBudget: ResourceDeclaration<PodDisruptionBudget> = {
  ref: podDisruptionBudgets,
  shortNames: ["pdb"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Min Available", ({ spec }) => String(spec.minAvailable ?? "N/A")),
    column("Max Unavailable", ({ spec }) => String(spec.maxUnavailable ?? "N/A")),
    integerColumn("Allowed Disruptions", (object) => object.status?.disruptionsAllowed ?? 0),
    ageColumn,
  ],
  strategy: {
    hasStatus: true,
    hasGeneration: true,
    metadataRules: "common",
    allowUnconditionalUpdate: false,
    validate,
    validateUpdate: validate,
    validateStatusUpdate,
  },
};
