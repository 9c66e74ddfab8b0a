/** ValidateMutatingAdmissionPolicy and ValidateMutatingAdmissionPolicyBinding of pkg/apis/admissionregistration. */
import type { FieldError } from "#shared/api/errors.ts";
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  Mutation,
  NamedRuleWithOperations,
} from "#shared/api/types/admissionregistration-v1beta1.generated.ts";
import { appliedObject, jsonPatchOperation } from "#shared/cel/mutation-types.ts";
import { dyn, listOf, type Type } from "#shared/cel/types.ts";
import { admissionEnvironment } from "../../admission/policies/environment.ts";
import { compiled, isFault } from "../../admission/policies/policy.ts";
import { tellFault } from "../validation/expression-fault.ts";
import { collect, each, type Field, oneOf, requiredOneOf, semanticEqual } from "../validation/field.ts";
import { isDns1123Subdomain } from "../validation/names.ts";
import { validateParamKind, validateParamRef, validateVariable } from "./policy-rules.ts";
import { applyMatchDefaults, failurePolicies, validateMatchConditions, validateMatchResources } from "./rule-rules.ts";

type Policy = MutatingAdmissionPolicy;

// What is deleted is not changed any more.
const operations = ["*", "CONNECT", "CREATE", "UPDATE"];
const patchTypes = ["ApplyConfiguration", "JSONPatch"];
const reinvocationPolicies = ["IfNeeded", "Never"];

export function applyMutatingPolicyDefaults({ spec }: Policy): void {
  spec.failurePolicy ??= "Fail";
  if (spec.matchConstraints) applyMatchDefaults(spec.matchConstraints);
}

export const validateMutatingPolicy = ({ spec }: Policy, old?: Readonly<Policy>): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { paramKind, matchConstraints, matchConditions, mutations = [] } = spec;
    if (spec.failurePolicy === undefined) field.at("failurePolicy").required();
    else oneOf(spec.failurePolicy, failurePolicies, field.at("failurePolicy"));
    if (paramKind) validateParamKind(paramKind, field.at("paramKind"));
    const match = field.at("matchConstraints");
    if (matchConstraints) {
      validateMatchResources(matchConstraints, match);
      if (!matchConstraints.resourceRules?.length) match.at("resourceRules").required();
      validateOperations(matchConstraints.resourceRules, match);
    } else match.required();
    const areConditionsOld =
      old !== undefined &&
      semanticEqual(paramKind, old.spec.paramKind) &&
      semanticEqual(matchConditions, old.spec.matchConditions);
    if (!areConditionsOld)
      validateMatchConditions(matchConditions, field.at("matchConditions"), paramKind !== undefined);
    // What was accepted once stays valid.
    const judgesExpressions = old === undefined || !semanticEqual(spec, old.spec);
    const types = validateVariables(spec, judgesExpressions, field.at("variables"));
    if (mutations.length === 0) field.at("mutations").required("mutations must contain at least one item");
    each(mutations, field.at("mutations"), (mutation, at) => {
      validateMutation(mutation, at, (expression, wanted, place) => {
        if (!judgesExpressions) return;
        const environment = admissionEnvironment({
          params: paramKind !== undefined,
          authorizer: true,
          variables: types,
          isMutation: true,
        });
        const made = compiled(expression, environment, [wanted]);
        if (isFault(made)) tellFault(expression, made, place);
      });
    });
    requiredOneOf(spec.reinvocationPolicy, reinvocationPolicies, field.at("reinvocationPolicy"));
  });

export const validateMutatingPolicyBinding = ({ spec }: MutatingAdmissionPolicyBinding): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { policyName, paramRef, matchResources } = spec;
    if (policyName) field.at("policyName").invalidEach(policyName, isDns1123Subdomain(policyName));
    else field.at("policyName").required();
    if (paramRef) validateParamRef(paramRef, field.at("paramRef"));
    if (!matchResources) return;
    validateMatchResources(matchResources, field.at("matchResources"));
    validateOperations(matchResources.resourceRules, field.at("matchResources"));
  });

/** Upstream names neither the rule nor the operation's place in it. */
function validateOperations(rules: readonly NamedRuleWithOperations[] = [], match: Field): void {
  for (const { operations: given = [] } of rules)
    for (const operation of given) oneOf(operation, operations, match.at("resourceRules", "operations"));
}

/** Gives the types of those that may be referred to. */
function validateVariables({ variables, paramKind }: Policy["spec"], judges: boolean, field: Field): Map<string, Type> {
  const types = new Map<string, Type>();
  each(variables, field, (variable, at) => {
    validateVariable(variable, at);
    const { name, expression } = variable;
    if (!expression?.trim()) return;
    const environment = admissionEnvironment({ params: paramKind !== undefined, authorizer: true, variables: types });
    const made = compiled(expression, environment, [dyn]);
    if (judges && isFault(made)) tellFault(expression, made, at.at("expression"));
    types.set(name, isFault(made) ? dyn : made.type);
  });
  return types;
}

type Judge = (expression: string, wanted: Type, field: Field) => void;

function validateMutation({ patchType, applyConfiguration, jsonPatch }: Mutation, field: Field, judge: Judge): void {
  requiredOneOf(patchType, patchTypes, field.at("patchType"));
  if (patchType !== "JSONPatch" && patchType !== "ApplyConfiguration") return;
  const isPatch = patchType === "JSONPatch";
  const [given, other] = isPatch ? [jsonPatch, applyConfiguration] : [applyConfiguration, jsonPatch];
  const [name, otherName] = isPatch ? ["jsonPatch", "applyConfiguration"] : ["applyConfiguration", "jsonPatch"];
  if (given) {
    const at = field.at(name, "expression");
    const expression = given.expression?.trim() ?? "";
    if (expression === "") at.required();
    else judge(expression, isPatch ? listOf(jsonPatchOperation) : appliedObject, at);
  } else field.at(name).required(`must be specified when patchType is ${patchType}`);
  // Upstream shows this text, not what stands there.
  if (other) field.at(otherName).invalid(`{${otherName}}`, `must not be specified when patchType is ${patchType}`);
}
