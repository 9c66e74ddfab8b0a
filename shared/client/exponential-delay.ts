/** A delay of 0 stays one, however often it is doubled. */
const mostDoublings = 50;

/** How long to wait before the next try after so many tries that failed: doubles with each, up to a bound, ms. */
export const exponentialDelay_ms = (failures: number, first_ms: number, longest_ms: number): number =>
  Math.min(first_ms * 2 ** Math.min(failures, mostDoublings), longest_ms);
