import { cacheBounds } from "./cache-bounds.ts";

/** How many times later than by itself the engine compiles a function to machine code while little is done. A start, and what an
 *  idle board does now and then, is spared the code and what it takes to make it: a fifth of an idle master's memory. */
export const lateScale = 16;

/** As the program begins (tools/build.ts). */
let isLate = true;

/** From now on only what runs very often is compiled. */
export function compileLate(): void {
  if (isLate) return;
  isLate = true;
  Bun.unsafe.setJITPolicy(lateScale);
}

/** From now on the engine compiles when it does by itself; on a board with little memory later. To be called by what notices
 *  work before the next look at the process does. */
export function compileEarly(): void {
  if (!isLate) return;
  isLate = false;
  Bun.unsafe.setJITPolicy(1 / cacheBounds().eagerness);
}

/** So many at once, or one after another in so short a time, only come when there is work. */
const rush = { atOnce: 4, inARow: 200, within_ms: 1_000 } as const;

/** Notices work by the requests for it, before the next look at the process does. Reads the clock once in many. */
export class RushOfRequests {
  #inARow = 0;
  #since_ms = Number.NEGATIVE_INFINITY;
  readonly #began: () => void;

  constructor(began: () => void = compileEarly) {
    this.#began = began;
  }

  /** @param underWay requests that have begun and not ended, with this one. */
  requestBegan(underWay: number, now_ms: () => number = () => performance.now()): void {
    if (underWay >= rush.atOnce) this.#began();
    this.#inARow += 1;
    if (this.#inARow < rush.inARow) return;
    const at_ms = now_ms();
    if (at_ms - this.#since_ms <= rush.within_ms) this.#began();
    this.#inARow = 0;
    this.#since_ms = at_ms;
  }
}
