/** What the CEL rules of a schema may cost, estimated when they are written (KEP-2876). */
import type { JSONSchemaProps, ValidationRule } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { Environment } from "#shared/cel/checker.ts";
import { costFactorText, estimatedCost } from "#shared/cel/cost-estimate.ts";
import { plus, times } from "#shared/cel/cost-range.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { type DeclaredSize, mostInRequest } from "#shared/cel/schema-size.ts";
import type { Field } from "../resources/validation/field.ts";

/** Of one rule at all places where it is judged, and of all rules of a schema (apiextensions' validation.go). */
const RULE_LIMIT = 10_000_000;
const SCHEMA_LIMIT = 100_000_000;
/** How many of the rules that cost a hundredth of the limit or more are told. */
const TOLD_MAX = 4;

const ADVICE =
  "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";

const excess = (what: string, cost: number, limit: number): string =>
  `${what} exceeds budget by factor of ${costFactorText(cost, limit)} ${ADVICE}`;

/** How many values of each part there can be; undefined where nothing bounds it. */
export function partsOf(schema: JSONSchemaProps, count: number | undefined): number | undefined {
  const each = mostParts(schema);
  return count === undefined || each === undefined ? undefined : times(count, each);
}

function mostParts({ type, additionalProperties, maxProperties, maxItems }: JSONSchemaProps): number | undefined {
  const isMap = type === "object" && additionalProperties !== undefined;
  if (!isMap && type !== "array") return 1;
  const most = isMap ? maxProperties : maxItems;
  return most === undefined ? undefined : Math.max(most, 0);
}

/** Where a rule stands. */
export interface RulePlace {
  readonly environment: Environment;
  readonly size: DeclaredSize;
  /** Values that it is judged of at most; undefined where nothing bounds it but the size of a request. */
  readonly count: number | undefined;
}

export class RuleCosts {
  #total = 0;
  #dearest: { readonly field: Field; readonly cost: number }[] = [];

  /** `toleratesRules`: the schema is what it was, and was accepted. All rules together are judged anyway. */
  constructor(private readonly toleratesRules: boolean) {}

  rule({ rule }: ValidationRule, { environment, size, count }: RulePlace, field: Field): void {
    const cost = times(costOf(rule, environment, size), count ?? mostInRequest(size.least_bytes));
    this.#add("estimated rule cost", cost, field.at("rule"));
  }

  /** Judged once only, as the first rule that fails ends it. */
  message({ messageExpression = "" }: ValidationRule, { environment, size }: RulePlace, field: Field): void {
    const cost = costOf(messageExpression, environment, size);
    this.#add("estimated messageExpression cost", cost, field.at("messageExpression"));
  }

  #add(what: string, cost: number, field: Field): void {
    if (cost > RULE_LIMIT && !this.toleratesRules) field.forbidden(excess(what, cost, RULE_LIMIT));
    this.#total = plus(this.#total, cost);
    if (cost < SCHEMA_LIMIT / 100) return;
    this.#dearest = [...this.#dearest, { field, cost }].sort((a, b) => b.cost - a.cost).slice(0, TOLD_MAX);
  }

  /** Says at `field`, the schema's, that all rules together cost too much. */
  judgeTotal(field: Field): void {
    if (this.#total <= SCHEMA_LIMIT) return;
    for (const { field: dear } of this.#dearest) {
      dear.forbidden("contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema");
    }
    const what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
    field.forbidden(excess(what, this.#total, SCHEMA_LIMIT));
  }
}

function costOf(source: string, environment: Environment, declared: DeclaredSize): number {
  const notes = { types: new Map(), overloads: new Map() };
  try {
    const { expression } = Program.compile(source, environment, notes);
    return estimatedCost(expression, { notes, functions: environment.functions, declared });
  } catch (error) {
    // What does not compile is told already, and costs nothing.
    if (error instanceof CompileError) return 0;
    throw error;
  }
}
