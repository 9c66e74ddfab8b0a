/** ValidatingAdmissionPolicy: CEL that refuses requests, warns of them, or notes them (KEP-3488). */
import { notFound, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { goEscaped } from "#shared/api/patch/json-value.ts";
import { namespaces, validatingAdmissionPolicies, validatingAdmissionPolicyBindings } from "#shared/api/resources.ts";
import type {
  MatchResources,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { Authorizer } from "../../authz/authorizer.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { ResourceTable } from "../../registry/resource-table.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { annotate, refusal } from "../attributes.ts";
import { isExempt, isReview, type Match, type MatchCriteria, type Matcher, namespaceOf } from "../matching.ts";
import { type Decision, type Decisions, decisionsOf } from "./decisions.ts";
import { type RequestView, viewOf } from "./evaluation.ts";
import { ConfigurationError, paramResource, paramsOf } from "./params.ts";
import { type CompiledPolicy, compilePolicy } from "./policy.ts";
import { policyChecked } from "./policy-metrics.ts";

export interface PolicyParts {
  readonly reader: ResourceReader;
  readonly resources: ResourceTable;
  readonly matcher: Matcher;
  readonly authorizer: Authorizer;
}

type Policy = ValidatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding;

/** What is to be refused, by which policy and, unless its fault is its own, by which binding. */
interface Denial extends Pick<Decision, "message" | "reason"> {
  readonly policy: Policy;
  readonly binding?: Binding | undefined;
}

const MAX_COMPILED = 1000;

const byName = (a: KubeObject, b: KubeObject): number => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1);

const criteriaOf = (match: MatchResources | undefined): MatchCriteria => ({
  rules: match?.resourceRules ?? [],
  exclude: match?.excludeResourceRules,
  namespaceSelector: match?.namespaceSelector,
  objectSelector: match?.objectSelector,
  matchPolicy: match?.matchPolicy,
  matchesAllWithoutRules: true,
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
    if (policies.length === 0 || isExempt(attributes) || isReview(attributes)) return undefined;
    return this.#validate(policies, attributes);
  }

  async #validate(policies: readonly Policy[], attributes: AdmissionAttributes): Promise<void> {
    const bindings = this.#parts.reader.list(validatingAdmissionPolicyBindings);
    const denials: Denial[] = [];
    for (const policy of policies.toSorted(byName)) {
      const own = bindings.filter(({ spec }) => spec.policyName === policy.metadata.name).toSorted(byName);
      if (own.length === 0) continue;
      try {
        denials.push(...(await this.#judge(policy, own, attributes)));
      } catch (error) {
        denials.push(...configurationDenials("policy", error, policy));
      }
    }
    const [first] = denials;
    if (first) throw refused(attributes, first);
  }

  /** What a policy refuses by its bindings; what they only warn of or note is done here. Throws ConfigurationError. */
  async #judge(policy: Policy, bindings: readonly Binding[], attributes: AdmissionAttributes): Promise<Denial[]> {
    const { reader, resources } = this.#parts;
    const match = this.#matched(attributes, criteriaOf(policy.spec.matchConstraints));
    if (!match) return [];
    const { paramKind } = policy.spec;
    const resource = paramKind && paramResource(resources, paramKind);
    const denials: Denial[] = [];
    const annotations = new Map<string, Set<string>>();
    let view: RequestView | undefined;
    for (const binding of bindings) {
      const { matchResources, paramRef } = binding.spec;
      let params: readonly (KubeObject | undefined)[];
      try {
        if (matchResources && !this.#matched(attributes, criteriaOf(matchResources))) continue;
        params = resource && paramRef ? paramsOf(resource, paramRef, namespaceOf(attributes)) : [undefined];
      } catch (error) {
        denials.push(...configurationDenials("binding", error, policy, binding));
        continue;
      }
      view ??= await viewOf(attributes, match, (name) => {
        const namespace = reader.get(namespaces, { name });
        if (!namespace) throw notFound(namespaces, name);
        return namespace;
      });
      for (const param of params) {
        const decisions = await this.#decisions(policy, param, view);
        denials.push(...enforced(policy, binding, decisions, attributes));
        for (const { key, text } of decisions.annotations)
          annotations.set(key, (annotations.get(key) ?? new Set()).add(text));
      }
    }
    for (const [key, texts] of annotations)
      annotate(attributes, `${policy.metadata.name}/${key}`, [...texts].join(", "));
    return denials;
  }

  /** Throws ConfigurationError where it cannot be told. */
  #matched(attributes: AdmissionAttributes, criteria: MatchCriteria): Match | undefined {
    try {
      return this.#parts.matcher.match(attributes, criteria);
    } catch (error) {
      throw error instanceof StatusError ? new ConfigurationError(error.message, { cause: error }) : error;
    }
  }

  #decisions(policy: Policy, params: KubeObject | undefined, view: RequestView): Promise<Decisions> {
    const { authorizer } = this.#parts;
    return decisionsOf({ policy, compiled: this.#compiledOf(policy), params, view, authorizer });
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
}

/** What a fault in a policy or its binding refuses, unless the policy bears with faults. Throws what is none. */
function configurationDenials(what: "policy" | "binding", error: unknown, policy: Policy, binding?: Binding): Denial[] {
  if (!(error instanceof ConfigurationError)) throw error;
  if (policy.spec.failurePolicy === "Ignore") return [];
  return [{ message: `failed to configure ${what}: ${error.message}`, policy, binding }];
}

/** Does what the binding asks for; gives what is to be refused. */
function enforced(policy: Policy, binding: Binding, decisions: Decisions, attributes: AdmissionAttributes): Denial[] {
  const actions = binding.spec.validationActions ?? [];
  const [policyName, bindingName] = [policy.metadata.name ?? "", binding.metadata.name ?? ""];
  const denials: Denial[] = [];
  const deny = (decision: Decision): void => {
    denials.push({ ...decision, policy, binding });
    policyChecked(policyName, bindingName, decision.message, "deny", decision.seconds);
  };
  for (const decision of decisions.validations) {
    const { message, seconds, index } = decision;
    if (decision.isIgnored) {
      policyChecked(policyName, bindingName, message, "allow", seconds);
      continue;
    }
    if (actions.includes("Deny")) deny(decision);
    if (actions.includes("Warn")) {
      const text = `Validation failed for ValidatingAdmissionPolicy '${policyName}' with binding '${bindingName}': ${message}`;
      if (!attributes.warnings.includes(text)) attributes.warnings.push(text);
      policyChecked(policyName, bindingName, message, "warn", seconds);
    }
    if (actions.includes("Audit")) {
      const failure = { message, policy: policyName, binding: bindingName, expressionIndex: index };
      const told = goEscaped([{ ...failure, validationActions: actions }]);
      annotate(attributes, "validation.policy.admission.k8s.io/validation_failure", told);
      policyChecked(policyName, bindingName, message, "audit", seconds);
    }
  }
  for (const decision of decisions.failedAnnotations) deny(decision);
  return denials;
}

const codes: Readonly<Record<string, number>> = {
  Forbidden: 403,
  Unauthorized: 401,
  RequestEntityTooLarge: 413,
  Invalid: 422,
};

function refused(attributes: AdmissionAttributes, denial: Denial): StatusError {
  const { policy, binding, reason = "Invalid" } = denial;
  const whose = binding ? ` with binding '${binding.metadata.name}'` : "";
  const message = `ValidatingAdmissionPolicy '${policy.metadata.name}'${whose} denied request: ${denial.message}`;
  const plain = refusal(attributes, message);
  return new StatusError(reason, plain.message, {
    ...plain.options,
    causes: [{ message }],
    code: codes[reason] ?? 422,
  });
}
