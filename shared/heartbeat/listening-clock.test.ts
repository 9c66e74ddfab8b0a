import { expect, test } from "bun:test";
import { ListeningClock } from "./listening-clock.ts";

/** A clock whose timers run when the test says so, as late as it likes. */
function lateClock() {
  let now_ms = 0;
  let waiting: (() => void) | undefined;
  return {
    clock: {
      now_ms: () => now_ms,
      wall_ms: () => now_ms,
      after: (_: number, run: () => void) => {
        waiting = run;
        return () => {
          waiting = undefined;
        };
      },
    },
    tickAfter(ms: number): void {
      now_ms += ms;
      waiting?.();
    },
  };
}

test("counts the time in which the process could listen, and none of a standstill", () => {
  const { clock, tickAfter } = lateClock();
  const listening = new ListeningClock(clock);
  listening.start();
  for (let second = 0; second < 5; second++) tickAfter(1_000);
  expect(listening.now_ms()).toBe(5_000);
  tickAfter(60_000);
  expect(listening.now_ms()).toBe(6_000);
  listening.stop();
  tickAfter(1_000);
  expect(listening.now_ms()).toBe(6_000);
});
