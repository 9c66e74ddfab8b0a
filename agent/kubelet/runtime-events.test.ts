import { expect, test } from "bun:test";
import { RuntimeError, type RuntimeEvent } from "#agent/runtime/runtime.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import { followRuntimeEvents } from "./runtime-events.ts";

/** Follows what `attempt` gives, of which it is told how many there were before. */
function following(attempt: (before: number, signal: AbortSignal) => AsyncIterable<RuntimeEvent>) {
  const clock = new ManualClock();
  const { log, lines } = notedLog();
  const ending = new AbortController();
  const tries_ms: number[] = [];
  const events: string[] = [];
  const ended = followRuntimeEvents({
    runtime: { events: (signal) => attempt(tries_ms.length - 1, signal) },
    log,
    clock,
    signal: ending.signal,
    onEvent: (podUid) => events.push(podUid),
    onBegin: () => tries_ms.push(clock.now_ms()),
    onBreak: () => undefined,
  });
  const end = async (): Promise<void> => {
    ending.abort();
    await ended;
  };
  return { clock, lines, tries_ms, events, end };
}

const failing = (error: Error): AsyncIterable<RuntimeEvent> => ({
  [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
});
async function* standing(signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
  yield { kind: "died", containerId: "c", podUid: "u" };
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
async function* ending(): AsyncGenerator<RuntimeEvent> {
  yield { kind: "died", containerId: "c", podUid: "u" };
}
const away = new RuntimeError("unavailable", "connect ENOENT /var/run/docker.sock");

test("a runtime that is away is told of once, and asked more and more seldom", async () => {
  const { clock, lines, tries_ms, end } = following(() => failing(away));
  await clock.advance(3_600_000);
  expect(lines).toEqual(["warn the container runtime's events are interrupted"]);
  expect(tries_ms.slice(0, 7)).toEqual([0, 1_000, 3_000, 7_000, 15_000, 30_000, 45_000]);
  await end();
});

test("it is told when the runtime is back, and then the next time that it goes", async () => {
  const { clock, lines, tries_ms, events, end } = following((before, signal) =>
    before < 3 ? failing(away) : standing(signal),
  );
  await clock.advance(60_000);
  expect(tries_ms).toHaveLength(4);
  expect(events).toEqual(["u"]);
  expect(lines).toEqual([
    "warn the container runtime's events are interrupted",
    "info the container runtime's events are told again",
  ]);
  await end();
});

test("one that starts again and again is not taken for one that is back", async () => {
  const { clock, lines, tries_ms, end } = following((before) => (before % 2 ? failing(away) : ending()));
  await clock.advance(600_000);
  expect(tries_ms.length).toBeLessThan(50);
  expect(lines).toHaveLength(2);
  await end();
});

test("one that tells no events is looked at steadily", async () => {
  const none = new RuntimeError("other", "none", { cause: new GrpcError(GrpcCode.Unimplemented, "none", false) });
  const { clock, lines, tries_ms, end } = following(() => failing(none));
  await clock.advance(60_000);
  expect(tries_ms).toHaveLength(31);
  expect(lines).toHaveLength(1);
  await end();
});
