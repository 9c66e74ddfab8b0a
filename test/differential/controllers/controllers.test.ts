/** What controllers make of what people do is what upstream's kube-controller-manager v1.35.4 made of it (recorded by
 *  record.ts), but for differences.ts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Found, type OwnControllers, startOwn } from "./ours.ts";
import { loadSnapshots } from "./recording.ts";
import { scenarios } from "./scenarios.ts";
import type { Scenario } from "./world.ts";

/** As long as a busy machine may take over one step; a step that is right takes no longer than it needs. */
const patience_ms = 90_000;
/** Most scenarios wait for time to pass, so many are played at once. */
const atOnce = 16;

const recorded = loadSnapshots();
const outcomes = new Map<Scenario, PromiseWithResolvers<readonly Found[]>>(
  scenarios.map((scenario) => [scenario, Promise.withResolvers()]),
);
let own: OwnControllers;
beforeAll(async () => {
  own = await startOwn();
  const left = [...outcomes];
  for (let place = 0; place < atOnce; place++) void playNext(left);
}, 300_000);
afterAll(() => own.stop(), 300_000);

async function playNext(left: [Scenario, PromiseWithResolvers<readonly Found[]>][]): Promise<void> {
  for (let next = left.shift(); next; next = left.shift()) {
    const [scenario, { promise, resolve, reject }] = next;
    // Whoever asks hears of a failure.
    promise.catch(() => undefined);
    await own.differing(scenario, recorded, patience_ms, "first").then(resolve, reject);
  }
}

test("each scenario has a name of its own", () => {
  expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length);
});

describe("controllers", () => {
  for (const [scenario, { promise }] of outcomes)
    test(scenario.name, async () => {
      expect(await promise).toEqual([]);
    }, 600_000);
});
