import { onWall_ms, systemClock } from "#shared/client/clock.ts";

/** What may change without anybody telling the board is looked at this often. */
const look_ms = 60_000;

/** When the volumes of pods are to be looked at again, by UID. */
export class LookTimes {
  /** Monotonic. */
  readonly #next_ms = new Map<string, number>();

  later(podUid: string): void {
    this.#next_ms.set(podUid, systemClock.now_ms() + look_ms);
  }

  /** Epoch ms; undefined for a pod that nobody looks at. */
  at_ms(podUid: string): number | undefined {
    const next_ms = this.#next_ms.get(podUid);
    return next_ms === undefined ? undefined : onWall_ms(systemClock, next_ms);
  }

  forget(podUid: string): void {
    this.#next_ms.delete(podUid);
  }
}
