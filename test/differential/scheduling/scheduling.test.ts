/** Pods go where upstream's scheduler (v1.35.4, with its API server and controllers) put them, and are told the same. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { workloadControllers } from "../../../master/controllers/workload-controllers.ts";
import { type ControlPlane, startControlPlane } from "../../controllers/control-plane.ts";
import { differences, play } from "./play.ts";
import { loadRecorded } from "./recording.ts";
import { scenarios } from "./scenarios.ts";

/** What is wrong stays wrong: looked at for so long. */
const patience_ms = Number(process.env["PATIENCE_MS"] ?? 60_000);
const recorded = loadRecorded();

let plane: ControlPlane;
beforeAll(async () => {
  // The scenarios' nodes have no kubelets that would renew their Leases.
  plane = await startControlPlane(workloadControllers(), {
    nodeMonitorGracePeriod_ms: 3_600_000,
    isExtensible: true,
  });
});
afterAll(() => plane.stop());

describe("scheduling", () => {
  for (const scenario of scenarios) {
    const { name } = scenario;
    test(name, async () => {
      const found: Record<string, string[]> = {};
      await play(plane.admin, scenario, async (label, look) => {
        const expected = recorded[name]?.[label];
        const end_ms = performance.now() + patience_ms;
        for (;;) {
          const lines = expected ? differences(expected, await look()) : ["never recorded"];
          found[label] = lines;
          if (lines.length === 0 || performance.now() > end_ms) break;
          await Bun.sleep(20);
        }
      });
      const differing = Object.entries(found).filter(([, lines]) => lines.length > 0);
      expect(Object.fromEntries(differing)).toEqual({});
    }, 600_000);
  }
});
