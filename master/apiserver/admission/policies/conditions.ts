/** matchConditions of webhooks and policies. */
import { namespaces } from "#shared/api/resources.ts";
import type { MatchCondition } from "#shared/api/types/admissionregistration-v1.generated.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import type { Authorizer } from "../../authz/authorizer.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { AdmissionAttributes } from "../admission.ts";
import type { Match } from "../matching.ts";
import { admissionEnvironment } from "./environment.ts";
import { CONDITIONS_COST, Evaluation, ExpressionError, OutOfBudget, viewOf } from "./evaluation.ts";

/** Some condition could not be evaluated, and none was false. */
export class ConditionError extends Error {
  override readonly name = "ConditionError";
}

export interface Conditions {
  /** True when all hold, false when one does not. Throws ConditionError. */
  hold(conditions: readonly MatchCondition[], attributes: AdmissionAttributes, match: Match): Promise<boolean>;
}

const webhookEnvironment = admissionEnvironment({ authorizer: true });
const aggregated = (messages: readonly string[]): string =>
  messages.length === 1 ? (messages[0] ?? "") : `[${messages.join(", ")}]`;

/** Evaluates conditions in order: one that is false decides, whatever failed before. */
export async function allHold(programs: readonly Program[], evaluation: Evaluation): Promise<boolean> {
  const failures: string[] = [];
  for (const program of programs) {
    try {
      if ((await evaluation.evaluate(program)) === false) return false;
    } catch (error) {
      if (error instanceof OutOfBudget) throw new ConditionError(error.message);
      if (!(error instanceof ExpressionError)) throw error;
      failures.push(error.message);
    }
  }
  if (failures.length > 0) throw new ConditionError(aggregated([...new Set(failures)]));
  return true;
}

const MAX_COMPILED = 1000;

/** The conditions of webhooks. */
export class WebhookConditions implements Conditions {
  readonly #compiled = new Map<string, Program>();

  constructor(
    private readonly reader: ResourceReader,
    private readonly authorizer: Authorizer,
  ) {}

  async hold(conditions: readonly MatchCondition[], attributes: AdmissionAttributes, match: Match): Promise<boolean> {
    const programs = conditions.map(({ expression }) => this.#program(expression));
    const view = await viewOf(attributes, match, (name) => this.reader.get(namespaces, { name }));
    return allHold(programs, new Evaluation({ view, authorizer: this.authorizer, budget: CONDITIONS_COST }));
  }

  #program(expression: string): Program {
    const known = this.#compiled.get(expression);
    if (known) return known;
    try {
      const program = Program.compile(expression, webhookEnvironment);
      if (this.#compiled.size >= MAX_COMPILED) this.#compiled.clear();
      this.#compiled.set(expression, program);
      return program;
    } catch (error) {
      if (error instanceof CompileError) throw new ConditionError(`compilation error: ${error.told}`);
      throw error;
    }
  }
}
