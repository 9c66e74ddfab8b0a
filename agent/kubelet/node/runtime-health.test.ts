import { describe, expect, test } from "bun:test";
import type { ImageStatus, RuntimeVersion } from "#agent/runtime/runtime.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { RuntimeHealth } from "./runtime-health.ts";

const version = { name: "docker", version: "28" } as RuntimeVersion;
const image = { id: "sha256:1" } as ImageStatus;

/** A runtime whose answers come when the test gives them. */
function board() {
  const clock = new ManualClock();
  const questions: PromiseWithResolvers<RuntimeVersion>[] = [];
  let recovered = 0;
  const runtime = {
    version: () => {
      const question = Promise.withResolvers<RuntimeVersion>();
      questions.push(question);
      return question.promise;
    },
    listImages: async () => [image],
  };
  const health = new RuntimeHealth(runtime, { patience_ms: 60_000, onRecovered: () => recovered++, clock });
  return { clock, health, questions, recovered: () => recovered };
}

describe("a container runtime", () => {
  test("that answers is well; one that refuses is down, and says why", async () => {
    const { health, questions, recovered } = board();
    const first = health.ask();
    questions[0]?.resolve(version);
    await first;
    expect([health.version, health.images, health.trouble]).toEqual([version, [image], undefined]);
    const second = health.ask();
    questions[1]?.reject(new Error("no such socket"));
    await second;
    expect([health.version, health.images, health.trouble]).toEqual([
      version,
      [],
      "container runtime is down: no such socket",
    ]);
    const third = health.ask();
    questions[2]?.resolve(version);
    await third;
    expect([health.trouble, recovered()]).toEqual([undefined, 1]);
  });

  test("that hangs is down once it has had its time, is asked no second time, and tells when it is back", async () => {
    const { clock, health, questions, recovered } = board();
    const first = health.ask();
    questions.shift()?.resolve(version);
    await first;
    const looked = health.ask();
    await clock.advance(59_000);
    expect(health.trouble).toBeUndefined();
    await clock.advance(1_000);
    await looked;
    expect(health.trouble).toBe("container runtime is down: it has not answered for 60 s");
    // Who looks again need not wait for as long again.
    await health.ask();
    expect([questions.length, recovered(), clock.waiting]).toEqual([1, 0, 0]);
    questions[0]?.resolve(version);
    await clock.advance(0);
    expect([health.trouble, recovered()]).toEqual([undefined, 1]);
    const next = health.ask();
    questions[1]?.resolve(version);
    await next;
    expect(recovered()).toBe(1);
  });

  test("that hangs when the board begins holds its registration up for ten seconds, and tells when it is there", async () => {
    const { clock, health, questions, recovered } = board();
    const looked = health.ask();
    await clock.advance(10_000);
    expect(clock.waiting).toBe(0);
    await looked;
    expect(health.trouble).toBe("container runtime is down: it has not answered for 10 s");
    questions[0]?.resolve(version);
    await clock.advance(0);
    expect([health.version, health.trouble, recovered()]).toEqual([version, undefined, 1]);
  });

  test("that hangs is not waited for by who stops looking", async () => {
    const { health, clock } = board();
    const stop = new AbortController();
    const looked = health.ask(stop.signal);
    stop.abort(new Error("stopped"));
    await expect(looked).rejects.toThrow("stopped");
    expect([health.trouble, clock.waiting]).toEqual([undefined, 0]);
  });
});
