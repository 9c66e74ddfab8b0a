import type { JSONSchemaProps, ValidationRule } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { Environment } from "#shared/cel/checker.ts";
import { FunctionTable } from "#shared/cel/functions.ts";
import { kubernetesLibrary } from "#shared/cel/kubernetes-library.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { standardLibrary } from "#shared/cel/standard-library.ts";
import { bool, optionalOf, string, type Type } from "#shared/cel/types.ts";
import { FieldPathError, fieldPathOf } from "./field-path.ts";
import { ruleCompilations, timed } from "./rule-metrics.ts";

const functions = new FunctionTable(standardLibrary, kubernetesLibrary);

/** One of a schema's `x-kubernetes-validations`, ready to be run. */
export interface CompiledRule {
  readonly written: ValidationRule;
  readonly program: Program;
  readonly message: Program | undefined;
  readonly usesOld: boolean;
  /** The field below that errors are told of; empty for the value itself. */
  readonly place: string;
}

/** Text of what is wrong with a rule, and in which of its fields. */
export interface RuleFault {
  readonly part: "rule" | "messageExpression" | "optionalOldSelf";
  readonly detail: string;
}

function asCompileError(error: unknown): CompileError {
  if (error instanceof CompileError) return error;
  throw error;
}

/** What the expressions of a rule may name, where `self` is of that type. */
export function environmentOf({ optionalOldSelf }: ValidationRule, self: Type): Environment {
  const old = optionalOldSelf ? optionalOf(self) : self;
  const variables = new Map([
    ["self", self],
    ["oldSelf", old],
  ]);
  return { variables, functions };
}

function placeOf({ fieldPath = "" }: ValidationRule, schema: JSONSchemaProps): string {
  try {
    return fieldPathOf(fieldPath, schema).text;
  } catch (error) {
    // Such a path is refused where it is written.
    if (error instanceof FieldPathError) return "";
    throw error;
  }
}

/** A rule of the schema node whose values are of the type `self`; or what is wrong with it. */
export const compileRule = (written: ValidationRule, self: Type, schema: JSONSchemaProps): CompiledRule | RuleFault =>
  timed(ruleCompilations, () => compile(written, self, schema));

function compile(written: ValidationRule, self: Type, schema: JSONSchemaProps): CompiledRule | RuleFault {
  const environment = environmentOf(written, self);
  let program: Program;
  try {
    program = Program.compile(written.rule, environment);
  } catch (error) {
    return { part: "rule", detail: asCompileError(error).told };
  }
  if (!program.givesExactly(bool)) return { part: "rule", detail: "cel expression must evaluate to a bool" };
  const usesOld = program.uses("oldSelf");
  if (!usesOld && written.optionalOldSelf !== undefined) {
    return { part: "optionalOldSelf", detail: "may not be set if oldSelf is not used in rule" };
  }
  let message: Program | undefined;
  if (written.messageExpression) {
    try {
      message = Program.compile(written.messageExpression, environment);
    } catch (error) {
      const { step, message: why } = asCompileError(error);
      return { part: "messageExpression", detail: `messageExpression ${step} failed: ${why}` };
    }
    if (!message.givesExactly(string))
      return { part: "messageExpression", detail: "messageExpression must evaluate to a string" };
  }
  return { written, program, message, usesOld, place: placeOf(written, schema) };
}

/** Rules of a schema node; one without text is refused where it is written, and judges nothing. */
export const rulesOf = (schema: JSONSchemaProps): readonly ValidationRule[] =>
  (schema["x-kubernetes-validations"] ?? []).filter(({ rule }) => rule.trim() !== "");
