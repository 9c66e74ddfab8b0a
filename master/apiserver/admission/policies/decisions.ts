/** What one policy finds of one request, with one object that parameterises it (upstream's validator). */
import type { KubeObject } from "#shared/api/object.ts";
import type { ValidatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { Authorizer } from "../../authz/authorizer.ts";
import { ConditionError, policyApplies } from "./conditions.ts";
import {
  Evaluation,
  type EvaluationOptions,
  ExpressionError,
  OutOfBudget,
  POLICY_COST,
  type RequestView,
} from "./evaluation.ts";
import { type CompiledPolicy, programOf } from "./policy.ts";

/** Of one validation that did not hold, or failed. */
export interface Decision {
  readonly message: string;
  readonly reason?: string | undefined;
  /** Place of the validation in its policy. */
  readonly index: number;
  /** It failed, and the policy bears with that. */
  readonly isIgnored: boolean;
  readonly seconds: number;
}

export interface Decisions {
  readonly validations: readonly Decision[];
  /** By key. */
  readonly annotations: readonly { readonly key: string; readonly text: string }[];
  /** Audit annotations that failed: they refuse whatever bindings say. */
  readonly failedAnnotations: readonly Decision[];
}

const nothing: Decisions = { validations: [], annotations: [], failedAnnotations: [] };

const MAX_ANNOTATION_BYTES = 10 * 1024;
const MAX_MESSAGE_BYTES = 5 * 1024;

export interface Judged {
  readonly policy: ValidatingAdmissionPolicy;
  readonly compiled: CompiledPolicy;
  readonly params: KubeObject | undefined;
  readonly view: RequestView;
  readonly authorizer: Authorizer;
}

export async function decisionsOf(judged: Judged): Promise<Decisions> {
  const { policy, compiled, params, view, authorizer } = judged;
  const isLenient = policy.spec.failurePolicy === "Ignore";
  const { variables } = compiled;
  /** Of one group of expressions: each has a budget of its own, and works out variables anew. */
  const withBudget = (budget: number, more: Partial<EvaluationOptions> = {}): Evaluation =>
    new Evaluation({ view, budget, params, variables, ...more });
  try {
    if (!(await policyApplies(policy.metadata.name ?? "", compiled, { view, params, authorizer }))) return nothing;
    const evaluation = withBudget(POLICY_COST, { authorizer });
    const outcomes = await outcomesOf(compiled, evaluation);
    const messages = await messagesOf(compiled, withBudget(evaluation.budget));
    const validations = outcomes.flatMap((outcome, index): Decision[] => {
      const decision = decided(policy, outcome, messages, index);
      return decision ? [{ ...decision, isIgnored: decision.isError && isLenient, seconds: outcome.seconds }] : [];
    });
    return { validations, ...(await annotationsOf(compiled, withBudget(POLICY_COST), isLenient)) };
  } catch (error) {
    if (error instanceof ConditionError && isLenient) return nothing;
    if (!(error instanceof ConditionError || error instanceof OutOfBudget)) throw error;
    return { ...nothing, validations: [{ message: error.message, index: 0, isIgnored: isLenient, seconds: 0 }] };
  }
}

interface Outcome {
  readonly value: boolean | ExpressionError;
  readonly seconds: number;
}

/** Of each validation, whether it holds, or how it failed. Throws OutOfBudget. */
async function outcomesOf({ validations }: CompiledPolicy, evaluation: Evaluation): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { rule } of validations) {
    const began_ms = performance.now();
    let value: boolean | ExpressionError;
    try {
      value = (await evaluation.evaluate(programOf(rule))) === true;
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      value = error;
    }
    outcomes.push({ value, seconds: (performance.now() - began_ms) / 1000 });
  }
  return outcomes;
}

type Messages = readonly (string | undefined)[] | OutOfBudget;

/** What the policy's expressions for messages say, of validations that hold too, from the budget that those have left. */
async function messagesOf({ validations }: CompiledPolicy, evaluation: Evaluation): Promise<Messages> {
  const messages: (string | undefined)[] = [];
  for (const { message } of validations) {
    try {
      const value = message && (await evaluation.evaluate(programOf(message)));
      const text = typeof value === "string" ? value.trim() : "";
      messages.push(text.includes("\n") || Buffer.byteLength(text) > MAX_MESSAGE_BYTES ? undefined : text);
    } catch (error) {
      if (error instanceof OutOfBudget) return error;
      if (!(error instanceof ExpressionError)) throw error;
      messages.push(undefined);
    }
  }
  return messages;
}

function decided(
  { spec }: ValidatingAdmissionPolicy,
  { value }: Outcome,
  messages: Messages,
  index: number,
): (Pick<Decision, "message" | "reason" | "index"> & { readonly isError: boolean }) | undefined {
  if (value instanceof ExpressionError) return { message: value.message, index, isError: true };
  if (messages instanceof OutOfBudget)
    return { message: `failed messageExpression: ${messages.message}`, index, isError: true };
  if (value) return undefined;
  const written = spec.validations?.[index];
  const expression = `failed expression: ${written?.expression.trim()}`;
  const message = messages[index] || written?.message?.trim() || expression;
  return { message, reason: written?.reason, index, isError: false };
}

async function annotationsOf(
  { audits }: CompiledPolicy,
  evaluation: Evaluation,
  isLenient: boolean,
): Promise<Pick<Decisions, "annotations" | "failedAnnotations">> {
  const annotations: { key: string; text: string }[] = [];
  const failedAnnotations: Decision[] = [];
  for (const { key, value: compiled } of audits) {
    const began_ms = performance.now();
    try {
      const value = await evaluation.evaluate(programOf(compiled));
      const text = typeof value === "string" ? cut(value.trim()) : "";
      if (text !== "") annotations.push({ key, text });
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      const seconds = (performance.now() - began_ms) / 1000;
      if (!isLenient) failedAnnotations.push({ message: error.message, index: 0, isIgnored: false, seconds });
    }
  }
  return { annotations, failedAnnotations };
}

const cut = (text: string): string =>
  text.length * 3 > MAX_ANNOTATION_BYTES ? Buffer.from(text).subarray(0, MAX_ANNOTATION_BYTES).toString() : text;
