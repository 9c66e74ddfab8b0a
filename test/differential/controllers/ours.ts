import type { AutoscalingSettings } from "../../../master/controllers/horizontal-pod-autoscaler/autoscaling-settings.ts";
import { workloadControllers } from "../../../master/controllers/workload-controllers.ts";
import { type ControlPlane, startControlPlane } from "../../controllers/control-plane.ts";
import { differencesOf } from "./comparison.ts";
import { isExplained } from "./differences.ts";
import type { Room } from "./mirror.ts";
import { openStage, type Stage } from "./play.ts";
import { keyOf } from "./recording.ts";
import { type Snapshot, snapshotOf } from "./snapshot.ts";
import type { Scenario } from "./world.ts";

export interface OwnControllers {
  readonly plane: ControlPlane;
  /** Plays the scenario, and gives the steps at which the controllers came to something else than upstream's: only the
   *  first one, or all. */
  differing(
    scenario: Scenario,
    recorded: (key: string) => Snapshot | undefined,
    patience_ms: number,
    which: "first" | "all",
  ): Promise<Found[]>;
  stop(): Promise<void>;
}

export interface Found {
  readonly label: string;
  readonly differences: readonly string[];
}

/** Many changes come at once. */
const gather_ms = 30;

/** What follows a difference is not worth looking at. */
class Differs extends Error {
  override readonly name = "Differs";
}

export interface OwnOptions {
  readonly autoscaling?: AutoscalingSettings;
  /** Whether other servers can be put behind APIServices, and kinds be added. */
  readonly isExtensible?: boolean;
  readonly serviceCidr?: string;
  /** Differences, besides those of differences.ts, that these scenarios are not about and that are there by chance. */
  readonly isByChance?: (difference: string) => boolean;
}

/** The control plane in memory, without its scheduler: scenarios say where pods run. */
export async function startOwn(options: OwnOptions = {}): Promise<OwnControllers> {
  const { autoscaling, isExtensible = false, serviceCidr = "10.43.0.0/16", isByChance } = options;
  const plane = await startControlPlane(workloadControllers(autoscaling), {
    schedules: false,
    isExtensible,
    serviceCidr,
    // Upstream's.
    tolerationSeconds: { notReady_s: 300, unreachable_s: 300 },
  });
  const stage: Stage = await openStage(plane.admin);
  return {
    plane,
    async differing(scenario, recorded, patience_ms, which) {
      const found: Found[] = [];
      const checkpoint = async (room: Room, label: string): Promise<void> => {
        const step = keyOf(scenario, label);
        const wanted = recorded(step);
        const differences = wanted
          ? await differencesAfter({ room, wanted, step, leavesOut: scenario.leavesOut, isByChance }, patience_ms)
          : ["upstream never came to this step"];
        if (differences.length === 0) return;
        found.push({ label, differences });
        if (which === "first") throw new Differs(label);
      };
      try {
        await stage.play(scenario, checkpoint);
      } catch (error) {
        if (!(error instanceof Differs)) throw error;
      }
      return found;
    },
    async stop() {
      stage.stop();
      await plane.stop();
    },
  };
}

interface Comparison {
  readonly room: Room;
  readonly wanted: Snapshot;
  readonly step: string;
  readonly leavesOut: Scenario["leavesOut"];
  readonly isByChance: OwnOptions["isByChance"];
}

/** What still differs when patience ends; nothing as soon as nothing does. */
async function differencesAfter(comparison: Comparison, patience_ms: number): Promise<string[]> {
  const { room, wanted, step, leavesOut, isByChance } = comparison;
  const end = performance.now() + patience_ms;
  for (;;) {
    const differences = differencesOf(wanted, snapshotOf(room, leavesOut)).filter(
      (each) => !isExplained(step, each) && !isByChance?.(each),
    );
    const left_ms = end - performance.now();
    if (differences.length === 0 || left_ms <= 0) return differences;
    await room.change(left_ms);
    await Bun.sleep(gather_ms);
  }
}
