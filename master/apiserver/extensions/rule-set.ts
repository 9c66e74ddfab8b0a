/** The CEL rules (x-kubernetes-validations) of a schema: compiled once, judged on every write (KEP-2876). */
import type { FieldError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { isJsonObject, type JsonObject, member } from "#shared/api/patch/json-value.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { JSONSchemaProps, ValidationRule } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { Environment } from "#shared/cel/checker.ts";
import { CostExceeded } from "#shared/cel/frame.ts";
import { FunctionTable } from "#shared/cel/functions.ts";
import { kubernetesLibrary } from "#shared/cel/kubernetes-library.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { sizeOfSchema } from "#shared/cel/schema-size.ts";
import { typeOfSchema } from "#shared/cel/schema-type.ts";
import { standardLibrary } from "#shared/cel/standard-library.ts";
import { bool, optionalOf, string, type Type } from "#shared/cel/types.ts";
import { type CelError, fromJson, Optional, type Value } from "#shared/cel/values.ts";
import { Field } from "../resources/validation/field.ts";
import { isUnchanged, keysOf } from "./correlation.ts";
import { FieldPathError, fieldPathOf } from "./field-path.ts";
import { partsOf, RuleCosts } from "./rule-costs.ts";
import { ruleCompilations, ruleEvaluations, timed } from "./rule-metrics.ts";

/** What one rule may cost, and all rules of one object together (apiserver's apis/cel/config.go). */
const PER_RULE_COST = 1_000_000;
const PER_OBJECT_COST = 10_000_000;
const MAX_MESSAGE_BYTES = 5 * 1024;
const NO_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run";

const functions = new FunctionTable(standardLibrary, kubernetesLibrary);

interface Rule {
  readonly written: ValidationRule;
  readonly program: Program;
  readonly message: Program | undefined;
  readonly usesOld: boolean;
  /** The field below that errors are told of; empty for the value itself. */
  readonly place: string;
}

/** Text of what is wrong with a rule, and in which of its fields. */
interface RuleFault {
  readonly part: "rule" | "messageExpression" | "optionalOldSelf";
  readonly detail: string;
}

function asCompileError(error: unknown): CompileError {
  if (error instanceof CompileError) return error;
  throw error;
}

function environmentOf({ optionalOldSelf }: ValidationRule, self: Type): Environment {
  const old = optionalOldSelf ? optionalOf(self) : self;
  const variables = new Map([
    ["self", self],
    ["oldSelf", old],
  ]);
  return { variables, functions };
}

function placeOf({ fieldPath = "" }: ValidationRule, schema: JSONSchemaProps): string {
  try {
    return fieldPathOf(fieldPath, schema).text;
  } catch (error) {
    // Such a path is refused where it is written.
    if (error instanceof FieldPathError) return "";
    throw error;
  }
}

const compiled = (written: ValidationRule, self: Type, schema: JSONSchemaProps): Rule | RuleFault =>
  timed(ruleCompilations, () => compile(written, self, schema));

function compile(written: ValidationRule, self: Type, schema: JSONSchemaProps): Rule | RuleFault {
  const environment = environmentOf(written, self);
  let program: Program;
  try {
    program = Program.compile(written.rule, environment);
  } catch (error) {
    return { part: "rule", detail: asCompileError(error).told };
  }
  if (!program.givesExactly(bool)) return { part: "rule", detail: "cel expression must evaluate to a bool" };
  const usesOld = program.uses("oldSelf");
  if (!usesOld && written.optionalOldSelf !== undefined) {
    return { part: "optionalOldSelf", detail: "may not be set if oldSelf is not used in rule" };
  }
  let message: Program | undefined;
  if (written.messageExpression) {
    try {
      message = Program.compile(written.messageExpression, environment);
    } catch (error) {
      const { step, message: why } = asCompileError(error);
      return { part: "messageExpression", detail: `messageExpression ${step} failed: ${why}` };
    }
    if (!message.givesExactly(string))
      return { part: "messageExpression", detail: "messageExpression must evaluate to a string" };
  }
  return { written, program, message, usesOld, place: placeOf(written, schema) };
}

const rulesOf = (schema: JSONSchemaProps): readonly ValidationRule[] =>
  (schema["x-kubernetes-validations"] ?? []).filter(({ rule }) => rule.trim() !== "");

/** One node of a schema that has rules, or has such below. */
class RuleNode {
  private constructor(
    readonly schema: JSONSchemaProps,
    readonly type: Type | undefined,
    readonly rules: readonly Rule[],
    readonly properties: ReadonlyMap<string, RuleNode>,
    readonly additional: RuleNode | undefined,
    readonly items: RuleNode | undefined,
  ) {}

  static of(schema: JSONSchemaProps, path: string, isResource: boolean): RuleNode | undefined {
    const properties = new Map<string, RuleNode>();
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const node = RuleNode.of(property, `${path}.${name}`, false);
      if (node) properties.set(name, node);
    }
    const { additionalProperties, items } = schema;
    const additional =
      typeof additionalProperties === "object" ? RuleNode.of(additionalProperties, `${path}.@prop`, false) : undefined;
    const ofItems =
      items && !Array.isArray(items) ? RuleNode.of(items as JSONSchemaProps, `${path}.@idx`, false) : undefined;
    const written = rulesOf(schema);
    if (written.length === 0 && properties.size === 0 && !additional && !ofItems) return undefined;
    const type = written.length > 0 ? typeOfSchema(schema, path, isResource) : undefined;
    // What does not compile was refused when it was written; it judges nothing.
    const rules = type
      ? written.map((each) => compiled(each, type, schema)).filter((each): each is Rule => "program" in each)
      : [];
    return new RuleNode(schema, type, rules, properties, additional, ofItems);
  }
}

/** Where a value of the present object was before. */
interface Before {
  /** undefined: there is no counterpart. */
  readonly value: unknown;
  /** The value, or the nearest one around it that has a counterpart, is what it was: faults are borne with. */
  readonly unchanged: boolean;
}

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

  /** What is wrong with the rules themselves, at their places below `field`. What one rule costs does not count in a schema
   *  that `isUnchanged`. */
  static checkRules(schema: JSONSchemaProps, isUnchanged: boolean, field: Field): void {
    const costs = new RuleCosts(isUnchanged);
    checkNode(schema, { path: "selfType", isResource: true, uncorrelated: undefined, count: 1 }, costs, field);
    costs.judgeTotal(field);
  }

  /** Judges an object, on an update with what it was. What is wrong with parts that have not changed is told by `warn`. */
  check(object: KubeObject, old: KubeObject | undefined, warn?: (text: string) => void): FieldError[] {
    const { schema } = this.#root;
    const before = old && { value: old, unchanged: isUnchanged(schema, object, old) };
    return timed(ruleEvaluations, () => new Judgement(warn).run(this.#root, object, before, ""));
  }

  /** Judges a value alone, as on a create. */
  checkValue(value: unknown, path: string): FieldError[] {
    return timed(ruleEvaluations, () => new Judgement().run(this.#root, value, undefined, path));
  }
}

/** The rule as upstream shows it in an error. */
const shownRule = ({
  rule,
  message = "",
  messageExpression = "",
  reason,
  fieldPath = "",
  optionalOldSelf,
}: ValidationRule) => ({
  Rule: rule,
  Message: message,
  MessageExpression: messageExpression,
  Reason: reason ?? null,
  FieldPath: fieldPath,
  OptionalOldSelf: optionalOldSelf ?? null,
});

const NO_TYPE =
  "internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations";

interface NodePlace {
  /** Names the type. */
  readonly path: string;
  readonly isResource: boolean;
  /** The path of the first ancestor whose parts cannot be found again in an old object. */
  readonly uncorrelated: string | undefined;
  /** How many values of the node there can be, where something bounds it. */
  readonly count: number | undefined;
}

function checkNode(schema: JSONSchemaProps, place: NodePlace, costs: RuleCosts, field: Field): void {
  const { path, uncorrelated, count } = place;
  const rules = field.at("x-kubernetes-validations");
  const hasRules = (schema["x-kubernetes-validations"] ?? []).length > 0;
  if (hasRules && !typeOfSchema(schema, path, place.isResource)) rules.internal(NO_TYPE);
  for (const [index, written] of (schema["x-kubernetes-validations"] ?? []).entries()) {
    checkRule(written, schema, place, costs, rules.index(index));
  }
  const { properties = {}, additionalProperties, items } = schema;
  const ofItems = schema["x-kubernetes-list-type"] === "map" ? uncorrelated : (uncorrelated ?? field.path);
  const below = (child: JSONSchemaProps, step: string, within: string | undefined, at: Field): void => {
    const inner = { path: `${path}.${step}`, isResource: false, uncorrelated: within, count: partsOf(schema, count) };
    checkNode(child, inner, costs, at);
  };
  for (const [name, property] of Object.entries(properties)) {
    below(property, name, uncorrelated, field.at("properties").key(name));
  }
  if (typeof additionalProperties === "object") {
    below(additionalProperties, "@prop", uncorrelated, field.at("additionalProperties"));
  }
  if (items && !Array.isArray(items)) below(items as JSONSchemaProps, "@idx", ofItems, field.at("items"));
}

function checkRule(
  written: ValidationRule,
  schema: JSONSchemaProps,
  { path, isResource, uncorrelated, count }: NodePlace,
  costs: RuleCosts,
  at: Field,
): void {
  const type = typeOfSchema(schema, path, isResource);
  const size = sizeOfSchema(schema, isResource);
  // What no expression can look at is told once, of all rules of the node.
  if (!type || !size || written.rule.trim() === "") return;
  const rule = compiled(written, type, schema);
  const standing = { environment: environmentOf(written, type), size, count };
  const faulty = "part" in rule ? rule.part : undefined;
  if (faulty !== "rule") costs.rule(written, standing, at);
  if (faulty === undefined && written.messageExpression) costs.message(written, standing, at);
  if ("part" in rule) {
    const { part, detail } = rule;
    at.at(part).invalid(part === "optionalOldSelf" ? written.optionalOldSelf : shownRule(written), detail);
  } else if (rule.usesOld && uncorrelated !== undefined) {
    const detail = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelated}`;
    at.at("rule").invalid(written.rule, detail);
  }
}

/** No more rules are run. */
class OutOfBudget extends Error {}

/** One judging of one object. */
class Judgement {
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

  #rule(node: RuleNode, rule: Rule, value: unknown, before: Before | undefined, field: Field): void {
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
    rule: Rule,
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

  #placeOf({ place }: Rule, field: Field): Field {
    return place === "" ? field : field.at(place);
  }

  #report(rule: Rule, detail: string, value: unknown, field: Field): void {
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
