import { rfc3339, rfc3339Micro } from "#shared/api/time.ts";

/** Time as the machinery here uses it. Durations are measured on `now_ms`, which never jumps: boards have no clock of
 *  their own and set it by leaps. `wall_ms` is only for what is written into objects. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start. */
  now_ms(): number;
  /** Milliseconds since 1970 by the board's clock. */
  wall_ms(): number;
  /** Calls `run` once after the delay. Gives a function that cancels. Never keeps the process alive by itself. */
  after(delay_ms: number, run: () => void): () => void;
}

/** The longest delay that setTimeout takes (2^31-1 ms); longer ones would fire at once. */
export const longestTimer_ms = 2_147_483_647;

export const systemClock: Clock = {
  now_ms: () => performance.now(),
  wall_ms: () => Date.now(),
  after(delay_ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, delay_ms), longestTimer_ms));
    timer.unref?.();
    return () => clearTimeout(timer);
  },
};

/** Resolves after the delay, or at once when the signal aborts; never rejects. */
export function pause(clock: Clock, delay_ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const cancel = clock.after(delay_ms, done);
    function done(): void {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** When a moment of the monotonic clock comes by the board's clock as it goes now, which may be set before then. */
export const onWall_ms = (clock: Pick<Clock, "now_ms" | "wall_ms">, moment_ms: number): number =>
  clock.wall_ms() + (moment_ms - clock.now_ms());

/** RFC 3339 with whole seconds, as metav1.Time. */
export function timestamp(clock: Clock): string {
  return rfc3339(clock.wall_ms());
}

/** RFC 3339 with microseconds, as metav1.MicroTime. */
export function microTimestamp(clock: Clock): string {
  return rfc3339Micro(clock.wall_ms());
}
