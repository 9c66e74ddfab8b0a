import { numberOfDFGCompiles, optimizeNextInvocation } from "bun:jsc";
import { expect, test } from "bun:test";
import { giveBack, isWorthCollecting, RarePages } from "./quiet-collection.ts";

const MiB = 1024 * 1024;
const quiet = { cpu_ms: 300, elapsed_ms: 30_000, uncollected_ms: 60_000 };

test("collects once what the start has left", () => {
  expect(isWorthCollecting({ ...quiet, own_bytes: 120 * MiB, settled_bytes: undefined })).toBe(true);
  expect(isWorthCollecting({ ...quiet, own_bytes: 101 * MiB, settled_bytes: 100 * MiB })).toBe(false);
});

test("collects after a burst, when it is over", () => {
  const grown = { own_bytes: 190 * MiB, settled_bytes: 100 * MiB };
  expect(isWorthCollecting({ ...quiet, cpu_ms: 20_000, ...grown })).toBe(false);
  expect(isWorthCollecting({ ...quiet, ...grown })).toBe(true);
});

test("collects less than a burst's garbage after a long time", () => {
  const grown = { own_bytes: 103 * MiB, settled_bytes: 100 * MiB };
  expect(isWorthCollecting({ ...quiet, ...grown })).toBe(false);
  expect(isWorthCollecting({ ...quiet, ...grown, uncollected_ms: 700_000 })).toBe(true);
});

test("pages of the program that come back at once are needed, and those that rare work brings back are not", () => {
  const pages = new RarePages();
  pages.haveBeenLetGo();
  const looks = [20, 31, 32, 33, 34];
  expect(looks.map((program_MiB) => pages.look(program_MiB * MiB))).toEqual([false, false, false, false, true]);
  pages.haveBeenLetGo();
  expect([34, 34, 36].map((program_MiB) => pages.look(program_MiB * MiB))).toEqual([false, false, false]);
});

test("code compiled for a burst is given back, and what it was compiled from still runs", async () => {
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  while (numberOfDFGCompiles(sum) === 0) {
    for (let call = 0; call < 1000; call++) sum(numbers);
    optimizeNextInvocation(sum);
    // Compiled beside, and put in place between two turns.
    await Bun.sleep(1);
  }
  giveBack();
  // As soon as nothing runs.
  while (numberOfDFGCompiles(sum) > 0) await Bun.sleep(1);
  expect(sum(numbers)).toBe(4950);
});
