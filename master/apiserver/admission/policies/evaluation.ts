/** One request as expressions see it, and the running of expressions on it within one budget. */
import type { KubeObject } from "#shared/api/object.ts";
import type { Variables } from "#shared/cel/frame.ts";
import type { Program, Run } from "#shared/cel/program.ts";
import { dyn } from "#shared/cel/types.ts";
import { CelError, fromJson, MapValue, type Value } from "#shared/cel/values.ts";
import type { Authorizer, Decision } from "../../authz/authorizer.ts";
import type { AdmissionAttributes } from "../admission.ts";
import { type Match, namespaceOf, ownMatch, shownAs } from "../matching.ts";
import { admissionRequest } from "../webhooks/admission-review.ts";
import { authorizerOf, DecisionNeeded, requestResourceOf } from "./authorizer-library.ts";
import { namespaceType, requestType } from "./environment.ts";

/** What one expression may cost, and all of one policy on one request (apiserver's apis/cel/config.go). */
const PER_EXPRESSION_COST = 1_000_000;
export const POLICY_COST = 10_000_000;
export const CONDITIONS_COST = 2_500_000;
/** A decision a run, and no expression can pay for more checks than this. */
const MAX_RUNS = 64;

/** Nothing more can be evaluated. */
export class OutOfBudget extends Error {
  override readonly name = "OutOfBudget";
}

/** An expression that came to nothing, worded for whoever made the request. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
}

export interface RequestView {
  readonly attributes: AdmissionAttributes;
  readonly match: Match;
  readonly object: KubeObject | undefined;
  readonly oldObject: KubeObject | undefined;
  readonly namespace: KubeObject | undefined;
}

/** The objects of a request in the form of a match. */
export async function viewOf(
  attributes: AdmissionAttributes,
  match: Match,
  namespaceNamed: (name: string) => KubeObject | undefined,
): Promise<RequestView> {
  const { ref } = attributes.declaration;
  const isNamespace = ref.group === "" && ref.kind === "Namespace";
  const name = isNamespace ? "" : namespaceOf(attributes);
  return {
    attributes,
    match,
    object: await shownAs(attributes, match, attributes.object),
    oldObject: await shownAs(attributes, match, attributes.oldObject),
    namespace: name === "" ? undefined : namespaceNamed(name),
  };
}

/** Variables of a policy: each is worked out when it is first asked for. */
class LazyVariables extends MapValue {
  readonly #known = new Map<string, Value | CelError>();

  constructor(
    private readonly programs: ReadonlyMap<string, Program>,
    private readonly evaluate: (program: Program) => Run,
  ) {
    super();
  }
  get size(): number {
    return this.programs.size;
  }
  get(key: Value): Value | undefined {
    const program = typeof key === "string" ? this.programs.get(key) : undefined;
    if (!program || typeof key !== "string") return undefined;
    let value = this.#known.get(key);
    if (value === undefined) {
      value = this.#evaluated(key, program);
      this.#known.set(key, value);
    }
    if (value instanceof CelError) throw value;
    return value;
  }
  #evaluated(key: string, program: Program): Value | CelError {
    const { value, error } = this.evaluate(program);
    if (!error) return value;
    return new CelError(`composited variable ${JSON.stringify(key)} fails to evaluate: ${error.message}`);
  }
  *entries(): IterableIterator<readonly [Value, Value]> {
    for (const key of this.programs.keys()) yield [key, this.get(key) ?? null];
  }
}

export interface EvaluationOptions {
  readonly view: RequestView;
  /** Absent: expressions know none, nor do variables that they ask for. */
  readonly authorizer?: Authorizer | undefined;
  readonly budget: number;
  readonly params?: KubeObject | undefined;
  readonly variables?: ReadonlyMap<string, Program> | undefined;
}

export class Evaluation {
  readonly #options: EvaluationOptions;
  readonly #decisions = new Map<string, Decision>();
  readonly #fixed: ReadonlyMap<string, Value>;
  readonly #variables: LazyVariables;
  #budget: number;
  /** What variables have cost since the last expression. */
  #variablesCost = 0;

  constructor(options: EvaluationOptions) {
    this.#options = options;
    this.#budget = options.budget;
    const { view, params } = options;
    const { attributes, match } = view;
    const request = admissionRequest(attributes, match, "");
    const { group, plural } = ownMatch(attributes);
    // As it was asked for, whatever form it is shown in.
    const resource = {
      group,
      resource: plural,
      subresource: attributes.subresource,
      namespace: namespaceOf(attributes) || undefined,
      name: request.name,
    };
    this.#fixed = new Map<string, Value>([
      ["object", fromJson(view.object ?? null, dyn)],
      ["oldObject", fromJson(view.oldObject ?? null, dyn)],
      ["namespaceObject", fromJson(view.namespace ?? null, namespaceType)],
      ["request", fromJson(request, requestType)],
      ["params", fromJson(params ?? null, dyn)],
      ...(options.authorizer
        ? ([
            ["authorizer", authorizerOf(attributes.user, this.#decisions)],
            ["authorizer.requestResource", requestResourceOf(attributes.user, this.#decisions, resource)],
          ] as const)
        : []),
    ]);
    this.#variables = new LazyVariables(options.variables ?? new Map(), (program) => {
      const run = program.evaluate(this.#lookUp, PER_EXPRESSION_COST);
      this.#variablesCost += run.cost;
      return run;
    });
  }

  readonly #lookUp: Variables = (name) => (name === "variables" ? this.#variables : this.#fixed.get(name));

  #run(program: Program): Value {
    const run = program.evaluate(this.#lookUp, PER_EXPRESSION_COST);
    const cost = run.cost + this.#variablesCost;
    this.#variablesCost = 0;
    if (cost > this.#budget) throw outOfBudget();
    this.#budget -= cost;
    if (run.error) throw new ExpressionError(`expression '${program.source}' resulted in error: ${run.error.message}`);
    return run.value;
  }

  /** What is left of it. */
  get budget(): number {
    return this.#budget;
  }

  /** Runs one expression. Throws ExpressionError, OutOfBudget. */
  async evaluate(program: Program): Promise<Value> {
    for (let attempt = 0; attempt < MAX_RUNS; attempt += 1) {
      try {
        return this.#run(program);
      } catch (error) {
        const { authorizer } = this.#options;
        if (error instanceof DecisionNeeded && authorizer) {
          this.#decisions.set(error.key, await authorizer.authorize(error.attributes));
          continue;
        }
        throw error;
      }
    }
    throw new ExpressionError(`expression '${program.source}' resulted in error: too many authorization checks`);
  }
}

const outOfBudget = (): OutOfBudget =>
  new OutOfBudget("validation failed due to running out of cost budget, no further validation rules will be run");
