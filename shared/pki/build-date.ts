import { builtAt_ms } from "#shared/version.ts";

/**
 * When this binary was built, or the project's first year for one run from source: a board's clock that is earlier is
 * wrong, and certificates begin no later than this, so that a board without a clock can use them.
 */
export const buildDate: Date = new Date(builtAt_ms > 0 ? builtAt_ms : Date.UTC(2026, 0, 1));
