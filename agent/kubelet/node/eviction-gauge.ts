import type { Headroom, Pressures } from "#agent/telemetry/pressure.ts";
import { amountIn, type EvictionRules, factsOfSignal, type Threshold } from "./eviction-rules.ts";

/** A threshold that is passed, and for longer than it may be. */
export interface Shortage {
  readonly threshold: Threshold;
  /** What should at least be left, in bytes, inodes or process ids, and what is. */
  readonly least: number;
  readonly available: number;
}

export interface Judgement {
  /** Raised at once, lifted late, so that a node does not flap. */
  readonly pressures: Pressures;
  /** What pods go for, the most urgent first. */
  readonly shortages: readonly Shortage[];
}

const kinds = ["memory", "disk", "pids"] as const;

/** Judges what is left on the board, look by look, as upstream's eviction manager does. Holds what it saw before. */
export class EvictionGauge {
  readonly #firstPassed_ms = new Map<Threshold, number>();
  readonly #lastSeen_ms = new Map<keyof Pressures, number>();
  /** Thresholds for which pods had to go at the last look. */
  #acted: readonly Threshold[] = [];

  constructor(readonly rules: EvictionRules) {}

  look(headroom: Headroom, now_ms: number): Judgement {
    const passed = new Set([
      ...this.rules.thresholds.filter((threshold) => shortage(threshold, headroom) !== undefined),
      // What was acted upon is left behind only with what is to be reclaimed beyond it.
      ...this.#acted.filter((threshold) => shortage(threshold, headroom, threshold.reclaim) !== undefined),
    ]);
    for (const threshold of this.#firstPassed_ms.keys())
      if (!passed.has(threshold)) this.#firstPassed_ms.delete(threshold);
    for (const threshold of passed)
      if (!this.#firstPassed_ms.has(threshold)) this.#firstPassed_ms.set(threshold, now_ms);
    this.#acted = [...passed].filter(
      (threshold) => now_ms - (this.#firstPassed_ms.get(threshold) ?? now_ms) >= threshold.grace_ms,
    );
    return { pressures: this.#pressures(passed, headroom, now_ms), shortages: inOrder(this.#acted, headroom) };
  }

  /** Is everything that thresholds ask for left, and what they want reclaimed besides? */
  isRelieved(headroom: Headroom): boolean {
    return this.rules.thresholds.every((threshold) => shortage(threshold, headroom, threshold.reclaim) === undefined);
  }

  #pressures(passed: ReadonlySet<Threshold>, headroom: Headroom, now_ms: number): Pressures {
    for (const { signal } of passed) this.#lastSeen_ms.set(factsOfSignal(signal).pressure, now_ms);
    if (this.#lacksProcesses(headroom)) this.#lastSeen_ms.set("pids", now_ms);
    const held = kinds.map((kind) => {
      const since_ms = now_ms - (this.#lastSeen_ms.get(kind) ?? Number.NEGATIVE_INFINITY);
      // With no time to wait, what is seen now counts all the same.
      return [kind, since_ms === 0 || since_ms < this.rules.transition_ms];
    });
    return Object.fromEntries(held) as Record<keyof Pressures, boolean>;
  }

  /** Where no threshold speaks of process ids, below a fiftieth of them, and below 1,000 at the most: they are told, and no
   *  pod goes for them. */
  #lacksProcesses({ processes: { available, capacity } }: Headroom): boolean {
    return (
      !this.rules.thresholds.some(({ signal }) => signal === "pid.available") &&
      available < Math.min(1000, capacity * 0.02)
    );
  }
}

/** Undefined where enough is left, or nothing can be said. */
function shortage(threshold: Threshold, headroom: Headroom, beyond?: Threshold["reclaim"]): Shortage | undefined {
  const room = factsOfSignal(threshold.signal).room(headroom);
  // A file system that says it has no room at all has something else wrong with it.
  if (!room || room.capacity <= 0) return undefined;
  const least = amountIn(threshold.least, room.capacity);
  const wanted = least + (beyond ? amountIn(beyond, room.capacity) : 0);
  return room.available < wanted ? { threshold, least, available: room.available } : undefined;
}

/** Memory before all else: without it nothing else can be done. */
function inOrder(thresholds: readonly Threshold[], headroom: Headroom): Shortage[] {
  return thresholds
    .flatMap((threshold) => shortage(threshold, headroom, threshold.reclaim) ?? [])
    .sort((a, b) => Number(isMemory(b.threshold)) - Number(isMemory(a.threshold)));
}

const isMemory = ({ signal }: Threshold): boolean => signal === "memory.available";
