/** What a run of an expression has: its variables, and what it has spent. */
import { CelError, type Value } from "./values.ts";

/** The run cost more than it may. */
export class CostExceeded extends Error {
  override readonly name = "CostExceeded";
  constructor() {
    super("operation cancelled: actual cost limit exceeded");
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
