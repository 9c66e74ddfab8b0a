/**
 * What rules cost as they run, and where they are stopped for it: to the unit what upstream's v1.35.4 counts (recorded by
 * record.ts). A rule that upstream lets pass must pass here, and what it refuses must be refused.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RuleSet } from "#master/apiserver/extensions/rule-set.ts";
import { FunctionTable } from "#shared/cel/functions.ts";
import { kubernetesLibrary } from "#shared/cel/kubernetes-library.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { typeOfSchema } from "#shared/cel/schema-type.ts";
import { standardLibrary } from "#shared/cel/standard-library.ts";
import { dyn } from "#shared/cel/types.ts";
import { fromJson } from "#shared/cel/values.ts";
import { questions } from "./questions.ts";

interface Answers {
  readonly costs: Readonly<Record<string, readonly { readonly cost: number; readonly error?: string }[]>>;
  readonly errors: Readonly<Record<string, readonly string[]>>;
}

const answers = JSON.parse(readFileSync(join(import.meta.dir, "answers.json"), "utf8")) as Answers;
const functions = new FunctionTable(standardLibrary, kubernetesLibrary);
const type = typeOfSchema(questions.schema, "selfType", false) ?? dyn;
const variables = new Map([
  ["self", type],
  ["oldSelf", type],
]);
/** Where upstream's code falls: a function of lists gets an error for a list. */
const falls = /internal error: interface conversion/;

function outcomeOf(error: string | undefined): string {
  if (error === undefined) return "holds";
  return error.includes("failed rule") ? "does not hold" : "fails";
}

/** What is wrong, without the lines that show where, and the number that upstream gives to a type by chance. */
const refusalOf = (message: string): string =>
  (/ERROR: <input>:\d+:\d+: .*/.exec(message)?.[0] ?? message).replace(/selfType\d+/, "selfType");

function messageOf(expression: string): string {
  try {
    Program.compile(expression, { functions, variables });
    return "it compiles";
  } catch (error) {
    return (error as Error).message;
  }
}

function compiled(expression: string): Program | undefined {
  try {
    return Program.compile(expression, { functions, variables });
  } catch (error) {
    if (error instanceof CompileError) return undefined;
    throw error;
  }
}

test("what an expression costs on a value, whether it holds, does not or fails", () => {
  const here: Record<string, unknown> = {};
  const upstream: Record<string, unknown> = {};
  for (const expression of questions.expressions) {
    const program = compiled(expression);
    for (const [index, { cost, error }] of (answers.costs[expression] ?? []).entries()) {
      if (error !== undefined && falls.test(error)) continue;
      const name = `${expression} of value ${index}`;
      const isRefused = error?.includes("rule compile error") === true;
      upstream[name] = isRefused ? refusalOf(error) : { cost, outcome: outcomeOf(error) };
      const run = program?.evaluate(() => fromJson(questions.values[index], type), Number.MAX_SAFE_INTEGER);
      const outcome = run?.error ? "fails" : run?.value === true ? "holds" : "does not hold";
      here[name] = run ? { cost: run.cost, outcome } : refusalOf(messageOf(expression));
    }
  }
  expect(Object.keys(here).length).toBeGreaterThanOrEqual(questions.expressions.length);
  expect(here).toEqual(upstream);
});

test("objects about the limits of one rule and of all together", () => {
  for (const { name, schema, value } of questions.bounded) {
    const found = RuleSet.of(schema)?.checkValue(value, "") ?? [];
    expect({ name, errors: found.map(({ field, message }) => `${field}: ${message}`) }).toEqual({
      name,
      errors: [...(answers.errors[name] ?? ["not recorded"])],
    });
  }
});
