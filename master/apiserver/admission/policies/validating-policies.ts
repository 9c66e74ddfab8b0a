/** ValidatingAdmissionPolicy: CEL that refuses requests, warns of them, or notes them (KEP-3488). */
import { forbidden, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import { namespaces, validatingAdmissionPolicies, validatingAdmissionPolicyBindings } from "#shared/api/resources.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type {
  MatchResources,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { Program } from "#shared/cel/program.ts";
import type { Authorizer } from "../../authz/authorizer.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { ResourceTable } from "../../registry/resource-table.ts";
import type { ServedResource } from "../../registry/served-resource.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { isExempt, type Match, type MatchCriteria, type Matcher } from "../matching.ts";
import { allHold, ConditionError } from "./conditions.ts";
import {
  CONDITIONS_COST,
  Evaluation,
  ExpressionError,
  OutOfBudget,
  POLICY_COST,
  type RequestView,
  viewOf,
} from "./evaluation.ts";
import { type Compiled, type CompiledPolicy, compilePolicy, isFault } from "./policy.ts";
import { errorTypeOf, policyChecks } from "./policy-metrics.ts";

export interface PolicyParts {
  readonly reader: ResourceReader;
  readonly resources: ResourceTable;
  readonly matcher: Matcher;
  readonly authorizer: Authorizer;
}

type Policy = ValidatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding;

/** A reason to refuse. */
interface Denial {
  readonly message: string;
  readonly reason?: string | undefined;
  /** Place of the validation in its policy. */
  readonly index?: number | undefined;
}

/** The policy or the binding cannot be applied as it is written. */
class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
}

const MAX_COMPILED = 1000;
const MAX_ANNOTATION_BYTES = 10 * 1024;
const MAX_MESSAGE_BYTES = 5 * 1024;

const byName = (a: KubeObject, b: KubeObject): number => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1);

const criteriaOf = (match: MatchResources | undefined): MatchCriteria => ({
  rules: match?.resourceRules ?? [],
  exclude: match?.excludeResourceRules,
  namespaceSelector: match?.namespaceSelector,
  objectSelector: match?.objectSelector,
  matchPolicy: match?.matchPolicy,
});

export class ValidatingPolicies implements AdmissionPlugin {
  readonly name = "ValidatingAdmissionPolicy";
  readonly seesConnections = true;
  readonly #parts: PolicyParts;
  readonly #compiled = new Map<string, CompiledPolicy>();

  constructor(parts: PolicyParts) {
    this.#parts = parts;
  }

  validate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const policies = this.#parts.reader.list(validatingAdmissionPolicies);
    return policies.length === 0 || isExempt(attributes) ? undefined : this.#validate(policies, attributes);
  }

  async #validate(policies: readonly Policy[], attributes: AdmissionAttributes): Promise<void> {
    const bindings = this.#parts.reader.list(validatingAdmissionPolicyBindings);
    const denials: { readonly where: string; readonly denial: Denial }[] = [];
    for (const policy of policies.toSorted(byName)) {
      const own = bindings.filter(({ spec }) => spec.policyName === policy.metadata.name).toSorted(byName);
      if (own.length === 0) continue;
      const match = this.#parts.matcher.match(attributes, criteriaOf(policy.spec.matchConstraints));
      if (!match) continue;
      const { name } = policy.metadata;
      for (const binding of own) {
        const where = `ValidatingAdmissionPolicy '${name}' with binding '${binding.metadata.name}'`;
        for (const denial of await this.#bound(policy, binding, attributes, match)) denials.push({ where, denial });
      }
    }
    const [first] = denials;
    if (first) throw refusal(attributes, `${first.where} denied request: ${first.denial.message}`, first.denial.reason);
  }

  /** What one binding refuses; what it only warns of or notes is done here. */
  async #bound(policy: Policy, binding: Binding, attributes: AdmissionAttributes, match: Match): Promise<Denial[]> {
    const isLenient = policy.spec.failurePolicy === "Ignore";
    const { matchResources } = binding.spec;
    const criteria = { ...criteriaOf(matchResources), matchesAllWithoutRules: true };
    let params: readonly (KubeObject | undefined)[];
    try {
      if (matchResources && !this.#parts.matcher.match(attributes, criteria)) return [];
      params = this.#params(policy, binding, attributes);
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      return isLenient ? [] : [{ message: `failed to configure binding: ${error.message}` }];
    }
    const { reader } = this.#parts;
    const view = await viewOf(attributes, match, (name) => reader.get(namespaces, { name }));
    const denials: Denial[] = [];
    for (const param of params) {
      for (const denial of await this.#evaluate(policy, param, view, isLenient)) {
        if (enforced(policy, binding, denial, attributes)) denials.push(denial);
      }
    }
    return denials;
  }

  #compiledOf(policy: Policy): CompiledPolicy {
    const key = `${policy.metadata.uid}/${policy.metadata.generation}`;
    const known = this.#compiled.get(key);
    if (known) return known;
    if (this.#compiled.size >= MAX_COMPILED) this.#compiled.clear();
    const made = compilePolicy(policy);
    this.#compiled.set(key, made);
    return made;
  }

  async #evaluate(
    policy: Policy,
    params: KubeObject | undefined,
    view: RequestView,
    isLenient: boolean,
  ): Promise<Denial[]> {
    const compiled = this.#compiledOf(policy);
    const { authorizer } = this.#parts;
    const { variables } = compiled;
    /** Of one group of expressions: each has a budget of its own, and works out variables anew. */
    const withBudget = (budget: number, seen: RequestView = view): Evaluation =>
      new Evaluation({ view: seen, authorizer, budget, params, variables });
    const failed = (message: string): Denial[] => (isLenient ? [] : [{ message }]);
    try {
      const conditions = withBudget(CONDITIONS_COST, { ...view, namespace: undefined });
      if (!(await allHold(compiled.conditions.map(programOf), conditions))) return [];
    } catch (error) {
      if (error instanceof ConditionError || error instanceof ExpressionError) return failed(error.message);
      throw error;
    }
    try {
      const evaluation = withBudget(POLICY_COST);
      const outcomes = await outcomesOf(compiled, evaluation);
      const messages = await messagesOf(compiled, withBudget(evaluation.budget));
      const denials = outcomes.flatMap((outcome, index): Denial[] => {
        const written = policy.spec.validations?.[index];
        if (outcome instanceof ExpressionError) return isLenient ? [] : [{ message: outcome.message, index }];
        if (messages instanceof OutOfBudget) {
          return isLenient ? [] : [{ message: `failed messageExpression: ${messages.message}`, index }];
        }
        if (outcome) return [];
        const expression = `failed expression: ${written?.expression.trim()}`;
        const message = messages[index] || written?.message?.trim() || expression;
        return [{ message, reason: written?.reason, index }];
      });
      const audit = withBudget(POLICY_COST);
      return [...denials, ...(await annotate(policy, compiled, audit, view.attributes, isLenient))];
    } catch (error) {
      if (!(error instanceof OutOfBudget)) throw error;
      return failed(error.message);
    }
  }

  /** The objects that a binding parameterises its policy with; undefined stands for none at all. */
  #params(policy: Policy, binding: Binding, attributes: AdmissionAttributes): readonly (KubeObject | undefined)[] {
    const { paramKind } = policy.spec;
    const { paramRef } = binding.spec;
    if (!paramKind) return [undefined];
    const resource = this.#resourceOf(paramKind);
    if (!resource) {
      const shown = `${paramKind.apiVersion}, Kind=${paramKind.kind}`;
      throw new ConfigurationError(`failed to find resource referenced by paramKind: '${shown}'`);
    }
    if (!paramRef) return [undefined];
    const { namespaced } = resource.declaration.ref;
    if (!namespaced && paramRef.namespace) {
      throw new ConfigurationError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`");
    }
    const namespace = namespaced ? paramRef.namespace || attributes.namespace : undefined;
    if (namespaced && !namespace) {
      throw new ConfigurationError(
        "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources",
      );
    }
    const found = this.#paramObjects(resource, namespace, paramRef);
    if (found.length === 0 && paramRef.parameterNotFoundAction === "Deny") {
      throw new ConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction");
    }
    return found;
  }

  #paramObjects(
    resource: ServedResource,
    namespace: string | undefined,
    paramRef: NonNullable<Binding["spec"]["paramRef"]>,
  ): KubeObject[] {
    const cache = resource.stored?.cache;
    if (!cache) return [];
    if (paramRef.name) {
      const entry = cache.get(namespace === undefined ? paramRef.name : `${namespace}/${paramRef.name}`);
      return entry ? [resource.serve(entry).view()] : [];
    }
    const selector = labelSelectorOf(paramRef.selector ?? {});
    return cache
      .list(namespace)
      .filter((entry) => selector.matches(entry.indexed.labels))
      .map((entry) => resource.serve(entry).view());
  }

  #resourceOf({ apiVersion = "", kind = "" }: NonNullable<Policy["spec"]["paramKind"]>): ServedResource | undefined {
    const { group, version } = parseApiVersion(apiVersion);
    for (const resource of this.#parts.resources.all()) {
      const { gvk } = resource;
      if (gvk.group === group && gvk.version === version && gvk.kind === kind) return resource;
    }
    return undefined;
  }
}

/** Throws ExpressionError for one that does not compile: it is judged by the failure policy as one that fails. */
function programOf(compiled: Compiled): Program {
  if (!isFault(compiled)) return compiled;
  throw new ExpressionError(`compilation error: ${compiled.problem}`);
}

/** Of each validation, whether it holds, or how it failed. Throws OutOfBudget. */
async function outcomesOf(
  { validations }: CompiledPolicy,
  evaluation: Evaluation,
): Promise<readonly (boolean | ExpressionError)[]> {
  const outcomes: (boolean | ExpressionError)[] = [];
  for (const { rule } of validations) {
    try {
      outcomes.push((await evaluation.evaluate(programOf(rule))) === true);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      outcomes.push(error);
    }
  }
  return outcomes;
}

/** What the policy's expressions for messages say, of validations that hold too, from the budget that those have left. */
async function messagesOf(
  { validations }: CompiledPolicy,
  evaluation: Evaluation,
): Promise<readonly (string | undefined)[] | OutOfBudget> {
  const messages: (string | undefined)[] = [];
  for (const { message } of validations) {
    try {
      const value = message && (await evaluation.evaluate(programOf(message)));
      const text = typeof value === "string" ? value.trim() : "";
      messages.push(text.includes("\n") || Buffer.byteLength(text) > MAX_MESSAGE_BYTES ? undefined : text);
    } catch (error) {
      if (error instanceof OutOfBudget) return error;
      if (!(error instanceof ExpressionError)) throw error;
      messages.push(undefined);
    }
  }
  return messages;
}

async function annotate(
  policy: Policy,
  { audits }: CompiledPolicy,
  evaluation: Evaluation,
  attributes: AdmissionAttributes,
  isLenient: boolean,
): Promise<Denial[]> {
  const denials: Denial[] = [];
  for (const { key, value: compiled } of audits) {
    try {
      const value = await evaluation.evaluate(programOf(compiled));
      const text = typeof value === "string" ? value.trim().slice(0, MAX_ANNOTATION_BYTES) : "";
      if (text === "") continue;
      const name = `${policy.metadata.name}/${key}`;
      const present = attributes.auditAnnotations[name];
      attributes.auditAnnotations[name] = present === undefined || present === text ? text : `${present}, ${text}`;
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      if (!isLenient) denials.push({ message: error.message });
    }
  }
  return denials;
}

/** Does what the binding asks for; true where that is to refuse. */
function enforced(policy: Policy, binding: Binding, denial: Denial, attributes: AdmissionAttributes): boolean {
  const actions = binding.spec.validationActions ?? [];
  const [policyName, bindingName] = [policy.metadata.name ?? "", binding.metadata.name ?? ""];
  for (const action of actions)
    policyChecks.add([policyName, bindingName, errorTypeOf(denial.message), action.toLowerCase()]);
  if (actions.includes("Warn")) {
    const text = `Validation failed for ValidatingAdmissionPolicy '${policyName}' with binding '${bindingName}': ${denial.message}`;
    if (!attributes.warnings.includes(text)) attributes.warnings.push(text);
  }
  if (actions.includes("Audit")) {
    attributes.auditAnnotations["validation.policy.admission.k8s.io/validation_failure"] = JSON.stringify([
      {
        message: denial.message,
        policy: policyName,
        binding: bindingName,
        expressionIndex: denial.index ?? 0,
        validationActions: actions,
      },
    ]);
  }
  return actions.includes("Deny");
}

const codes: Readonly<Record<string, number>> = {
  Forbidden: 403,
  Unauthorized: 401,
  RequestEntityTooLarge: 413,
  Invalid: 422,
};

function refusal({ declaration, name, object }: AdmissionAttributes, message: string, reason = "Invalid"): StatusError {
  const shown = name || object?.metadata.name || object?.metadata.generateName || "";
  const plain = forbidden(declaration.ref, shown, message);
  return new StatusError(reason, plain.message, {
    ...plain.options,
    causes: [{ message }],
    code: codes[reason] ?? 422,
  });
}
