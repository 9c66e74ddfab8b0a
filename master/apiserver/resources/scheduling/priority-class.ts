import type { FieldError } from "#shared/api/errors.ts";
import { priorityClasses } from "#shared/api/resources.ts";
import type { PriorityClass } from "#shared/api/types/scheduling-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, booleanColumn, column, integerColumn, nameColumn } from "../columns.ts";
import { collect, immutable, requiredOneOf } from "../validation/field.ts";

const highestOfUsers = 1_000_000_000;
/** The two that the system itself has. */
const systemClasses: Readonly<Record<string, number>> = {
  "system-node-critical": 2_000_001_000,
  "system-cluster-critical": 2_000_000_000,
};

/** What is wrong with a class that has a name of the system's. */
function systemFault({ metadata: { name = "" }, value, globalDefault }: PriorityClass): string | undefined {
  const expected = systemClasses[name];
  if (expected === undefined) return `${name} is not a known system priority class`;
  if (value !== expected) return `value of ${name} PriorityClass must be ${expected}`;
  return globalDefault ? `globalDefault of ${name} PriorityClass must be false` : undefined;
}

const validate = (object: PriorityClass): FieldError[] =>
  collect((root) => {
    const { metadata, value, preemptionPolicy } = object;
    if (metadata.name?.startsWith("system-")) {
      const fault = systemFault(object);
      if (fault !== undefined)
        root
          .at("metadata", "name")
          .forbidden(`priority class names with 'system-' prefix are reserved for system use only. error: ${fault}`);
    } else if (value > highestOfUsers) {
      root.at("value").forbidden(`maximum allowed value of a user defined priority is ${highestOfUsers}`);
    }
    if (preemptionPolicy !== undefined)
      requiredOneOf(preemptionPolicy, ["PreemptLowerPriority", "Never"], root.at("preemptionPolicy"));
  });

const validateUpdate = ({ value, preemptionPolicy }: PriorityClass, old: Readonly<PriorityClass>): FieldError[] =>
  collect((root) => {
    if (value !== old.value) root.at("value").forbidden("may not be changed in an update.");
    immutable(preemptionPolicy, old.preemptionPolicy, root.at("preemptionPolicy"));
  });

export const priorityClass: ResourceDeclaration<PriorityClass> = {
  ref: priorityClasses,
  shortNames: ["pc"],
  columns: [
    nameColumn,
    integerColumn("Value", ({ value }) => value),
    booleanColumn("Global-Default", ({ globalDefault }) => globalDefault ?? false),
    ageColumn,
    column("PreemptionPolicy", ({ preemptionPolicy }) => preemptionPolicy ?? ""),
  ],
  strategy: {
    hasGeneration: true,
    generationBasis: () => undefined,
    applyDefaults: (draft) => {
      draft.preemptionPolicy ??= "PreemptLowerPriority";
    },
    validate,
    validateUpdate,
  },
};
