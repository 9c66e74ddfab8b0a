import type { FieldError } from "#shared/api/errors.ts";
import { isJsonObject, type JsonObject, member } from "#shared/api/patch/json-value.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { CostExceeded } from "#shared/cel/frame.ts";
import type { Type } from "#shared/cel/types.ts";
import { type CelError, fromJson, Optional, type Value } from "#shared/cel/values.ts";
import { Field } from "../resources/validation/field.ts";
import type { CompiledRule } from "./compiled-rule.ts";
import { isUnchanged, keysOf } from "./correlation.ts";
import type { RuleNode } from "./rule-node.ts";

/** What one rule may cost, and all rules of one object together (apiserver's apis/cel/config.go). */
const PER_RULE_COST = 1_000_000;
const PER_OBJECT_COST = 10_000_000;
const MAX_MESSAGE_BYTES = 5 * 1024;
const NO_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run";

/** Where a value of the present object was before. */
export interface Before {
  /** undefined: there is no counterpart. */
  readonly value: unknown;
  /** The value, or the nearest one around it that has a counterpart, is what it was: faults are borne with. */
  readonly unchanged: boolean;
}

/** No more rules are run. */
class OutOfBudget extends Error {}

/** One judging of one object. */
export class RuleJudgement {
  readonly #errors: FieldError[] = [];
  #budget = PER_OBJECT_COST;

  constructor(private readonly warn?: (text: string) => void) {}

  run(root: RuleNode, value: unknown, before: Before | undefined, path: string): FieldError[] {
    try {
      this.#node(root, value, before, new Field(path, this.#errors));
    } catch (error) {
      if (!(error instanceof OutOfBudget)) throw error;
    }
    return this.#errors.map((error) => (error.field === "" ? { ...error, field: "<nil>" } : error));
  }

  #node(node: RuleNode, value: unknown, before: Before | undefined, field: Field): void {
    if (value === null || value === undefined) return;
    if (node.rules.length > 0 && this.#budget <= 0) {
      field.invalid(node.schema.type ?? "", NO_BUDGET);
      throw new OutOfBudget();
    }
    for (const rule of node.rules) this.#rule(node, rule, value, before, field);
    if (Array.isArray(value)) this.#items(node, value, before, field);
    else if (isJsonObject(value)) this.#fields(node, value, before, field);
  }

  #fields(node: RuleNode, object: JsonObject, before: Before | undefined, field: Field): void {
    for (const key of Object.keys(object)) {
      const property = node.properties.get(key);
      const child = property ?? (Object.hasOwn(node.schema.properties ?? {}, key) ? undefined : node.additional);
      if (!child) continue;
      const value = member(object, key);
      const old = isJsonObject(before?.value) ? member(before.value, key) : undefined;
      this.#node(child, value, next(before, old, value, child.schema), property ? field.at(key) : field.key(key));
    }
  }

  #items(node: RuleNode, list: readonly unknown[], before: Before | undefined, field: Field): void {
    const { items } = node;
    if (!items) return;
    const keys =
      node.schema["x-kubernetes-list-type"] === "map" ? (node.schema["x-kubernetes-list-map-keys"] ?? []) : [];
    const idOf = (item: unknown): string | undefined => (keys.length > 0 ? keysOf(item, keys) : undefined);
    const old = Array.isArray(before?.value)
      ? new Map(before.value.map((item: unknown) => [idOf(item), item]))
      : undefined;
    for (const [index, item] of list.entries()) {
      const id = idOf(item);
      const counterpart = id === undefined ? undefined : old?.get(id);
      this.#node(items, item, next(before, counterpart, item, items.schema), field.index(index));
    }
  }

  #rule(node: RuleNode, rule: CompiledRule, value: unknown, before: Before | undefined, field: Field): void {
    const { written, program, usesOld } = rule;
    const hasOld = before?.value !== undefined && before.value !== null;
    if (usesOld && !hasOld && !written.optionalOldSelf) return;
    const type = node.type as Type;
    const typeText = node.schema.type ?? "";
    const variables = (name: string): Value | undefined => {
      if (name === "self") return fromJson(value, type);
      if (name !== "oldSelf") return undefined;
      const old = hasOld ? fromJson(before?.value, type) : undefined;
      return written.optionalOldSelf ? new Optional(old) : (old ?? null);
    };
    const shown = written.message?.trim() || written.rule.trim();
    const run = program.evaluate(variables, PER_RULE_COST);
    if (run.cost > this.#budget) {
      field.invalid(typeText, NO_BUDGET);
      throw new OutOfBudget();
    }
    this.#budget -= run.cost;
    if (run.error) {
      this.#fail(run.error, shown, typeText, field);
      return;
    }
    if (run.value === true) return;
    const isBorneWith = !usesOld && before?.unchanged === true;
    const faults = isBorneWith ? field.apart() : { field, errors: [] };
    try {
      const text = this.#messageOf(node, rule, variables, faults.field);
      this.#report(rule, text ?? `failed rule: ${written.rule.trim()}`, value, faults.field);
    } finally {
      for (const error of faults.errors) this.warn?.(`${error.field}: ${error.message}`);
    }
  }

  #fail(error: CelError | CostExceeded, rule: string, typeText: string, field: Field): void {
    const { message } = error;
    if (error instanceof CostExceeded) {
      const why = "no further validation rules will be run due to call cost exceeds limit for rule";
      field.invalid(typeText, `'${message}': ${why}: ${rule}`);
      throw new OutOfBudget();
    }
    const isOverload = message.startsWith("no such overload");
    const why = "call arguments did not match a supported operator, function or macro signature for rule";
    field.invalid(typeText, isOverload ? `'${message}': ${why}: ${rule}` : `${message} evaluating rule: ${rule}`);
  }

  #messageOf(
    { schema }: RuleNode,
    rule: CompiledRule,
    variables: (name: string) => Value | undefined,
    field: Field,
  ): string | undefined {
    const { written, message } = rule;
    const fixed = written.message?.trim() || undefined;
    if (!message) return fixed;
    const run = message.evaluate(variables, PER_RULE_COST);
    if (run.error instanceof CostExceeded || run.cost > this.#budget) {
      const source = goQuote(written.messageExpression ?? "");
      const detail =
        run.cost > this.#budget
          ? "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
          : `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${source}`;
      this.#placeOf(rule, field).invalid(schema.type ?? "", detail);
      throw new OutOfBudget();
    }
    this.#budget -= run.cost;
    const text = typeof run.value === "string" ? run.value.trim() : "";
    const isFit = text !== "" && !/[\n\r]/.test(text) && Buffer.byteLength(text) <= MAX_MESSAGE_BYTES;
    return isFit ? text : fixed;
  }

  #placeOf({ place }: CompiledRule, field: Field): Field {
    return place === "" ? field : field.at(place);
  }

  #report(rule: CompiledRule, detail: string, value: unknown, field: Field): void {
    const { written } = rule;
    const at = this.#placeOf(rule, field);
    const isPlain = typeof value !== "object";
    switch (written.reason) {
      case "FieldValueRequired":
        at.required(detail);
        break;
      case "FieldValueForbidden":
        at.forbidden(detail);
        break;
      case "FieldValueDuplicate":
        if (isPlain) at.duplicate(value);
        else at.duplicateWithoutValue();
        break;
      default:
        if (isPlain) at.invalid(value, detail);
        else at.invalidWithoutValue(detail);
    }
  }
}

/** The old side of a part. */
function next(
  before: Before | undefined,
  counterpart: unknown,
  value: unknown,
  schema: JSONSchemaProps,
): Before | undefined {
  if (!before) return undefined;
  if (counterpart === undefined) return { value: undefined, unchanged: before.unchanged };
  return { value: counterpart, unchanged: before.unchanged || isUnchanged(schema, value, counterpart) };
}
