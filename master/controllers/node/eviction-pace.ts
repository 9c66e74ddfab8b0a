/** How fast the boards of a zone may lose their pods, and when not at all. Upstream's thresholds and figures. */

/** How much of the fleet (of one zone) is well. */
export type FleetState =
  | "normal"
  /** Most of it is not: rather the network or this master than the boards. */
  | "partly disrupted"
  /** All of it. */
  | "disrupted";

/** When and how fast; as upstream's flags of these names. */
export interface EvictionRates {
  readonly nodeEvictionRate: number;
  readonly secondaryNodeEvictionRate: number;
  /** A zone up to this size stops altogether when most of it is down. */
  readonly largeClusterSizeThreshold: number;
  readonly unhealthyZoneThreshold: number;
}

export const usualEvictionRates: EvictionRates = {
  nodeEvictionRate: 0.1,
  secondaryNodeEvictionRate: 0.01,
  largeClusterSizeThreshold: 50,
  unhealthyZoneThreshold: 0.55,
};

/** How many nodes a zone has, and how many of them are well. */
export interface ZoneCount {
  readonly nodes: number;
  readonly well: number;
}

export function fleetState(
  { nodes, well }: ZoneCount,
  { unhealthyZoneThreshold }: Pick<EvictionRates, "unhealthyZoneThreshold"> = usualEvictionRates,
): FleetState {
  const notWell = nodes - well;
  if (notWell === 0) return "normal";
  if (well === 0) return "disrupted";
  return notWell > 2 && notWell / nodes >= unhealthyZoneThreshold ? "partly disrupted" : "normal";
}

export type EvictionPace =
  /** Nodes a second whose pods may begin to be evicted; 0: none any more. */
  | { readonly kind: "rate"; readonly perSecond: number }
  /** Every zone is down, so it is this master that is cut off: what was begun is undone. */
  | { readonly kind: "take back" };

/** The pace in a zone (pure). A zone that is down while others are well has failed by itself: its pods had better move.
 *  @param isAllDown every zone is down. */
export function evictionPace(zone: ZoneCount, isAllDown: boolean, rates = usualEvictionRates): EvictionPace {
  const state = fleetState(zone, rates);
  switch (state) {
    case "normal":
      return { kind: "rate", perSecond: rates.nodeEvictionRate };
    case "partly disrupted":
      return {
        kind: "rate",
        perSecond: zone.nodes > rates.largeClusterSizeThreshold ? rates.secondaryNodeEvictionRate : 0,
      };
    case "disrupted":
      return isAllDown ? { kind: "take back" } : { kind: "rate", perSecond: rates.nodeEvictionRate };
  }
}

/** After all was down, boards come back one after the other: those that are still missing are given this long. */
const returning_ms = 20_000;

/** Gives the nodes of each zone their turns, one at a time. */
export class EvictionTurns {
  #isAllDown = false;
  #allDownUntil_ms = Number.NEGATIVE_INFINITY;
  readonly #last = new Map<string, { readonly node: string; readonly at_ms: number }>();

  /** 0 when it is the node's turn, which is then taken; else how long to wait, ms. `perSecond` is above 0. Who has the turn
   *  may ask again, for a write that went wrong. */
  take(zone: string, node: string, perSecond: number, now_ms: number): number {
    const last = this.#last.get(zone);
    if (last?.node === node) return 0;
    const wait_ms = last ? last.at_ms + 1000 / perSecond - now_ms : 0;
    if (wait_ms > 0) return wait_ms;
    this.#last.set(zone, { node, at_ms: now_ms });
    return 0;
  }

  /** Whether every zone is down now. From when one is well again, the others are given time. */
  noteFleet(isAllDown: boolean, now_ms: number): void {
    if (this.#isAllDown && !isAllDown) this.#allDownUntil_ms = now_ms + returning_ms;
    this.#isAllDown = isAllDown;
  }

  /** How long boards that are missing after all was down have left to come back, ms; 0 when that was long ago. */
  returning_ms(now_ms: number): number {
    return Math.max(0, this.#allDownUntil_ms - now_ms);
  }

  /** The node is well again, or gone: its next loss is a new one. */
  forget(zone: string, node: string): void {
    const last = this.#last.get(zone);
    if (last?.node === node) this.#last.set(zone, { node: "", at_ms: last.at_ms });
  }
}
