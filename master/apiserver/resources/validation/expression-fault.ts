/** What is wrong with a CEL expression of an object. */
import type { CompileError } from "#shared/cel/program.ts";
import type { Field } from "./field.ts";

export interface ExpressionFault {
  readonly problem: string;
  /** Upstream takes it for a fault of its own that no program can be made of an expression that compiles. */
  readonly isInternal?: boolean;
}

export const faultOf = (error: CompileError): ExpressionFault => ({
  problem: error.told,
  isInternal: error.step === "instantiation",
});

export function tellFault(expression: string, { problem, isInternal }: ExpressionFault, field: Field): void {
  if (isInternal) field.internal(problem);
  else field.invalid(expression, problem);
}
