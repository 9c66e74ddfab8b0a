import type { JSONSchemaProps, ValidationRule } from "#shared/api/types/apiextensions-v1.generated.ts";
import { FieldPathError, fieldPathOf } from "../../extensions/field-path.ts";
import type { Field } from "../validation/field.ts";

const reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

const breaks = (text: string): boolean => /[\n\r]/.test(text);

/** The texts of `x-kubernetes-validations`, before any is compiled. */
export function checkRuleTexts(schema: JSONSchemaProps, field: Field): void {
  for (const [index, rule] of (schema["x-kubernetes-validations"] ?? []).entries()) {
    const at = field.at("x-kubernetes-validations").index(index);
    const { rule: expression = "", message = "" } = rule;
    if (expression.trim() === "") at.at("rule").required("rule is not specified");
    else if (message !== "" && message.trim() === "")
      at.at("message").invalid(message, "must be non-empty if specified");
    else if (breaks(message.trim())) at.at("message").invalid(message, "must not contain line breaks");
    else if (breaks(expression.trim()) && message.trim() === "") {
      at.at("message").required("message must be specified if rule contains line breaks");
    }
    checkRuleParts(schema, rule, at);
  }
}

/** What stands beside the expression and its message. */
function checkRuleParts(schema: JSONSchemaProps, rule: ValidationRule, at: Field): void {
  const { messageExpression = "", reason, fieldPath = "" } = rule;
  if (messageExpression !== "" && messageExpression.trim() === "") {
    at.at("messageExpression").required("messageExpression must be non-empty if specified");
  }
  if (reason !== undefined && !reasons.includes(reason)) at.at("reason").notSupported(reason, reasons);
  if (fieldPath !== "" && fieldPath.trim() === "")
    at.at("fieldPath").invalid(fieldPath, "must be non-empty if specified");
  if (breaks(fieldPath)) at.at("fieldPath").invalid(fieldPath, "must not contain line breaks");
  if (fieldPath !== "" && leadsNowhere(schema, fieldPath)) {
    at.at("fieldPath").invalid(fieldPath, "must be a valid path");
  }
}

function leadsNowhere(schema: JSONSchemaProps, path: string): boolean {
  try {
    fieldPathOf(path, schema);
    return false;
  } catch (error) {
    if (error instanceof FieldPathError) return true;
    throw error;
  }
}
