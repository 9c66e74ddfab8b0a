import { readFileSync } from "node:fs";
import { cacheBounds } from "./cache-bounds.ts";
import { compileEarly, compileLate } from "./compiling.ts";
import { letGoOfProgramPages } from "./program-pages.ts";

/**
 * Gives the memory of work that is over back to the board. JavaScriptCore collects when its heap grows, not when work
 * ends: after a burst it would keep the garbage, and the code compiled for it, for as long as nothing happens.
 */
const lookEvery_ms = 30_000;
/** Share of one core below which nothing is delayed by a collection's pause. */
const quietShare = 0.05;

/** From then on less is worth a collection. */
const longQuiet_ms = 5 * 60_000;

/** Looks after pages of the program were let go until those that every minute needs are back. */
const looksToReturn = 2;
/** So much more than those is worth letting go again: a node's half-hourly status alone brings in more. */
const rarePages_bytes = 3 * 1024 * 1024;

export interface Look {
  /** CPU time used since the look before. */
  readonly cpu_ms: number;
  readonly elapsed_ms: number;
  /** Memory of the process's own. */
  readonly own_bytes: number;
  /** What the last collection left of it; undefined before the first. */
  readonly settled_bytes: number | undefined;
  /** Since the last collection. */
  readonly uncollected_ms: number;
}

/** Whether a full collection, some 100 ms on a small board, would now disturb nobody. */
function isQuiet({ cpu_ms, elapsed_ms }: Pick<Look, "cpu_ms" | "elapsed_ms">): boolean {
  return cpu_ms < elapsed_ms * quietShare;
}

/** Whether a full collection would now disturb nobody and free something. */
export function isWorthCollecting({ own_bytes, settled_bytes = 0, uncollected_ms, ...use }: Look): boolean {
  const { collect_bytes } = cacheBounds();
  const worthwhile_bytes = uncollected_ms < longQuiet_ms ? collect_bytes : collect_bytes / 4;
  return isQuiet(use) && own_bytes - settled_bytes >= worthwhile_bytes;
}

/** Tells when pages of the program that only rare work needed have added up since they were let go. */
export class RarePages {
  #looks = 0;
  #needed_bytes = 0;

  haveBeenLetGo(): void {
    this.#looks = 0;
  }

  /** @returns whether there are enough of them to let go again. */
  look(program_bytes: number): boolean {
    this.#looks += 1;
    if (this.#looks === looksToReturn) this.#needed_bytes = program_bytes;
    return this.#looks > looksToReturn && program_bytes - this.#needed_bytes >= rarePages_bytes;
  }
}

/** Frees garbage and all code that the engine has made: what is called again starts from the code that the program was built
 *  with, and is compiled if it is called often. */
export function giveBack(): void {
  Bun.gc(true);
  Bun.shrink();
}

/**
 * Looks every half minute, which costs an idle board some microseconds, until the function that it gives is called.
 * At each quiet look `letGo` gives up what only speeds up a busy process, and says whether a collection is worth it for that.
 */
export function collectWhenQuiet(letGo?: () => boolean): () => void {
  let settled_bytes: number | undefined;
  let hasCollected = false;
  let collectedAt_ms = performance.now();
  const rarePages = new RarePages();
  let before = { cpu: process.cpuUsage(), at_ms: collectedAt_ms };
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before.cpu);
    const now = { cpu: process.cpuUsage(), at_ms: performance.now() };
    const { own_bytes, program_bytes } = residentMemory();
    // Pages go back with some delay, so what a collection has left shows only now.
    if (hasCollected) settled_bytes = own_bytes;
    const hadCollected = hasCollected;
    const use = { cpu_ms: (user + system) / 1000, elapsed_ms: now.at_ms - before.at_ms };
    const look = { ...use, own_bytes, settled_bytes, uncollected_ms: now.at_ms - collectedAt_ms };
    if (isQuiet(use)) compileLate();
    else compileEarly();
    const hasLetGo = isQuiet(use) && (letGo?.() ?? false);
    hasCollected = hasLetGo || isWorthCollecting(look);
    if (hasCollected) {
      giveBack();
      collectedAt_ms = now.at_ms;
    }
    const hasRarePages = rarePages.look(program_bytes);
    // Once more a look after a collection: what is needed then is less than what the end of a burst touches.
    if (hasCollected || hadCollected || (isQuiet(use) && hasRarePages)) {
      letGoOfProgramPages();
      rarePages.haveBeenLetGo();
    }
    before = now;
  }, lookEvery_ms);
  timer.unref();
  return () => clearInterval(timer);
}

interface ResidentMemory {
  /** What no file backs. */
  readonly own_bytes: number;
  /** Of the program and its libraries. */
  readonly program_bytes: number;
}

function residentMemory(): ResidentMemory {
  const status = readFileSync("/proc/self/status", "utf8");
  const bytesOf = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
  return { own_bytes: bytesOf("RssAnon"), program_bytes: bytesOf("RssFile") };
}
