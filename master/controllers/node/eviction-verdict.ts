import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { EvictionTurns } from "./eviction-pace.ts";
import type { FleetCensus } from "./fleet-census.ts";
import { type EvictionVerdict, evictingTaintOf, isBeingEmptied, zoneOf } from "./taints.ts";

/** Whether the node may be emptied now, and how long it has to wait for its turn, ms, if it has to. Takes the turn. */
export function judgeEviction(
  node: Node,
  census: FleetCensus,
  turns: EvictionTurns,
  now_ms: number,
): { readonly verdict: EvictionVerdict; readonly wait_ms?: number } {
  const { name = "" } = node.metadata;
  const zone = zoneOf(node);
  const pace = census.pace(zone);
  turns.noteFleet(census.isAllDown, now_ms);
  if (pace.kind === "take back") return { verdict: "take back" };
  if (!evictingTaintOf(node)) turns.forget(zone, name);
  if (pace.perSecond === 0) return { verdict: "hold" };
  if (!evictingTaintOf(node) || isBeingEmptied(node)) return { verdict: "evict" };
  const returning_ms = turns.returning_ms(now_ms);
  if (returning_ms > 0) return { verdict: "wait", wait_ms: returning_ms };
  const wait_ms = turns.take(zone, name, pace.perSecond, now_ms);
  return wait_ms > 0 ? { verdict: "wait", wait_ms } : { verdict: "evict" };
}
