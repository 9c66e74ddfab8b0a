/** Policies with their expressions compiled. */

import type { ValidatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { MutatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1beta1.generated.ts";
import type { Environment } from "#shared/cel/checker.ts";
import { appliedObject, jsonPatchOperation } from "#shared/cel/mutation-types.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { bool, dyn, isDyn, listOf, nullType, string, type Type, typeName } from "#shared/cel/types.ts";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import { type ExpressionFault, faultOf } from "../../resources/validation/expression-fault.ts";
import { admissionEnvironment } from "./environment.ts";
import { ExpressionError } from "./evaluation.ts";
import type { Policy } from "./policy-matches.ts";

/** A fault where an expression does not compile or gives something else. */
export type Compiled = Program | ExpressionFault;

export const isFault = (compiled: Compiled): compiled is ExpressionFault => "problem" in compiled;

/** Throws ExpressionError for one that does not compile: it is judged by the failure policy as one that fails. */
export function programOf(compiled: Compiled): Program {
  if (!isFault(compiled)) return compiled;
  throw new ExpressionError(`compilation error: ${compiled.problem}`);
}

/** What policies that validate and policies that mutate have alike. */
export interface CompiledBase {
  readonly conditions: readonly Compiled[];
  readonly variables: ReadonlyMap<string, Program>;
  readonly variableFaults: ReadonlyMap<string, ExpressionFault>;
}

export interface CompiledPolicy extends CompiledBase {
  readonly validations: readonly { readonly rule: Compiled; readonly message: Compiled | undefined }[];
  readonly audits: readonly { readonly key: string; readonly value: Compiled }[];
}

export function compiled(source: string, environment: Environment, gives: readonly Type[]): Compiled {
  try {
    const program = Program.compile(source, environment);
    if (gives.some((type) => isDyn(type) || program.givesExactly(type))) return program;
    const wanted = gives.map(typeName);
    const list = wanted.length === 1 ? wanted[0] : `one of [${wanted.join(" ")}]`;
    return { problem: `must evaluate to ${list} but got ${program.typeName}` };
  } catch (error) {
    if (error instanceof CompileError) return faultOf(error);
    throw error;
  }
}

function compileBase({ spec }: Policy): CompiledBase & { readonly types: ReadonlyMap<string, Type> } {
  const base = { params: spec.paramKind !== undefined, authorizer: true };
  // Those so far, in the order in which they may refer to each other.
  const types = new Map<string, Type>();
  const variables = new Map<string, Program>();
  const variableFaults = new Map<string, ExpressionFault>();
  for (const { name, expression } of spec.variables ?? []) {
    const made = compiled(expression, admissionEnvironment({ ...base, variables: types }), [dyn]);
    if (isFault(made)) variableFaults.set(name, made);
    else variables.set(name, made);
    types.set(name, isFault(made) ? dyn : made.type);
  }
  const conditions = (spec.matchConditions ?? []).map(({ expression }) =>
    compiled(expression, admissionEnvironment(base), [bool]),
  );
  return { conditions, variables, variableFaults, types };
}

export function compilePolicy(policy: ValidatingAdmissionPolicy): CompiledPolicy {
  const { spec } = policy;
  const base = compileBase(policy);
  const seen = { params: spec.paramKind !== undefined, variables: base.types };
  const whole = admissionEnvironment({ ...seen, authorizer: true });
  const plain = admissionEnvironment(seen);
  return {
    ...base,
    validations: (spec.validations ?? []).map(({ expression, messageExpression }) => ({
      rule: compiled(expression, whole, [bool]),
      message: messageExpression ? compiled(messageExpression, plain, [string]) : undefined,
    })),
    audits: (spec.auditAnnotations ?? []).map(({ key, valueExpression }) => ({
      key,
      value: compiled(valueExpression, plain, [string, nullType]),
    })),
  };
}

export interface CompiledMutation {
  readonly patchType: "ApplyConfiguration" | "JSONPatch";
  readonly expression: Compiled;
}

export interface CompiledMutatingPolicy extends CompiledBase {
  readonly mutations: readonly CompiledMutation[];
}

export function compileMutatingPolicy(policy: MutatingAdmissionPolicy): CompiledMutatingPolicy {
  const { spec } = policy;
  const base = compileBase(policy);
  const environment = admissionEnvironment({
    params: spec.paramKind !== undefined,
    variables: base.types,
    authorizer: true,
    isMutation: true,
  });
  const mutations = (spec.mutations ?? []).flatMap(
    ({ patchType, applyConfiguration, jsonPatch }): CompiledMutation[] => {
      if (patchType === "ApplyConfiguration" && applyConfiguration) {
        const { expression = "" } = applyConfiguration;
        return [{ patchType, expression: compiled(expression, environment, [appliedObject]) }];
      }
      if (patchType !== "JSONPatch" || !jsonPatch) return [];
      return [
        { patchType, expression: compiled(jsonPatch.expression ?? "", environment, [listOf(jsonPatchOperation)]) },
      ];
    },
  );
  return { ...base, mutations };
}

const MAX_COMPILED = 1000;

/** Policies that are compiled once for each generation. */
export class CompiledPolicies<P extends Policy, C> {
  readonly #known = new BoundedMap<C>(MAX_COMPILED);

  constructor(private readonly compile: (policy: P) => C) {}

  of(policy: P): C {
    const key = `${policy.metadata.uid}/${policy.metadata.generation}`;
    const known = this.#known.get(key);
    if (known) return known;
    const made = this.compile(policy);
    this.#known.set(key, made);
    return made;
  }
}
