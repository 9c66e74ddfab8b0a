import { flowSchemas, priorityLevelConfigurations } from "#shared/api/resources.ts";
import type { FlowSchema, PriorityLevelConfiguration } from "#shared/api/types/flowcontrol-v1.generated.ts";
import { byPrecedence } from "../../../flow-control/precedence.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import { validateFlowSchema } from "./flow-schema-rules.ts";
import { applyPriorityLevelDefaults, validatePriorityLevel } from "./priority-level-rules.ts";

export const flowSchema: ResourceDeclaration<FlowSchema> = {
  ref: flowSchemas,
  subresources: { status },
  columns: [
    nameColumn,
    column("PriorityLevel", ({ spec }) => spec.priorityLevelConfiguration.name),
    column("MatchingPrecedence", ({ spec }) => spec.matchingPrecedence ?? 0),
    column("DistinguisherMethod", ({ spec }) => spec.distinguisherMethod?.type ?? "<none>"),
    ageColumn,
    column("MissingPL", (object) => object.status?.conditions?.find(({ type }) => type === "Dangling")?.status ?? "?"),
  ],
  rowOrder: byPrecedence,
  strategy: {
    judgesNameOnUpdate: true,
    hasStatus: true,
    statusResets: [["metadata"]],
    hasGeneration: true,
    applyDefaults: ({ spec }) => {
      spec.matchingPrecedence ||= 1000;
    },
    validate: validateFlowSchema,
    validateUpdate: validateFlowSchema,
    validateStatusUpdate: validateFlowSchema,
  },
};

const queuing = ({ spec }: PriorityLevelConfiguration) => spec.limited?.limitResponse?.queuing;

export const priorityLevelConfiguration: ResourceDeclaration<PriorityLevelConfiguration> = {
  ref: priorityLevelConfigurations,
  subresources: { status },
  columns: [
    nameColumn,
    column("Type", ({ spec }) => spec.type),
    column("NominalConcurrencyShares", ({ spec }) => spec.limited?.nominalConcurrencyShares ?? "<none>"),
    column("Queues", (object) => queuing(object)?.queues ?? "<none>"),
    column("HandSize", (object) => queuing(object)?.handSize ?? "<none>"),
    column("QueueLengthLimit", (object) => queuing(object)?.queueLengthLimit ?? "<none>"),
    ageColumn,
  ],
  strategy: {
    judgesNameOnUpdate: true,
    hasStatus: true,
    statusResets: [["metadata"]],
    hasGeneration: true,
    applyDefaults: applyPriorityLevelDefaults,
    validate: validatePriorityLevel,
    validateUpdate: validatePriorityLevel,
    validateStatusUpdate: validatePriorityLevel,
  },
};
