/** What is wrong with the CEL rules of a schema themselves, where they are written (KEP-2876). */
import type { JSONSchemaProps, ValidationRule } from "#shared/api/types/apiextensions-v1.generated.ts";
import { sizeOfSchema } from "#shared/cel/schema-size.ts";
import { typeOfSchema } from "#shared/cel/schema-type.ts";
import type { Field } from "../resources/validation/field.ts";
import { compileRule, environmentOf } from "./compiled-rule.ts";
import { partsOf, RuleCosts } from "./rule-costs.ts";
import { itemsOf } from "./structural-schema.ts";

/** What is wrong with the rules, at their places below `field`. What one rule costs does not count in a schema that
 *  `isUnchanged`. */
export function checkRules(schema: JSONSchemaProps, isUnchanged: boolean, field: Field): void {
  const costs = new RuleCosts(isUnchanged);
  checkNode(schema, { path: "selfType", isResource: true, uncorrelated: undefined, count: 1 }, costs, field);
  costs.judgeTotal(field);
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
  const { properties = {}, additionalProperties } = schema;
  const items = itemsOf(schema);
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
  if (items) below(items, "@idx", ofItems, field.at("items"));
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
  const rule = compileRule(written, type, schema);
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
