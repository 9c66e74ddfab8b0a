import { describe, expect, test } from "bun:test";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { Unsealing } from "./unsealing.ts";

/** Values that cannot be read until the test says so. */
function sealedValues() {
  const clock = new ManualClock();
  const attempts_s: number[] = [];
  const state = { isSealed: true };
  const unsealing: Unsealing = new Unsealing(async () => {
    attempts_s.push(clock.now_ms() / 1000);
    if (state.isSealed) unsealing.plan();
  }, clock);
  return { clock, attempts_s, state, unsealing };
}

describe("a value that cannot be read", () => {
  test("is asked for ever more seldom, and once a minute in the end", async () => {
    const { clock, attempts_s, state, unsealing } = sealedValues();
    unsealing.plan();
    await clock.advance(200_000);
    expect(attempts_s).toEqual([5, 15, 35, 75, 135, 195]);
    state.isSealed = false;
    await clock.advance(200_000);
    expect([attempts_s.at(-1), clock.waiting]).toEqual([255, 0]);
    state.isSealed = true;
    unsealing.plan();
    await clock.advance(5_000);
    expect(attempts_s.at(-1)).toBe(405);
  });

  test("is asked for at once when keys have come, and not at all while all can be read", async () => {
    const { clock, attempts_s, state, unsealing } = sealedValues();
    unsealing.promptly();
    await clock.advance(60_000);
    expect(attempts_s).toEqual([]);
    unsealing.plan();
    await clock.advance(100_000);
    state.isSealed = false;
    unsealing.promptly();
    await clock.advance(0);
    expect([attempts_s.at(-1), clock.waiting]).toEqual([160, 0]);
  });

  test("that is another one is asked for soon, and is not put off by more that come", async () => {
    const { clock, attempts_s, unsealing } = sealedValues();
    unsealing.plan();
    await clock.advance(80_000);
    expect(attempts_s).toEqual([5, 15, 35, 75]);
    for (let second = 0; second < 6; second++) {
      unsealing.begin();
      await clock.advance(1_000);
    }
    expect(attempts_s.at(-1)).toBe(85);
  });

  test("is asked for once more when keys come while it is asked for", async () => {
    const clock = new ManualClock();
    const answers = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let asked = 0;
    const unsealing: Unsealing = new Unsealing(async () => {
      await answers[asked++]?.promise;
      if (asked === 1) unsealing.plan();
    }, clock);
    unsealing.plan();
    await clock.advance(5_000);
    unsealing.promptly();
    answers[0]?.resolve();
    await clock.advance(0);
    expect(asked).toBe(2);
    answers[1]?.resolve();
    await clock.advance(0);
    expect(clock.waiting).toBe(0);
    unsealing.stop();
  });
});
