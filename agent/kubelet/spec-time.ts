/** Timers take no more than 2^31 - 1 ms, and fire at once for what is more; some is left for what is added on the way. */
const longest_s = 2_000_000;

/**
 * Seconds of a spec as a timer can have them, in milliseconds: API servers let in more than a timer takes (24 days), and a hand in the
 * store writes less than a second.
 */
export function timerOf_ms(seconds: number | undefined, usual_s: number): number {
  return atMost_s(seconds !== undefined && seconds >= 1 ? seconds : usual_s) * 1000;
}

/** The same time, or the longest that a timer can have. */
export const atMost_s = (seconds: number): number => Math.min(seconds, longest_s);
