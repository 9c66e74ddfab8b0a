import { cacheBounds } from "./cache-bounds.ts";
import { letGoOfProgramPages } from "./program-pages.ts";

/**
 * Gives the memory of work that is over back to the board. JavaScriptCore collects when its heap grows, not when work
 * ends: after a burst it would keep the garbage, and the code compiled for it, for as long as nothing happens.
 */
const lookEvery_ms = 30_000;
/** Share of one core below which nothing is delayed by a collection's pause. */
const quietShare = 0.05;

export interface Look {
  /** CPU time used since the look before. */
  readonly cpu_ms: number;
  readonly elapsed_ms: number;
  readonly rss_bytes: number;
  /** What the last collection left; undefined before the first. */
  readonly settled_bytes: number | undefined;
}

/** Whether a full collection, some 100 ms on a small board, would now disturb nobody. */
export function isQuiet({ cpu_ms, elapsed_ms }: Pick<Look, "cpu_ms" | "elapsed_ms">): boolean {
  return cpu_ms < elapsed_ms * quietShare;
}

/** Whether a full collection would now disturb nobody and free something. */
export function isWorthCollecting({ rss_bytes, settled_bytes = 0, ...use }: Look): boolean {
  return isQuiet(use) && rss_bytes - settled_bytes >= cacheBounds().collect_bytes;
}

/** Frees garbage and all code that the engine has made: what is called again starts from the code that the program was built
 *  with, and is compiled if it is called often. */
export function giveBack(): void {
  Bun.gc(true);
  Bun.shrink();
}

/**
 * Called when the start is done: from now on the engine compiles as early as it does by itself (tools/build.ts). Then looks
 * every half minute, which costs an idle board some microseconds, until the function that it gives is called.
 * At each quiet look `letGo` gives up what only speeds up a busy process, and says whether a collection is worth it for that.
 */
export function collectWhenQuiet(letGo?: () => boolean): () => void {
  Bun.unsafe.setJITPolicy(1);
  let settled_bytes: number | undefined;
  let hasCollected = false;
  let before = { cpu: process.cpuUsage(), at_ms: performance.now() };
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before.cpu);
    const now = { cpu: process.cpuUsage(), at_ms: performance.now() };
    const rss_bytes = process.memoryUsage.rss();
    // Pages go back with some delay, so what a collection has left shows only now.
    if (hasCollected) settled_bytes = rss_bytes;
    const hadCollected = hasCollected;
    const look = { cpu_ms: (user + system) / 1000, elapsed_ms: now.at_ms - before.at_ms, rss_bytes, settled_bytes };
    const hasLetGo = isQuiet(look) && (letGo?.() ?? false);
    hasCollected = hasLetGo || isWorthCollecting(look);
    if (hasCollected) giveBack();
    // Once more when it is quiet for longer: what is needed then is less than what the end of a burst touches.
    if (hasCollected || hadCollected) letGoOfProgramPages();
    before = now;
  }, lookEvery_ms);
  timer.unref();
  return () => clearInterval(timer);
}
