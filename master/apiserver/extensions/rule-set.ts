/** The CEL rules (x-kubernetes-validations) of a schema: compiled once, judged on every write (KEP-2876). */
import type { FieldError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { equalJson, isJsonObject, type JsonObject, member } from "#shared/api/patch/json-value.ts";
import type { JSONSchemaProps, ValidationRule } from "#shared/api/types/apiextensions-v1.generated.ts";
import { CostExceeded } from "#shared/cel/evaluator.ts";
import { FunctionTable } from "#shared/cel/functions.ts";
import { kubernetesLibrary } from "#shared/cel/kubernetes-library.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { typeOfSchema } from "#shared/cel/schema-type.ts";
import { standardLibrary } from "#shared/cel/standard-library.ts";
import { bool, optionalOf, string, type Type } from "#shared/cel/types.ts";
import { CelError, fromJson, Optional, type Value } from "#shared/cel/values.ts";
import { Field } from "../resources/validation/field.ts";

/** What one rule may cost, and all rules of one object together (apiserver's apis/cel/config.go). */
const PER_RULE_COST = 1_000_000;
const PER_OBJECT_COST = 10_000_000;
const MAX_MESSAGE_BYTES = 5 * 1024;

const functions = new FunctionTable(standardLibrary, kubernetesLibrary);

interface Rule {
  readonly written: ValidationRule;
  readonly program: Program;
  readonly message: Program | undefined;
  readonly usesOld: boolean;
}

/** Text of what is wrong with a rule, and in which of its fields. */
interface RuleFault {
  readonly part: "rule" | "messageExpression" | "optionalOldSelf";
  readonly detail: string;
}

const compileText = (error: unknown): string => {
  if (error instanceof CompileError) return `compilation failed: ${error.message}`;
  throw error;
};

function compiled(written: ValidationRule, self: Type): Rule | RuleFault {
  const old = written.optionalOldSelf ? optionalOf(self) : self;
  const variables = new Map([
    ["self", self],
    ["oldSelf", old],
  ]);
  const environment = { variables, functions };
  let program: Program;
  try {
    program = Program.compile(written.rule, environment);
  } catch (error) {
    return { part: "rule", detail: compileText(error) };
  }
  if (!program.gives(bool)) return { part: "rule", detail: "cel expression must evaluate to a bool" };
  const usesOld = program.uses("oldSelf");
  if (!usesOld && written.optionalOldSelf !== undefined) {
    return { part: "optionalOldSelf", detail: "may not be set if oldSelf is not used in rule" };
  }
  let message: Program | undefined;
  if (written.messageExpression) {
    try {
      message = Program.compile(written.messageExpression, environment);
    } catch (error) {
      return { part: "messageExpression", detail: `messageExpression ${compileText(error)}` };
    }
    if (!message.gives(string))
      return { part: "messageExpression", detail: "messageExpression must evaluate to a string" };
  }
  return { written, program, message, usesOld };
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
      ? written.map((each) => compiled(each, type)).filter((each): each is Rule => "program" in each)
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

  /** What is wrong with the rules themselves, at their places below `field`. */
  static checkRules(schema: JSONSchemaProps, field: Field): void {
    checkNode(schema, "selfType", true, undefined, field);
  }

  /** Judges an object, on an update with what it was. */
  check(object: KubeObject, old: KubeObject | undefined): FieldError[] {
    return new Judgement().run(this.#root, object, old && { value: old, unchanged: equalJson(object, old) }, "");
  }

  /** Judges a value alone, as on a create. */
  checkValue(value: unknown, path: string): FieldError[] {
    return new Judgement().run(this.#root, value, undefined, path);
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

/** `uncorrelated` is the path of the first ancestor whose parts cannot be found again in an old object. */
function checkNode(
  schema: JSONSchemaProps,
  path: string,
  isResource: boolean,
  uncorrelated: string | undefined,
  field: Field,
): void {
  const type = typeOfSchema(schema, path, isResource);
  for (const [index, written] of (schema["x-kubernetes-validations"] ?? []).entries()) {
    const at = field.at("x-kubernetes-validations").index(index);
    if (!type || written.rule.trim() === "") continue;
    const rule = compiled(written, type);
    if ("part" in rule) {
      at.at(rule.part).invalid(
        rule.part === "optionalOldSelf" ? written.optionalOldSelf : shownRule(written),
        rule.detail,
      );
    } else if (rule.usesOld && uncorrelated !== undefined) {
      const detail = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelated}`;
      at.at("rule").invalid(written.rule, detail);
    }
  }
  const { properties = {}, additionalProperties, items } = schema;
  const ofFields = schema["x-kubernetes-map-type"] === "atomic" ? (uncorrelated ?? field.path) : uncorrelated;
  for (const [name, property] of Object.entries(properties)) {
    checkNode(property, `${path}.${name}`, false, ofFields, field.at("properties").key(name));
  }
  if (typeof additionalProperties === "object") {
    checkNode(additionalProperties, `${path}.@prop`, false, uncorrelated, field.at("additionalProperties"));
  }
  if (items && !Array.isArray(items)) {
    const ofItems = schema["x-kubernetes-list-type"] === "map" ? uncorrelated : (uncorrelated ?? field.path);
    checkNode(items as JSONSchemaProps, `${path}.@idx`, false, ofItems, field.at("items"));
  }
}

/** No more rules are run. */
class OutOfBudget extends Error {}

/** One judging of one object. */
class Judgement {
  readonly #errors: FieldError[] = [];
  #budget = PER_OBJECT_COST;

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
    for (const rule of node.rules) this.#rule(node, rule, value, before, field);
    if (Array.isArray(value)) this.#items(node, value, before, field);
    else if (isJsonObject(value)) this.#fields(node, value, before, field);
  }

  #fields(node: RuleNode, object: JsonObject, before: Before | undefined, field: Field): void {
    const isAtomic = node.schema["x-kubernetes-map-type"] === "atomic";
    for (const key of Object.keys(object)) {
      const property = node.properties.get(key);
      const child = property ?? (Object.hasOwn(node.schema.properties ?? {}, key) ? undefined : node.additional);
      if (!child) continue;
      const value = member(object, key);
      const old = !isAtomic && isJsonObject(before?.value) ? member(before.value, key) : undefined;
      this.#node(child, value, next(before, old, value), property ? field.at(key) : field.key(key));
    }
  }

  #items(node: RuleNode, list: readonly unknown[], before: Before | undefined, field: Field): void {
    const { items } = node;
    if (!items) return;
    const keys =
      node.schema["x-kubernetes-list-type"] === "map" ? (node.schema["x-kubernetes-list-map-keys"] ?? []) : [];
    const idOf = (item: unknown): string | undefined =>
      isJsonObject(item) && keys.length > 0 ? JSON.stringify(keys.map((key) => member(item, key) ?? null)) : undefined;
    const old = Array.isArray(before?.value)
      ? new Map(before.value.map((item: unknown) => [idOf(item), item]))
      : undefined;
    for (const [index, item] of list.entries()) {
      const id = idOf(item);
      const counterpart = id === undefined ? undefined : old?.get(id);
      this.#node(items, item, next(before, counterpart, item), field.index(index));
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
    let holds: boolean;
    try {
      const run = program.run(variables, Math.min(PER_RULE_COST, this.#budget + 1));
      this.#budget -= run.cost;
      holds = run.value === true;
    } catch (error) {
      if (error instanceof CostExceeded) {
        const detail =
          this.#budget < PER_RULE_COST
            ? "validation failed due to running out of cost budget, no further validation rules will be run"
            : `'${error.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${shown}`;
        field.invalid(typeText, detail);
        throw new OutOfBudget();
      }
      if (!(error instanceof CelError)) throw error;
      field.invalid(
        typeText,
        error.message.startsWith("no such overload")
          ? `'${error.message}': call arguments did not match a supported operator, function or macro signature for rule: ${shown}`
          : `${error.message} evaluating rule: ${shown}`,
      );
      return;
    }
    if (holds || (!usesOld && before?.unchanged)) return;
    this.#report(rule, this.#messageOf(rule, variables) ?? `failed rule: ${written.rule.trim()}`, value, field);
  }

  #messageOf({ written, message }: Rule, variables: (name: string) => Value | undefined): string | undefined {
    const fixed = written.message?.trim() || undefined;
    if (!message) return fixed;
    try {
      const run = message.run(variables, Math.min(PER_RULE_COST, this.#budget + 1));
      this.#budget -= run.cost;
      const text = typeof run.value === "string" ? run.value.trim() : "";
      const isFit = text !== "" && !/[\n\r]/.test(text) && Buffer.byteLength(text) <= MAX_MESSAGE_BYTES;
      return isFit ? text : fixed;
    } catch (error) {
      if (error instanceof CelError || error instanceof CostExceeded) return fixed;
      throw error;
    }
  }

  #report({ written }: Rule, detail: string, value: unknown, field: Field): void {
    const path = (written.fieldPath ?? "")
      .trim()
      .replace(/\['([^']*)'\]/g, ".$1")
      .replace(/^\./, "");
    const at = path === "" ? field : field.at(path);
    const isPlain = typeof value !== "object";
    switch (written.reason) {
      case "FieldValueRequired":
        at.required(detail);
        break;
      case "FieldValueForbidden":
        at.forbidden(detail);
        break;
      case "FieldValueDuplicate":
        at.duplicate(value);
        break;
      default:
        if (isPlain) at.invalid(value, detail);
        else at.invalidWithoutValue(detail);
    }
  }
}

/** The old side of a part. */
function next(before: Before | undefined, counterpart: unknown, value: unknown): Before | undefined {
  if (!before) return undefined;
  if (counterpart === undefined) return { value: undefined, unchanged: before.unchanged };
  return { value: counterpart, unchanged: before.unchanged || equalJson(counterpart, value) };
}
