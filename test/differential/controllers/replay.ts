/** A test for each recorded scenario: what Bramble's controllers make of it is what upstream's made of it, but for differences.ts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Found, OwnControllers } from "./ours.ts";
import { loadSnapshots } from "./recording.ts";
import type { Scenario } from "./world.ts";

/** As long as a busy machine may take over one step; a step that is right takes no longer than it needs. */
const patience_ms = 90_000;
/** Most scenarios wait for time to pass, so many are played at once. */
const atOnce = 16;

/** @param folder of the suite, with its recording */
export function replayScenarios(
  scenarios: readonly Scenario[],
  folder: string,
  start: () => Promise<OwnControllers>,
): void {
  const recorded = loadSnapshots(folder);
  const outcomes = new Map<Scenario, PromiseWithResolvers<readonly Found[]>>(
    scenarios.map((scenario) => [scenario, Promise.withResolvers()]),
  );
  let own: OwnControllers;
  beforeAll(async () => {
    own = await start();
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
}
