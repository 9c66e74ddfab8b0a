/** A ValidatingAdmissionPolicy with its expressions compiled. */
import type { ValidatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { Environment } from "#shared/cel/checker.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { bool, dyn, isDyn, nullType, string, type Type, typeName } from "#shared/cel/types.ts";
import { type ExpressionFault, faultOf } from "../../resources/validation/expression-fault.ts";
import { admissionEnvironment } from "./environment.ts";
import { ExpressionError } from "./evaluation.ts";

/** A fault where an expression does not compile or gives something else. */
export type Compiled = Program | ExpressionFault;

export const isFault = (compiled: Compiled): compiled is ExpressionFault => "problem" in compiled;

/** Throws ExpressionError for one that does not compile: it is judged by the failure policy as one that fails. */
export function programOf(compiled: Compiled): Program {
  if (!isFault(compiled)) return compiled;
  throw new ExpressionError(`compilation error: ${compiled.problem}`);
}

export interface CompiledPolicy {
  readonly conditions: readonly Compiled[];
  readonly variables: ReadonlyMap<string, Program>;
  readonly variableFaults: ReadonlyMap<string, ExpressionFault>;
  readonly validations: readonly { readonly rule: Compiled; readonly message: Compiled | undefined }[];
  readonly audits: readonly { readonly key: string; readonly value: Compiled }[];
}

export function compiled(source: string, environment: Environment, gives: readonly Type[]): Compiled {
  try {
    const program = Program.compile(source, environment);
    if (gives.some((type) => isDyn(type) || program.givesExactly(type))) return program;
    const wanted = gives.map((type) => (type.kind === "null" ? "null_type" : typeName(type)));
    const list = wanted.length === 1 ? wanted[0] : `one of [${wanted.join(" ")}]`;
    return { problem: `must evaluate to ${list} but got ${program.typeName}` };
  } catch (error) {
    if (error instanceof CompileError) return faultOf(error);
    throw error;
  }
}

export function compilePolicy({ spec }: ValidatingAdmissionPolicy): CompiledPolicy {
  const base = { params: spec.paramKind !== undefined };
  // Those so far, in the order in which they may refer to each other.
  const types = new Map<string, Type>();
  const variables = new Map<string, Program>();
  const variableFaults = new Map<string, ExpressionFault>();
  for (const { name, expression } of spec.variables ?? []) {
    const made = compiled(expression, admissionEnvironment({ ...base, authorizer: true, variables: types }), [dyn]);
    if (isFault(made)) variableFaults.set(name, made);
    else variables.set(name, made);
    types.set(name, isFault(made) ? dyn : made.type);
  }
  const whole = admissionEnvironment({ ...base, authorizer: true, variables: types });
  const plain = admissionEnvironment({ ...base, variables: types });
  return {
    conditions: (spec.matchConditions ?? []).map(({ expression }) =>
      compiled(expression, admissionEnvironment({ ...base, authorizer: true }), [bool]),
    ),
    variables,
    variableFaults,
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
