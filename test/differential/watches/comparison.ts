import { watchDifferences } from "./differences.ts";
import { play, type Side } from "./play.ts";
import { keyOf } from "./recording.ts";
import type { Observed, Scenario } from "./scenario.ts";

export interface Differing {
  readonly label: string;
  readonly upstream: Observed | undefined;
  readonly ours: Observed;
}

/** What a server does otherwise than upstream did, but for what differs on purpose. */
export async function differing(
  side: Side,
  scenario: Scenario,
  recorded: (key: string) => Observed | undefined,
): Promise<Differing[]> {
  const upstreamOf = (label: string): Observed | undefined => recorded(keyOf(scenario, label));
  const observed = await play(side, scenario, (label) => upstreamOf(label)?.events?.length ?? 0);
  return scenario.steps.flatMap((step) => {
    const [ours, upstream] = [observed.get(step.label), upstreamOf(step.label)];
    if (!ours || (upstream && Bun.deepEquals(ours, upstream))) return [];
    if (upstream && watchDifferences.some(({ explains }) => explains(step, upstream, ours))) return [];
    return [{ label: step.label, upstream, ours }];
  });
}
