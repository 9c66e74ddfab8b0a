import {
  type EvictionPace,
  type EvictionRates,
  evictionPace,
  fleetState,
  usualEvictionRates,
  type ZoneCount,
} from "./eviction-pace.ts";

interface Counted {
  readonly zone: string;
  readonly isWell: boolean;
}

/** How many nodes of each zone are well, kept as they change: what one node's change costs does not grow with the fleet. */
export class FleetCensus {
  readonly #nodes = new Map<string, Counted>();
  readonly #zones = new Map<string, ZoneCount>();
  /** Zones of which no node is well. */
  #down = 0;

  constructor(private readonly rates: EvictionRates = usualEvictionRates) {}

  /** Counts a node as it is now; says whether the pace of any zone is another one since. */
  set(name: string, zone: string, isWell: boolean): boolean {
    const former = this.#nodes.get(name);
    if (former?.zone === zone && former.isWell === isWell) return false;
    return this.#change(name, { zone, isWell });
  }

  /** Counts a node no more; says whether the pace of any zone is another one since. */
  delete(name: string): boolean {
    return this.#nodes.has(name) && this.#change(name, undefined);
  }

  /** Nothing is well. Without any node nothing is down. */
  get isAllDown(): boolean {
    return this.#down > 0 && this.#down === this.#zones.size;
  }

  /** Zones that have nodes. */
  get zones(): ReadonlyMap<string, ZoneCount> {
    return this.#zones;
  }

  pace(zone: string): EvictionPace {
    return evictionPace(this.#zones.get(zone) ?? { nodes: 0, well: 0 }, this.isAllDown, this.rates);
  }

  #change(name: string, now: Counted | undefined): boolean {
    const former = this.#nodes.get(name);
    const zones = [...new Set([former?.zone, now?.zone])].filter((zone) => zone !== undefined);
    const before = zones.map((zone) => rateOf(this.pace(zone)));
    const wereAllDown = this.isAllDown;
    if (former) this.#count(former, -1);
    if (now) {
      this.#count(now, 1);
      this.#nodes.set(name, now);
    } else this.#nodes.delete(name);
    // Of zones that the node is not in, the pace depends on whether all are down, and on nothing else of this one.
    return wereAllDown !== this.isAllDown || zones.some((zone, index) => rateOf(this.pace(zone)) !== before[index]);
  }

  #count({ zone, isWell }: Counted, by: 1 | -1): void {
    const { nodes, well } = this.#zones.get(zone) ?? { nodes: 0, well: 0 };
    const next = { nodes: nodes + by, well: well + (isWell ? by : 0) };
    this.#down += Number(isDown(next)) - Number(isDown({ nodes, well }));
    if (next.nodes > 0) this.#zones.set(zone, next);
    else this.#zones.delete(zone);
  }
}

const isDown = (zone: ZoneCount): boolean => fleetState(zone) === "disrupted";

/** Nodes a second; -1 where what was begun is undone. */
const rateOf = (pace: EvictionPace): number => (pace.kind === "rate" ? pace.perSecond : -1);
