/** Set by the build (`--define BRAMBLE_BUILD_DATE='"2026-11-23T00:00:00Z"'`); absent when run from source. */
declare const BRAMBLE_BUILD_DATE: string | undefined;

/** When this binary was built. A board without a clock wakes at some past time, but never before it got this binary, so
 *  certificates that boards must accept begin here. From source it is the epoch of the project. */
export const buildDate: Date = new Date(
  typeof BRAMBLE_BUILD_DATE === "undefined" ? "2026-01-01T00:00:00Z" : BRAMBLE_BUILD_DATE,
);
