import { numberOfDFGCompiles } from "bun:jsc";
import { expect, test } from "bun:test";
import { compileEarly, compileLate } from "./compiling.ts";

/** Calls of a function of its own text until the engine has compiled it in its best way. */
async function callsUntilCompiled(text: string): Promise<number> {
  const called = new Function("numbers", text);
  const numbers = Array.from({ length: 20 }, (_, index) => index);
  let calls = 0;
  while (numberOfDFGCompiles(called as () => unknown) === 0) {
    for (let call = 0; call < 100; call++) called(numbers);
    calls += 100;
    // Compiled beside, and put in place between two turns.
    await Bun.sleep(0);
  }
  return calls;
}

test("less is compiled while little is done", async () => {
  compileEarly();
  const early = await callsUntilCompiled("let sum = 0; for (const number of numbers) sum += number; return sum;");
  compileLate();
  const late = await callsUntilCompiled("let most = 0; for (const number of numbers) most = number; return most;");
  compileEarly();
  expect(late).toBeGreaterThan(2 * early);
});
