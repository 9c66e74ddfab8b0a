/** Lists and watches are what upstream's API server v1.35.4 gave (recorded by record.ts), but for differences.ts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { differing } from "./comparison.ts";
import { loadObserved } from "./recording.ts";
import { scenarios } from "./scenarios.ts";

const recorded = loadObserved();
let server: WireServer;
beforeAll(async () => {
  server = await startWireServer();
});
afterAll(() => server.stop());

test("each step of a scenario has a label of its own", () => {
  for (const { name, steps } of scenarios) {
    const labels = steps.map(({ label }) => label);
    expect([name, labels.filter((label, index) => labels.indexOf(label) !== index)]).toEqual([name, []]);
  }
});

describe("lists and watches", () => {
  for (const scenario of scenarios) {
    const count = scenario.steps.filter((step) => step.do === "watch").length;
    test(`${scenario.name} (${count} watches)`, async () => {
      const found = await differing(server, scenario, recorded);
      const by = (side: "upstream" | "ours"): object =>
        Object.fromEntries(found.map((each) => [each.label, each[side]]));
      expect(by("ours")).toEqual(by("upstream"));
    }, 120_000);
  }
});
