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
