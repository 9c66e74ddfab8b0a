/** matchConditions of webhooks and policies. */

import { joinErrors } from "#shared/api/joined-errors.ts";
import { namespaces } from "#shared/api/resources.ts";
import type { MatchCondition } from "#shared/api/types/admissionregistration-v1.generated.ts";
import { bool } from "#shared/cel/types.ts";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import type { Authorizer } from "../../authz/authorizer.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { AdmissionAttributes } from "../admission.ts";
import type { Match } from "../matching.ts";
import { type ConditionsOf, conditionFailed, conditionsEvaluated } from "./condition-metrics.ts";
import { admissionEnvironment } from "./environment.ts";
import {
  CONDITIONS_COST,
  Evaluation,
  type EvaluationOptions,
  ExpressionError,
  OutOfBudget,
  viewOf,
} from "./evaluation.ts";
import { type Compiled, type CompiledBase, compiled, programOf } from "./policy.ts";

/** Some condition could not be evaluated, and none was false. */
export class ConditionError extends Error {
  override readonly name = "ConditionError";
}

export interface Conditions {
  /** True when all hold, false when one does not. Throws ConditionError. */
  hold(
    conditions: readonly MatchCondition[],
    attributes: AdmissionAttributes,
    match: Match,
    of: Omit<ConditionsOf, "operation">,
  ): Promise<boolean>;
}

const webhookEnvironment = admissionEnvironment({ authorizer: true });

/**
 * Evaluates all conditions, then looks at them in order: one that is false decides, whatever else failed. Throws ConditionError,
 * also where they cost more than they may, whatever those before gave.
 */
async function allHold(conditions: readonly Compiled[], evaluation: Evaluation, of: ConditionsOf): Promise<boolean> {
  const began_ms = performance.now();
  let areTrue = false;
  try {
    const outcomes: (boolean | ExpressionError)[] = [];
    for (const each of conditions) outcomes.push(await outcomeOf(each, evaluation));
    const failures: string[] = [];
    for (const outcome of outcomes) {
      if (outcome === false) return false;
      if (outcome === true) continue;
      conditionFailed(of);
      failures.push(outcome.message);
    }
    if (failures.length > 0) throw new ConditionError(joinErrors(failures));
    areTrue = true;
    return true;
  } catch (error) {
    throw error instanceof OutOfBudget ? new ConditionError(error.message) : error;
  } finally {
    if (!areTrue) conditionsEvaluated(of, began_ms);
  }
}

async function outcomeOf(condition: Compiled, evaluation: Evaluation): Promise<boolean | ExpressionError> {
  try {
    return (await evaluation.evaluate(programOf(condition))) !== false;
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
}

/** Of a policy, for one request and one object that parameterises it: each group of conditions has a budget of its own. Throws
 *  ConditionError. */
export async function policyApplies(
  name: string,
  { conditions, variables }: CompiledBase,
  { view, params, authorizer }: Pick<EvaluationOptions, "view" | "params" | "authorizer">,
): Promise<boolean> {
  if (conditions.length === 0) return true;
  const of = { name, kind: "policy", type: "validate", operation: view.attributes.operation } as const;
  // Upstream does not show them the namespace.
  const shown = { ...view, namespace: undefined };
  return allHold(
    conditions,
    new Evaluation({ view: shown, budget: CONDITIONS_COST, params, variables, authorizer }),
    of,
  );
}

const MAX_COMPILED = 1000;

/** The conditions of webhooks. */
export class WebhookConditions implements Conditions {
  readonly #compiled = new BoundedMap<Compiled>(MAX_COMPILED);

  constructor(
    private readonly reader: ResourceReader,
    private readonly authorizer: Authorizer,
  ) {}

  async hold(
    conditions: readonly MatchCondition[],
    attributes: AdmissionAttributes,
    match: Match,
    of: Omit<ConditionsOf, "operation">,
  ): Promise<boolean> {
    const programs = conditions.map(({ expression }) => this.#program(expression));
    const view = await viewOf(attributes, match, (name) => this.reader.get(namespaces, { name }));
    // Upstream does not show them the namespace.
    const evaluation = new Evaluation({
      view: { ...view, namespace: undefined },
      authorizer: this.authorizer,
      budget: CONDITIONS_COST,
    });
    return allHold(programs, evaluation, { ...of, operation: attributes.operation });
  }

  #program(expression: string): Compiled {
    const known = this.#compiled.get(expression);
    if (known) return known;
    const made = compiled(expression, webhookEnvironment, [bool]);
    this.#compiled.set(expression, made);
    return made;
  }
}
