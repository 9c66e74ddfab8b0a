/** The macros that go over lists and maps, and what each round costs. */
import { LIST_COST } from "./cost-range.ts";
import type { Frame, Step } from "./frame.ts";
import { fits } from "./functions.ts";
import { bool } from "./types.ts";
import { ArrayList, CelError, List, MapValue, NativeMap, type Value } from "./values.ts";

/** One pass over a list or map by a macro. */
export class Loop {
  constructor(
    private readonly frame: Frame,
    private readonly variables: readonly string[],
    private readonly filter: Step | undefined,
    private readonly body: Step,
  ) {}

  private *bindings(over: Value): IterableIterator<readonly [key: Value, value: Value]> {
    if (over instanceof List) {
      let index = 0n;
      for (const value of over.values()) {
        yield [index, value];
        index += 1n;
      }
    } else if (over instanceof MapValue) yield* over.entries();
    else throw new CelError("got an object that is neither list nor map, wanted an iterable type");
  }

  /** What one variable is bound to: elements of lists, keys of maps. */
  private bound(over: Value, key: Value, value: Value): (readonly [string, Value])[] {
    const [first = "", second] = this.variables;
    if (second === undefined) return [[first, over instanceof List ? value : key]];
    return [
      [first, key],
      [second, value],
    ];
  }

  private *runs(over: Value): IterableIterator<Turn> {
    const { filter, body, frame } = this;
    for (const [key, value] of this.bindings(over)) {
      const bindings = this.bound(over, key, value);
      yield {
        key,
        value,
        isChosen: () => !filter || frame.with(bindings, () => truth(filter(frame))),
        run: () => frame.with(bindings, () => body(frame)),
      };
    }
  }

  /** `check` is what asking costs whether it is decided. */
  private decides(over: Value, decisive: boolean, check: number): boolean {
    const { frame } = this;
    let failure: CelError | undefined;
    let isDecided = false;
    for (const { run } of this.runs(over)) {
      frame.spend(check);
      if (isDecided) break;
      frame.spend(1);
      const { value, error } = attempt(() => truth(run()));
      isDecided = value === decisive;
      failure ??= error;
    }
    frame.spend(1);
    if (failure && !isDecided) throw failure;
    return isDecided ? decisive : !decisive;
  }

  all(over: Value): boolean {
    return this.decides(over, false, 2);
  }

  exists(over: Value): boolean {
    return this.decides(over, true, 3);
  }

  existsOne(over: Value): boolean {
    let count = 0;
    const tally = new Tally();
    for (const { run } of this.runs(over)) {
      if (!tally.chosen(() => truth(run()))) continue;
      this.frame.spend(2);
      count += 1;
    }
    this.frame.spend(2);
    tally.settle();
    return count === 1;
  }

  filtered(over: Value): Value {
    const kept: Value[] = [];
    const tally = new Tally();
    for (const { key, value, run } of this.runs(over)) {
      if (!tally.chosen(() => truth(run()))) continue;
      this.frame.spend(3 + LIST_COST);
      kept.push(over instanceof List ? value : key);
    }
    this.frame.spend(1);
    tally.settle();
    return new ArrayList(kept, over instanceof List ? over.keys : undefined);
  }

  mapped(over: Value): Value {
    const made: Value[] = [];
    const tally = new Tally();
    for (const { isChosen, run } of this.runs(over)) {
      if (!tally.chosen(isChosen)) continue;
      this.frame.spend(2 + LIST_COST);
      tally.done(run, (value) => made.push(value));
    }
    this.frame.spend(1);
    tally.settle();
    return new ArrayList(made);
  }

  transformed(over: Value): Value {
    const made: (readonly [Value, Value])[] = [];
    const tally = new Tally();
    for (const { key, isChosen, run } of this.runs(over)) {
      if (!tally.chosen(isChosen)) continue;
      this.frame.spend(1);
      if (tally.hasFailed) continue;
      this.frame.spend(2);
      tally.done(run, (value) => made.push([key, value]));
    }
    this.frame.spend(1);
    tally.settle();
    return new NativeMap(made);
  }

  entriesOf(over: Value): Value {
    const entries: (readonly [Value, Value])[] = [];
    const tally = new Tally();
    for (const { isChosen, run } of this.runs(over)) {
      if (!tally.chosen(isChosen)) continue;
      this.frame.spend(2);
      tally.done(run, (made) => {
        if (!(made instanceof MapValue)) throw new CelError("no such overload");
        entries.push(...made.entries());
      });
    }
    this.frame.spend(1);
    tally.settle();
    return NativeMap.ofDistinct(entries);
  }
}

/** One round of a loop. */
interface Turn {
  readonly key: Value;
  readonly value: Value;
  isChosen(): boolean;
  run(): Value;
}

/** A loop goes on after what failed in it, at the cost of all of its rounds, and fails in the end. */
class Tally {
  #failure: CelError | undefined;

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }
  /** Whether a round is of those that count. */
  chosen(isChosen: () => boolean): boolean {
    const { value, error } = attempt(isChosen);
    if (error) this.#failure = error;
    return value === true;
  }
  done(run: () => Value, keep: (value: Value) => void): void {
    const { error } = attempt(() => {
      keep(run());
      return true;
    });
    this.#failure ??= error;
  }
  settle(): void {
    if (this.#failure) throw this.#failure;
  }
}

export function truth(value: Value): boolean {
  if (fits(value, bool)) return value as boolean;
  throw new CelError("no such overload");
}

/** Errors of evaluation are values here; all others are not. */
export function attempt<T extends Value>(run: () => T): { readonly value?: T; readonly error?: CelError } {
  try {
    return { value: run() };
  } catch (error) {
    if (error instanceof CelError) return { error };
    throw error;
  }
}
