import type { FieldError } from "#shared/api/errors.ts";
import type {
  AuditAnnotation,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  Validation,
  Variable,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { MutatingAdmissionPolicyBinding } from "#shared/api/types/admissionregistration-v1beta1.generated.ts";
import { policyProblems } from "../../admission/policies/expression-problems.ts";
import { tellFault } from "../validation/expression-fault.ts";
import { collect, each, type Field, oneOf, requiredOneOf, semanticEqual } from "../validation/field.ts";
import { isDns1035Label, isDns1123Subdomain, isPathSegment, isQualifiedName } from "../validation/names.ts";
import { validateConditions } from "../validation/object-meta.ts";
import { validateLabelSelector } from "../validation/selectors.ts";
import { applyMatchDefaults, failurePolicies, validateMatchConditions, validateMatchResources } from "./rule-rules.ts";

type Policy = ValidatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding;

const maxAuditAnnotations = 20;
const maxValueExpression_bytes = 5 * 1024;
const reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
const actions = ["Audit", "Deny", "Warn"];
const reserved = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

export function applyPolicyDefaults({ spec }: Policy): void {
  spec.failurePolicy ??= "Fail";
  if (spec.matchConstraints) applyMatchDefaults(spec.matchConstraints);
}

export function applyPolicyBindingDefaults({ spec }: Binding | MutatingAdmissionPolicyBinding): void {
  if (spec.matchResources) applyMatchDefaults(spec.matchResources);
}

export const validatePolicy = (policy: Policy, old?: Readonly<Policy>): FieldError[] =>
  collect((root) => {
    const { spec } = policy;
    const field = root.at("spec");
    const { validations = [], auditAnnotations } = spec;
    if (spec.failurePolicy === undefined) field.at("failurePolicy").required();
    else oneOf(spec.failurePolicy, failurePolicies, field.at("failurePolicy"));
    if (spec.paramKind) validateParamKind(spec.paramKind, field.at("paramKind"));
    const match = field.at("matchConstraints");
    if (spec.matchConstraints) {
      validateMatchResources(spec.matchConstraints, match);
      if (!spec.matchConstraints.resourceRules?.length) match.at("resourceRules").required();
    } else match.required();
    const areConditionsOld =
      old !== undefined &&
      semanticEqual(spec.paramKind, old.spec.paramKind) &&
      semanticEqual(spec.matchConditions, old.spec.matchConditions);
    if (!areConditionsOld)
      validateMatchConditions(spec.matchConditions, field.at("matchConditions"), spec.paramKind !== undefined);
    each(spec.variables, field.at("variables"), validateVariable);
    if (validations.length === 0 && !auditAnnotations?.length) {
      const message = "validations or auditAnnotations must contain at least one item";
      field.at("validations").required(message);
      field.at("auditAnnotations").required(message);
      return;
    }
    each(validations, field.at("validations"), validateValidation);
    validateAuditAnnotations(policy.metadata.name ?? "", auditAnnotations ?? [], field.at("auditAnnotations"));
    // What was accepted once stays valid.
    if (old !== undefined && semanticEqual(spec, old.spec)) return;
    for (const { path, expression, ...fault } of policyProblems(policy)) {
      const at = path.reduce<Field>((f, step) => (typeof step === "number" ? f.index(step) : f.at(step)), field);
      tellFault(expression.trim(), fault, at);
    }
  });

export const validatePolicyStatus = ({ status }: Policy): FieldError[] =>
  collect((root) => {
    const field = root.at("status");
    each(status?.typeChecking?.expressionWarnings, field.at("typeChecking", "expressionWarnings"), (each, at) => {
      if (!each.warning) at.at("warning").required();
      if (!each.fieldRef?.trim()) at.at("fieldRef").required();
    });
    validateConditions(status?.conditions ?? [], field.at("conditions"));
  });

export const validatePolicyBinding = ({ spec }: Binding): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { policyName, paramRef, matchResources, validationActions = [] } = spec;
    if (policyName) field.at("policyName").invalidEach(policyName, isDns1123Subdomain(policyName));
    else field.at("policyName").required();
    if (paramRef) validateParamRef(paramRef, field.at("paramRef"));
    if (matchResources) validateMatchResources(matchResources, field.at("matchResources"));
    validateActions(validationActions, field.at("validationActions"));
  });

function validateActions(given: readonly string[], field: Field): void {
  const seen = new Set<string>();
  each(given, field, (action, at) => {
    oneOf(action, actions, at);
    if (seen.has(action)) at.duplicate(action);
    seen.add(action);
  });
  if (seen.has("Deny") && seen.has("Warn")) {
    field.invalid(
      given,
      "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
    );
  }
  if (seen.size === 0) field.required("at least one validation action is required");
}

export function validateParamKind({ apiVersion = "", kind = "" }: ParamKind, field: Field): void {
  const at = field.at("apiVersion");
  if (apiVersion === "") at.required();
  else if (apiVersion.split("/").length > 2) at.invalid(apiVersion, `unexpected GroupVersion string: ${apiVersion}`);
  else {
    const slash = apiVersion.indexOf("/");
    const [group, version] = [apiVersion.slice(0, Math.max(0, slash)), apiVersion.slice(slash + 1)];
    const groupFaults = group === "" ? [] : isDns1123Subdomain(group);
    if (groupFaults.length > 0) at.invalid(group, groupFaults.join(","));
    const versionFaults = isDns1035Label(version);
    if (version === "") at.invalid(apiVersion, "version must be specified");
    else if (versionFaults.length > 0) at.invalid(version, versionFaults.join(","));
  }
  const faults = isDns1035Label(kind.toLowerCase());
  if (kind === "") field.at("kind").required();
  else if (faults.length > 0)
    field.at("kind").invalid(kind, `may have mixed case, but should otherwise match: ${faults.join(",")}`);
}

export function validateParamRef({ name, selector, parameterNotFoundAction: action }: ParamRef, field: Field): void {
  if (name) field.at("name").invalidEach(name, isPathSegment(name));
  if (selector) validateLabelSelector(selector, field.at("selector"));
  if (name && selector)
    for (const key of ["name", "selector"]) field.at(key).forbidden("name and selector are mutually exclusive");
  if (!name && !selector) field.required("one of name or selector must be specified");
  requiredOneOf(action, ["Deny", "Allow"], field.at("parameterNotFoundAction"));
}

export function validateVariable({ name, expression }: Variable, field: Field): void {
  if (!name?.trim()) field.at("name").required("name is not specified");
  else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) || reserved.has(name))
    field.at("name").invalid(name, "must be a valid CEL identifier");
  if (!expression?.trim()) field.at("expression").required("expression is not specified");
}

function validateValidation({ expression, message = "", messageExpression = "", reason }: Validation, field: Field) {
  if (!expression?.trim()) field.at("expression").required("expression is not specified");
  for (const [key, text] of Object.entries({ messageExpression, message }))
    if (text !== "" && text.trim() === "") field.at(key).invalid(text, "must be non-empty if specified");
  if (/[\n\r]/.test(message.trim())) field.at("message").invalid(message, "must not contain line breaks");
  if (reason !== undefined) oneOf(reason, reasons, field.at("reason"));
}

function validateAuditAnnotations(name: string, annotations: readonly AuditAnnotation[], field: Field): void {
  // Upstream shows them under the names that they have in Go.
  const shown = annotations.map(({ key, valueExpression }) => ({ Key: key, ValueExpression: valueExpression }));
  if (annotations.length > maxAuditAnnotations)
    field.invalid(shown, `must not have more than ${maxAuditAnnotations} auditAnnotations`);
  const seen = new Set<string>();
  each(annotations, field, ({ key, valueExpression }, at) => {
    if (name === "") at.at("key").invalid(key, "requires metadata.name be non-empty");
    else at.at("key").invalidEach(`${name}/${key}`, isQualifiedName(`${name}/${key}`));
    const text = valueExpression?.trim() ?? "";
    if (text === "") at.at("valueExpression").required("valueExpression is not specified");
    else if (Buffer.byteLength(text) > maxValueExpression_bytes)
      at.at("valueExpression").required(`must not exceed ${maxValueExpression_bytes} bytes in length`);
    if (seen.has(key)) at.at("key").duplicate(key);
    seen.add(key);
  });
}
