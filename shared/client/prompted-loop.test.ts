import { expect, test } from "bun:test";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { PromptedLoop } from "./prompted-loop.ts";

test("prompts during a run cause one more run", async () => {
  let runs = 0;
  const first = Promise.withResolvers<undefined>();
  const second = Promise.withResolvers<undefined>();
  const loop = new PromptedLoop(() => (++runs === 1 ? first.promise : second.promise));
  loop.prompt();
  for (let i = 0; i < 3; i++) loop.prompt();
  expect(runs).toBe(1);
  expect(loop.isRunning).toBe(true);
  first.resolve(undefined);
  await first.promise;
  await Bun.sleep(0);
  expect(runs).toBe(2);
  second.resolve(undefined);
  await loop.stop();
  expect(loop.isRunning).toBe(false);
});

test("it wakes by itself when the last run asked for it, and not once it has ended", async () => {
  let runs = 0;
  const clock = new ManualClock();
  const loop = new PromptedLoop(async () => {
    runs++;
    return 100;
  }, clock);
  loop.prompt();
  await Bun.sleep(0);
  await clock.advance(99);
  expect(runs).toBe(1);
  await clock.advance(1);
  await Bun.sleep(0);
  expect(runs).toBe(2);
  await loop.stop();
  await clock.advance(1_000);
  loop.prompt();
  expect(runs).toBe(2);
});
