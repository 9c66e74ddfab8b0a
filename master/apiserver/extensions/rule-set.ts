/** The CEL rules (x-kubernetes-validations) of a schema: compiled once, judged on every write (KEP-2876). */
import type { FieldError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { isUnchanged } from "./correlation.ts";
import { RuleJudgement } from "./rule-judgement.ts";
import { ruleEvaluations, timed } from "./rule-metrics.ts";
import { RuleNode } from "./rule-node.ts";

export class RuleSet {
  readonly #root: RuleNode;

  private constructor(root: RuleNode) {
    this.#root = root;
  }

  /** undefined: no rule anywhere in the schema. */
  static of(schema: JSONSchemaProps): RuleSet | undefined {
    const root = RuleNode.of(schema, "selfType", true);
    return root && new RuleSet(root);
  }

  /** Judges an object, on an update with what it was. What is wrong with parts that have not changed is told by `warn`. */
  check(object: KubeObject, old: KubeObject | undefined, warn?: (text: string) => void): FieldError[] {
    const { schema } = this.#root;
    const before = old && { value: old, unchanged: isUnchanged(schema, object, old) };
    return timed(ruleEvaluations, () => new RuleJudgement(warn).run(this.#root, object, before, ""));
  }

  /** Judges a value alone, as on a create. */
  checkValue(value: unknown, path: string): FieldError[] {
    return timed(ruleEvaluations, () => new RuleJudgement().run(this.#root, value, undefined, path));
  }
}
