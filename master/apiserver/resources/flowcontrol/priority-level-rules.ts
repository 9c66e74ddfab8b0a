import type { FieldError } from "#shared/api/errors.ts";
import type {
  LimitedPriorityLevelConfiguration,
  LimitResponse,
  PriorityLevelConfiguration,
  QueuingConfiguration,
} from "#shared/api/types/flowcontrol-v1.generated.ts";
import { collect, type Field } from "../validation/field.ts";
import { validateTypedConditions } from "./conditions.ts";

const maxQueues = 10_000_000;
const maxHashBits = 60;
const preserveZeroShares = "flowcontrol.k8s.io/preserve-zero-concurrency-shares";

export function applyPriorityLevelDefaults({ spec: { limited, exempt } }: PriorityLevelConfiguration): void {
  if (exempt) {
    exempt.nominalConcurrencyShares ??= 0;
    exempt.lendablePercent ??= 0;
  }
  if (!limited) return;
  limited.nominalConcurrencyShares ??= 30;
  limited.lendablePercent ??= 0;
  const queuing = limited.limitResponse?.queuing;
  if (!queuing) return;
  queuing.handSize ||= 8;
  queuing.queues ||= 64;
  queuing.queueLengthLimit ||= 50;
}

export const validatePriorityLevel = (level: PriorityLevelConfiguration): FieldError[] =>
  collect((root) => {
    const { metadata, spec, status } = level;
    if (metadata.annotations?.[preserveZeroShares] !== undefined)
      root.at("metadata", "annotations").forbidden(`annotation '${preserveZeroShares}' is forbidden`);
    const field = root.at("spec");
    if ((metadata.name === "exempt") !== (spec.type === "Exempt"))
      field.at("type").invalid(spec.type, "must be 'Exempt' if and only if `name` is 'exempt'");
    if (spec.type === "Exempt") {
      if (spec.limited) field.at("limited").forbidden("must be nil if the type is not Limited");
      if (spec.exempt) validateShares(spec.exempt, field.at("exempt"));
    } else if (spec.type === "Limited") {
      if (spec.exempt) field.at("exempt").forbidden("must be nil if the type is Limited");
      if (spec.limited) validateLimited(spec.limited, field.at("limited"));
      else field.at("limited").required("must not be empty when type is Limited");
    } else field.at("type").notSupported(spec.type ?? "", ["Exempt", "Limited"]);
    validateTypedConditions(status?.conditions ?? [], root.at("status", "conditions"));
  });

function validateShares(
  { nominalConcurrencyShares: shares = 0, lendablePercent: lendable = 0 }: LimitedPriorityLevelConfiguration,
  field: Field,
): void {
  if (shares < 0) field.at("nominalConcurrencyShares").invalid(shares, "must be a non-negative integer");
  if (lendable < 0 || lendable > 100)
    field.at("lendablePercent").invalid(lendable, "must be between 0 and 100, inclusive");
}

function validateLimited(limited: LimitedPriorityLevelConfiguration, field: Field): void {
  validateShares(limited, field);
  validateResponse(limited.limitResponse ?? { type: "" }, field.at("limitResponse"));
  const { borrowingLimitPercent: borrowing = 0 } = limited;
  if (borrowing < 0)
    field.at("borrowingLimitPercent").invalid(borrowing, "if specified, must be a non-negative integer");
}

function validateResponse({ type, queuing }: LimitResponse, field: Field): void {
  if (type === "Reject") {
    if (queuing) field.at("queuing").forbidden("must be nil if limited.limitResponse.type is not Limited");
  } else if (type === "Queue") {
    if (queuing) validateQueuing(queuing, field.at("queuing"));
    else field.at("queuing").required("must not be empty if limited.limitResponse.type is Limited");
  } else field.at("type").notSupported(type ?? "", ["Queue", "Reject"]);
}

function validateQueuing({ queues = 0, handSize = 0, queueLengthLimit = 0 }: QueuingConfiguration, field: Field): void {
  if (queueLengthLimit <= 0) field.at("queueLengthLimit").invalid(queueLengthLimit, "must be positive");
  if (queues <= 0) field.at("queues").invalid(queues, "must be positive");
  else if (queues > maxQueues) field.at("queues").invalid(queues, `must not be greater than ${maxQueues}`);
  const hand = field.at("handSize");
  if (handSize <= 0) hand.invalid(handSize, "must be positive");
  else if (handSize > queues) hand.invalid(handSize, `should not be greater than queues (${queues})`);
  else if (Math.ceil(Math.log2(queues) * handSize) > maxHashBits) {
    hand.invalid(
      handSize,
      `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${maxHashBits}`,
    );
  }
}
