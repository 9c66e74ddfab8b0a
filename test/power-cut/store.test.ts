import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { singleMasterRoutes } from "#master/store/sqlite-store.ts";
import { Acknowledged, absent } from "./acknowledged.ts";
import { type Cut, cutAt, record } from "./recording.ts";
import { openTestStore, tagOf } from "./store-image.ts";

setDefaultTimeout(3_600_000);

/** A share in every run; BRAMBLE_POWER_CUTS=500 for the whole. */
const cuts = Number(process.env["BRAMBLE_POWER_CUTS"] ?? 60);
const seed = Number(process.env["BRAMBLE_SEED"] ?? 1);

const forgets = (key: string): boolean =>
  [...singleMasterRoutes.volatile, ...singleMasterRoutes.batched].some((prefix) => key.startsWith(prefix));

test(`a store whose power goes keeps every acknowledged write, at ${cuts} points of its writes`, async () => {
  const recording = await record("store-run.ts", "6", "120");
  // A run that wrote nothing proves nothing.
  expect(recording.steps.filter(({ step }) => step === "sync").length).toBeGreaterThan(100);
  await cutAt(recording, cuts, seed, look);
});

async function look(folder: string, cut: Cut): Promise<void> {
  const { states, highest } = new Acknowledged(cut.notes);
  // Twice: the second start finds what the first one left.
  for (let start = 0; start < 2; start++) {
    const store = await openTestStore(join(folder, "store"));
    try {
      const present = new Map((await store.list("/registry/")).items.map(({ key, value }) => [key, tagOf(value)]));
      for (const [key, allowed] of states) {
        const state = present.get(key) ?? absent;
        if (!forgets(key) && !allowed.has(state))
          throw new Error(`${key} is ${state}, and should be ${[...allowed].join(" or ")}`);
      }
      const revision = await store.create(`/registry/configmaps/default/after-${start}`, '{"tag":"x"}');
      if (revision <= highest) throw new Error(`revision ${revision} was given again: ${highest} was known before`);
      await store.delete(`/registry/configmaps/default/after-${start}`, revision);
    } finally {
      await store.close();
    }
  }
}
