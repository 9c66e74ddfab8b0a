import { type StrainType, strainTypes } from "#shared/board/strains.ts";
import type { SensorReadings } from "./sensors.ts";

/** What a board suffers from; undefined where nothing measures it. */
export type Strains = Readonly<Record<StrainType, boolean | undefined>>;

/** A Pi begins to slow down at 80 °C; it counts as hot until it is clearly below. */
const hot_celsius = 80;
const cooled_celsius = 75;
/** A strain that has gone counts until it has stayed away for this long: a weak supply dips again and again. */
const transition_ms = 5 * 60_000;

/** Strains with memory: told at once, lifted late, so that a node does not flap. */
export class StrainGauge {
  readonly #lastSeen_ms = new Map<StrainType, number>();

  update(readings: SensorReadings, now_ms: number): Strains {
    const hottest = Math.max(...readings.temperatures.map(({ celsius }) => celsius));
    const limit = this.#lastSeen_ms.has("Overheated") ? cooled_celsius : hot_celsius;
    const now: Strains = {
      Undervoltage: readings.undervoltage,
      Throttled: readings.throttled,
      Overheated: readings.temperatures.length === 0 ? undefined : hottest >= limit,
    };
    const held = (type: StrainType): boolean | undefined => {
      if (now[type] === undefined) return undefined;
      if (now[type]) this.#lastSeen_ms.set(type, now_ms);
      const since_ms = now_ms - (this.#lastSeen_ms.get(type) ?? Number.NEGATIVE_INFINITY);
      if (since_ms >= transition_ms) this.#lastSeen_ms.delete(type);
      return since_ms < transition_ms;
    };
    return Object.fromEntries(strainTypes.map((type) => [type, held(type)])) as Record<StrainType, boolean | undefined>;
  }
}
