import { numberOfDFGCompiles } from "bun:jsc";
import { expect, test } from "bun:test";
import { compileEarly, compileLate, RushOfRequests } from "./compiling.ts";

/** More calls than the engine counts before it compiles by itself, and fewer than it counts late. */
const enough = 2000;

const numbers = Array.from({ length: 20 }, (_, index) => index);

/** Calls in turns: code is made in threads beside, and put in place between two of them. */
async function callOften(called: (numbers: readonly number[]) => unknown): Promise<void> {
  for (let call = 0; call < enough; call++) {
    called(numbers);
    if (call % 100 === 0) await Bun.sleep(1);
  }
}

test("less is compiled while little is done", async () => {
  const late = new Function("numbers", "let most = 0; for (const number of numbers) most = number; return most;");
  const early = new Function("numbers", "let sum = 0; for (const number of numbers) sum += number; return sum;");
  compileEarly();
  compileLate();
  await callOften(late as () => unknown);
  expect(numberOfDFGCompiles(late as () => unknown)).toBe(0);
  compileEarly();
  // However slow the machine, it comes.
  while (numberOfDFGCompiles(early as () => unknown) === 0) await callOften(early as () => unknown);
}, 300_000);

test("requests tell of work by how many come at once, or one after another within a second", () => {
  let told = 0;
  let now_ms = 0;
  const rush = new RushOfRequests(() => told++);
  const inARow = (count: number, every_ms: number): void => {
    for (let request = 0; request < count; request++) {
      now_ms += every_ms;
      rush.requestBegan(1, () => now_ms);
    }
  };
  inARow(2_000, 10);
  expect(told).toBe(0);
  inARow(200, 1);
  expect(told).toBe(1);
  rush.requestBegan(4);
  expect(told).toBe(2);
});
