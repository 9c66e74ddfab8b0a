/** MutatingAdmissionPolicy: CEL that changes what is written (KEP-3962). */
import { StatusError } from "#shared/api/errors.ts";
import { apiVersionOf, type KubeObject } from "#shared/api/object.ts";
import { mutatingAdmissionPolicies, mutatingAdmissionPolicyBindings } from "#shared/api/resources.ts";
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
} from "#shared/api/types/admissionregistration-v1beta1.generated.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { refusal } from "../attributes.ts";
import { isExemptFromPolicies, type Match, putBack, schemaOfShown } from "../matching.ts";
import { CustomKindError } from "../patched-kind.ts";
import { ReinvocationMemory } from "../reinvocation.ts";
import { ConditionError, policyApplies } from "./conditions.ts";
import { Evaluation, ExpressionError, OutOfBudget, POLICY_COST, viewOf } from "./evaluation.ts";
import { configured, MutationError, patchedBy } from "./mutation.ts";
import {
  type CompiledMutatingPolicy,
  type CompiledMutation,
  CompiledPolicies,
  compileMutatingPolicy,
  isFault,
} from "./policy.ts";
import { boundPolicies, matchesOf, namespaceNamed, type PolicyParts } from "./policy-matches.ts";
import { mutationChecked } from "./policy-metrics.ts";

type Policy = MutatingAdmissionPolicy;
type Binding = MutatingAdmissionPolicyBinding;

/** A policy by one of its bindings, with one object that parameterises it. */
interface Invocation {
  readonly policy: Policy;
  readonly binding: Binding;
  readonly match: Match;
  readonly params: KubeObject | undefined;
}

/** Why a request is refused, unless the policy bears with faults. */
interface Fault {
  readonly policy: Policy;
  readonly binding?: Binding | undefined;
  readonly message: string;
  readonly reason?: "Invalid";
}

export class MutatingPolicies implements AdmissionPlugin {
  readonly name = "MutatingAdmissionPolicy";
  readonly mutatesOn = ["CONNECT"] as const;
  readonly #parts: PolicyParts;
  readonly #compiled = new CompiledPolicies(compileMutatingPolicy);

  constructor(parts: PolicyParts) {
    this.#parts = parts;
  }

  /** Where the kinds are not served there are none. */
  mutate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const policies = this.#parts.reader.list(mutatingAdmissionPolicies);
    if (policies.length === 0 || isExemptFromPolicies(attributes)) return undefined;
    return this.#mutate(policies, attributes);
  }

  /** Which policies a request is for is told by what it was before any of them. */
  async #mutate(policies: readonly Policy[], attributes: AdmissionAttributes): Promise<void> {
    const bindings = this.#parts.reader.list(mutatingAdmissionPolicyBindings);
    const invocations: Invocation[] = [];
    const faults: Fault[] = [];
    for (const { policy, bindings: own } of boundPolicies(policies, bindings)) {
      for (const found of matchesOf(this.#parts, policy, own, attributes)) {
        if ("message" in found) faults.push({ ...found, policy });
        else for (const params of found.params) invocations.push({ ...found, policy, params });
      }
    }
    if (invocations.length > 0) faults.push(...(await this.#invoke(invocations, attributes)));
    const told = faults.filter(({ policy }) => policy.spec.failurePolicy !== "Ignore");
    if (told.length > 0) throw refused(attributes, told);
  }

  async #invoke(invocations: readonly Invocation[], attributes: AdmissionAttributes): Promise<Fault[]> {
    const memory = ReinvocationMemory.of(attributes, this.name);
    memory.begin(attributes);
    const faults: Fault[] = [];
    let isPatched = false;
    for (const invocation of invocations) {
      const { policy, binding } = invocation;
      const failed = (message: string): void => {
        faults.push({ policy, binding, message, reason: "Invalid" });
      };
      if (!(await this.#applies(invocation, attributes, failed))) continue;
      const id = idOf(invocation);
      if (!memory.isAsked(attributes, id)) continue;
      const { mutations } = this.#compiled.of(policy);
      for (const mutation of attributes.object ? mutations : []) {
        const message = await this.#timed(invocation, mutation, attributes);
        if (message === undefined) isPatched = true;
        else failed(message);
      }
      if (isPatched) memory.requireAgain();
      if (policy.spec.reinvocationPolicy === "IfNeeded") memory.mayAskAgain(id);
    }
    if (isPatched) {
      // Upstream takes what was patched for changed, whatever the patch was.
      memory.requireAgain();
      if (attributes.reinvocation) attributes.reinvocation.isWanted = true;
    }
    memory.end(attributes);
    return faults;
  }

  async #applies(
    { policy, match, params }: Invocation,
    attributes: AdmissionAttributes,
    failed: (message: string) => void,
  ): Promise<boolean> {
    const compiled = this.#compiled.of(policy);
    if (compiled.conditions.length === 0) return true;
    const view = await viewOf(attributes, match, (name) => namespaceNamed(this.#parts, name));
    try {
      const { authorizer } = this.#parts;
      return await policyApplies(policy.metadata.name ?? "", compiled, { view, params, authorizer });
    } catch (error) {
      if (!(error instanceof ConditionError)) throw error;
      failed(error.message);
      return false;
    }
  }

  /** Gives what is wrong with it; undefined where it is done. Throws StatusError for what refuses the request in any case. */
  async #timed(
    invocation: Invocation,
    mutation: CompiledMutation,
    attributes: AdmissionAttributes,
  ): Promise<string | undefined> {
    const { policy, binding } = invocation;
    const began_ms = performance.now();
    const told = (message?: string): void => {
      const seconds = (performance.now() - began_ms) / 1000;
      mutationChecked(policy.metadata.name ?? "", binding.metadata.name ?? "", message, seconds);
    };
    try {
      await this.#change(invocation, mutation, attributes);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      // Of another kind a custom object is found to be once it is validated.
      if (error instanceof CustomKindError && attributes.object) {
        told();
        throw error.refusal(attributes.object);
      }
      told(error.message);
      if (isJudged(error)) return error.message;
      throw error;
    }
    told();
    return undefined;
  }

  /** Throws MutationError, ExpressionError, OutOfBudget, StatusError. */
  async #change(
    { policy, match, params }: Invocation,
    { expression, patchType }: CompiledMutation,
    attributes: AdmissionAttributes,
  ): Promise<void> {
    if (isFault(expression)) throw new MutationError(expression.problem);
    const view = await viewOf(attributes, match, (name) => namespaceNamed(this.#parts, name));
    const { object: shown } = view;
    if (!shown) return;
    const { variables }: CompiledMutatingPolicy = this.#compiled.of(policy);
    const { authorizer } = this.#parts;
    const value = await new Evaluation({ view, budget: POLICY_COST, params, variables, authorizer }).evaluate(
      expression,
    );
    const { custom = false } = attributes.declaration;
    const isOwnKind = shown.kind === attributes.declaration.ref.kind;
    const isPublished = isOwnKind || (shown.apiVersion === apiVersionOf(match) && attributes.operation !== "CONNECT");
    const mutated = { shown, schema: schemaOfShown(attributes, match, shown), custom, isPublished };
    const changed = patchType === "JSONPatch" ? patchedBy(value, mutated) : configured(value, mutated);
    const { resource } = attributes;
    // Upstream converts what was patched in an equivalent version to the version asked for, which it cannot.
    if (changed && isOwnKind && !custom && resource && shown.apiVersion !== resource.apiVersion)
      throw new MutationError(
        `converting (${match.version}.${shown.kind}) to (${resource.version}.${shown.kind}): unknown conversion`,
      );
    if (changed) await putBack(attributes, match, shown, changed);
  }
}

/** Of what a failure policy is asked about. */
const isJudged = (error: Error): boolean =>
  error instanceof MutationError || error instanceof ExpressionError || error instanceof OutOfBudget;

function idOf({ policy, binding, params }: Invocation): string {
  const { namespace = "", name = "" } = params?.metadata ?? {};
  return [policy.metadata.name, binding.metadata.name, namespace, name].join("/");
}

function refused(attributes: AdmissionAttributes, faults: readonly Fault[]): StatusError {
  const messages = faults.map(({ policy, binding, message }) => {
    const { name = "" } = policy.metadata;
    const whose = binding
      ? `policy '${name}' with binding '${binding.metadata.name}'`
      : `policy ${JSON.stringify(name)}`;
    return `${whose} denied request: ${message}`;
  });
  const { options } = refusal(attributes, "");
  // Upstream changes the reason of what is forbidden, and leaves its code.
  return new StatusError(faults[0]?.reason ?? "Forbidden", messages[0] ?? "", {
    ...options,
    causes: messages.map((message) => ({ message })),
    code: 403,
  });
}
