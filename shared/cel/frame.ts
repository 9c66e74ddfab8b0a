/** What a run of an expression has: its variables, and what it has spent. */
import { CelError, type Value } from "./values.ts";

/** The run cost more than it may. */
export class CostExceeded extends Error {
  override readonly name = "CostExceeded";
  constructor() {
    super("operation cancelled: actual cost limit exceeded");
  }
}

/** Values that one run may look at or make beyond what it is charged for: cel-go's costs count a list by its length, whatever lies in
 *  it, and a call once it is made. */
const MOST_WORK = 5_000_000;
let work_left = Number.POSITIVE_INFINITY;

/** Called before something is done that takes so many steps, or makes so long a text. Throws CostExceeded. */
export function work(steps: number): void {
  work_left -= steps;
  if (work_left < 0) throw new CostExceeded();
}

/** Runs what may not do too much; what runs within is part of it. */
export function withinWork<T>(run: () => T): T {
  if (work_left !== Number.POSITIVE_INFINITY) return run();
  work_left = MOST_WORK;
  try {
    return run();
  } finally {
    work_left = Number.POSITIVE_INFINITY;
  }
}

/** Values of variables; they may be worked out when they are first asked for. undefined: no such variable. */
export type Variables = (name: string) => Value | undefined;

/** One run. */
export class Frame {
  cost = 0;
  private readonly locals: { readonly name: string; value: Value }[] = [];

  constructor(
    private readonly variables: Variables,
    private readonly limit: number,
  ) {}

  spend(cost: number): void {
    this.cost += cost;
    if (this.cost > this.limit) throw new CostExceeded();
  }

  get(name: string): Value {
    for (let index = this.locals.length - 1; index >= 0; index -= 1) {
      const local = this.locals[index];
      if (local?.name === name) return local.value;
    }
    const value = this.variables(name);
    if (value === undefined) throw new CelError(`no such attribute(s): ${name}`);
    return value;
  }

  with<T>(bindings: readonly (readonly [string, Value])[], run: () => T): T {
    for (const [name, value] of bindings) this.locals.push({ name, value });
    try {
      return run();
    } finally {
      this.locals.length -= bindings.length;
    }
  }
}

export type Step = (frame: Frame) => Value;
