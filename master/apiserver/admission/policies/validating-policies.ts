/** ValidatingAdmissionPolicy: CEL that refuses requests, warns of them, or notes them (KEP-3488). */
import { StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { goEscaped } from "#shared/api/patch/json-value.ts";
import { validatingAdmissionPolicies, validatingAdmissionPolicyBindings } from "#shared/api/resources.ts";
import type {
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { annotate, refusal } from "../attributes.ts";
import { isExemptFromPolicies } from "../matching.ts";
import { type Decision, type Decisions, decisionsOf } from "./decisions.ts";
import { type RequestView, viewOf } from "./evaluation.ts";
import { CompiledPolicies, compilePolicy } from "./policy.ts";
import { boundPolicies, matchesOf, namespaceNamed, type PolicyParts } from "./policy-matches.ts";
import { policyChecked } from "./policy-metrics.ts";

type Policy = ValidatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding;

/** What is to be refused, by which policy and, unless its fault is its own, by which binding. */
interface Denial extends Pick<Decision, "message" | "reason"> {
  readonly policy: Policy;
  readonly binding?: Binding | undefined;
}

export class ValidatingPolicies implements AdmissionPlugin {
  readonly name = "ValidatingAdmissionPolicy";
  readonly seesConnections = true;
  readonly #parts: PolicyParts;
  readonly #compiled = new CompiledPolicies(compilePolicy);

  constructor(parts: PolicyParts) {
    this.#parts = parts;
  }

  validate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const policies = this.#parts.reader.list(validatingAdmissionPolicies);
    if (policies.length === 0 || isExemptFromPolicies(attributes)) return undefined;
    return this.#validate(policies, attributes);
  }

  async #validate(policies: readonly Policy[], attributes: AdmissionAttributes): Promise<void> {
    const bindings = this.#parts.reader.list(validatingAdmissionPolicyBindings);
    const denials: Denial[] = [];
    for (const { policy, bindings: own } of boundPolicies(policies, bindings))
      denials.push(...(await this.#judge(policy, own, attributes)));
    const [first] = denials;
    if (first) throw refused(attributes, first);
  }

  /** What a policy refuses by its bindings; what they only warn of or note is done here. */
  async #judge(policy: Policy, bindings: readonly Binding[], attributes: AdmissionAttributes): Promise<Denial[]> {
    const denials: Denial[] = [];
    const annotations = new Map<string, Set<string>>();
    let view: RequestView | undefined;
    for (const found of matchesOf(this.#parts, policy, bindings, attributes)) {
      if ("message" in found) {
        if (policy.spec.failurePolicy !== "Ignore") denials.push({ ...found, policy });
        continue;
      }
      view ??= await viewOf(attributes, found.match, (name) => namespaceNamed(this.#parts, name));
      for (const param of found.params) {
        const decisions = await this.#decisions(policy, param, view);
        denials.push(...enforced(policy, found.binding, decisions, attributes));
        for (const { key, text } of decisions.annotations)
          annotations.set(key, (annotations.get(key) ?? new Set()).add(text));
      }
    }
    for (const [key, texts] of annotations)
      annotate(attributes, `${policy.metadata.name}/${key}`, [...texts].join(", "));
    return denials;
  }

  #decisions(policy: Policy, params: KubeObject | undefined, view: RequestView): Promise<Decisions> {
    const { authorizer } = this.#parts;
    return decisionsOf({ policy, compiled: this.#compiled.of(policy), params, view, authorizer });
  }
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
