/** Expressions that select devices (dynamic-resource-allocation/cel): they look at one device and give a bool. */
import type { Environment } from "#shared/cel/checker.ts";
import { FunctionTable } from "#shared/cel/functions.ts";
import { kubernetesLibrary } from "#shared/cel/kubernetes-library.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { standardLibrary } from "#shared/cel/standard-library.ts";
import { bool, dyn, mapOf, objectOf, opaque, string } from "#shared/cel/types.ts";
import { type ExpressionFault, faultOf } from "../validation/expression-fault.ts";

let environment: Environment | undefined;

/** Made with the first expression: few clusters have any. */
function deviceEnvironment(): Environment {
  const byDomain = (value: Parameters<typeof mapOf>[1]) => mapOf(string, mapOf(string, value));
  const device = objectOf("kubernetes.DRADevice", {
    driver: string,
    attributes: byDomain(dyn),
    capacity: byDomain(opaque("kubernetes.Quantity")),
  });
  environment ??= {
    variables: new Map([["device", device]]),
    functions: new FunctionTable(standardLibrary, kubernetesLibrary),
    hasBindings: true,
  };
  return environment;
}

/** Undefined where the expression compiles and gives a bool. */
export function selectorProblem(expression: string): ExpressionFault | undefined {
  try {
    const program = Program.compile(expression, deviceEnvironment());
    if (program.gives(bool)) return undefined;
    return { problem: `must evaluate to bool or the unknown type, not ${program.typeName}` };
  } catch (error) {
    if (error instanceof CompileError) return faultOf(error);
    throw error;
  }
}
