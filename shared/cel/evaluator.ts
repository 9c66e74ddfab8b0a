/** Turns a checked expression into functions, once, and runs them on values, with a bound on what a run may cost. */
import type { Element, Expression } from "./ast.ts";
import { type Environment, namedType, namespacedCall, qualifiedName } from "./checker.ts";
import { type FunctionTable, fits } from "./functions.ts";
import { bool } from "./types.ts";
import { ArrayList, CelError, List, MapValue, NativeMap, Optional, TypeValue, Uint, type Value } from "./values.ts";

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

export function plan(expression: Expression, environment: Environment): Step {
  return new Planner(environment).step(expression);
}

class Planner {
  private readonly locals: string[] = [];
  private readonly functions: FunctionTable;

  constructor(private readonly environment: Environment) {
    this.functions = environment.functions;
  }

  private isVariable(name: string): boolean {
    return this.locals.includes(name) || this.environment.variables.has(name);
  }

  step(expression: Expression): Step {
    switch (expression.kind) {
      case "literal": {
        const { value: literal } = expression;
        const value = literal.type === "uint" ? new Uint(literal.value) : literal.value;
        return () => value;
      }
      case "identifier":
        return this.identifier(expression.name.replace(/^\./, ""));
      case "select":
        return this.select(expression);
      case "index":
        return this.index(expression);
      case "call":
        return this.call(expression);
      case "list":
        return this.list(expression.items);
      case "map":
        return this.map(expression);
      case "object":
        return this.object(expression);
      case "comprehension":
        return this.comprehension(expression);
    }
  }

  private identifier(name: string): Step {
    const type = this.isVariable(name) ? undefined : namedType(name);
    if (type !== undefined) return () => new TypeValue(type);
    return (frame) => {
      frame.spend(1);
      return frame.get(name);
    };
  }

  private select(expression: Extract<Expression, { kind: "select" }>): Step {
    const name = qualifiedName(expression);
    if (name !== undefined && !expression.test && this.environment.variables.has(name)) return this.identifier(name);
    const type = name === undefined || this.isVariable(name.split(".")[0] ?? "") ? undefined : namedType(name);
    if (type !== undefined) return () => new TypeValue(type);
    const operand = this.step(expression.operand);
    const { field, optional, test } = expression;
    return (frame) => {
      const outer = operand(frame);
      frame.spend(1);
      if (outer instanceof Optional) {
        const found = outer.value === undefined ? undefined : lookUp(outer.value, field);
        if (test) return found !== undefined;
        return found === undefined ? Optional.none : new Optional(found);
      }
      const found = lookUp(outer, field);
      if (test) return found !== undefined;
      if (optional) return found === undefined ? Optional.none : new Optional(found);
      if (found === undefined) throw new CelError(`no such key: ${field}`);
      return found;
    };
  }

  private index({ operand, index, optional }: Extract<Expression, { kind: "index" }>): Step {
    const [container, key] = [this.step(operand), this.step(index)];
    return (frame) => {
      const outer = container(frame);
      const at = key(frame);
      frame.spend(1);
      if (outer instanceof Optional || optional) {
        const inner = outer instanceof Optional ? outer.value : outer;
        const found = inner === undefined ? undefined : elementOf(inner, at);
        return found === undefined ? Optional.none : new Optional(found);
      }
      const found = elementOf(outer, at);
      if (found !== undefined) return found;
      throw new CelError(outer instanceof List ? `index out of bounds: ${String(at)}` : `no such key: ${String(at)}`);
    };
  }

  private call(expression: Extract<Expression, { kind: "call" }>): Step {
    const { name, target, args } = expression;
    const qualified = namespacedCall(expression, this.environment, (root) => this.isVariable(root));
    if (!target && args.length === 2 && (name === "_&&_" || name === "_||_")) return this.logical(name, args);
    if (!target && name === "_?_:_") return this.conditional(args);
    const steps = (target && qualified === undefined ? [target, ...args] : args).map((each) => this.step(each));
    const isMember = target !== undefined && qualified === undefined;
    const called = qualified ?? name;
    return (frame) => {
      const values = steps.map((each) => each(frame));
      const overload = this.functions.select(called, isMember, values);
      frame.spend(1);
      const result = overload.call(...values);
      if (overload.cost) frame.spend(overload.cost(values, result));
      return result;
    };
  }

  /** An error on one side does not count where the other side decides alone. */
  private logical(name: string, args: readonly Expression[]): Step {
    const [left, right] = args.map((each) => this.step(each)) as [Step, Step];
    const decides = name === "_||_";
    return (frame) => {
      const first = attempt(() => truth(left(frame)));
      if (first.value === decides) return decides;
      const second = attempt(() => truth(right(frame)));
      if (second.value === decides) return decides;
      const failure = first.error ?? second.error;
      if (failure) throw failure;
      return !decides;
    };
  }

  private conditional(args: readonly Expression[]): Step {
    const [condition, yes, no] = args.map((each) => this.step(each)) as [Step, Step, Step];
    return (frame) => {
      const isYes = truth(condition(frame));
      frame.spend(1);
      return isYes ? yes(frame) : no(frame);
    };
  }

  private list(items: readonly Element[]): Step {
    const steps = items.map(({ value, optional }) => ({ step: this.step(value), optional }));
    return (frame) => {
      frame.spend(10);
      const values: Value[] = [];
      for (const { step, optional } of steps) {
        const value = step(frame);
        if (!optional) values.push(value);
        else if (value instanceof Optional && value.value !== undefined) values.push(value.value);
      }
      return new ArrayList(values);
    };
  }

  private map({ entries }: Extract<Expression, { kind: "map" }>): Step {
    const steps = entries.map(({ key, value, optional }) => ({
      key: this.step(key),
      value: this.step(value),
      optional,
    }));
    return (frame) => {
      frame.spend(30);
      const made: (readonly [Value, Value])[] = [];
      for (const { key, value, optional } of steps) {
        const [k, v] = [key(frame), value(frame)];
        if (!optional) made.push([k, v]);
        else if (v instanceof Optional && v.value !== undefined) made.push([k, v.value]);
      }
      return new NativeMap(made);
    };
  }

  private object({ fields }: Extract<Expression, { kind: "object" }>): Step {
    const steps = fields.map(({ name, value, optional }) => ({ name, step: this.step(value), optional }));
    return (frame) => {
      frame.spend(40);
      const made: (readonly [Value, Value])[] = [];
      for (const { name, step, optional } of steps) {
        const value = step(frame);
        if (!optional) made.push([name, value]);
        else if (value instanceof Optional && value.value !== undefined) made.push([name, value.value]);
      }
      return new NativeMap(made);
    };
  }

  private comprehension(expression: Extract<Expression, { kind: "comprehension" }>): Step {
    const { macro, variables } = expression;
    const range = this.step(expression.range);
    this.locals.push(...variables);
    const filter = expression.filter && this.step(expression.filter);
    const body = this.step(expression.body);
    this.locals.length -= variables.length;
    const [first = ""] = variables;
    switch (macro) {
      case "bind":
        return (frame) => {
          const value = range(frame);
          return frame.with([[first, value]], () => body(frame));
        };
      case "optMap":
      case "optFlatMap":
        return (frame) => optionallyMapped(frame, range(frame), first, body, macro === "optMap");
      default:
        return (frame) => {
          const over = range(frame);
          const loop = new Loop(frame, variables, filter, body);
          switch (macro) {
            case "all":
              return loop.all(over);
            case "exists":
              return loop.exists(over);
            case "existsOne":
              return loop.existsOne(over);
            case "filter":
              return loop.filtered(over);
            case "map":
              return loop.mapped(over);
            case "transformMap":
              return loop.transformed(over);
            case "transformMapEntry":
              return loop.entriesOf(over);
          }
        };
    }
  }
}

function optionallyMapped(frame: Frame, over: Value, name: string, body: Step, wraps: boolean): Value {
  if (!(over instanceof Optional)) throw new CelError("no such overload");
  const { value } = over;
  if (value === undefined) return Optional.none;
  const result = frame.with([[name, value]], () => body(frame));
  return wraps ? new Optional(result) : result;
}

/** One pass over a list or map by a macro. */
class Loop {
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

  private *runs(over: Value): IterableIterator<{ readonly key: Value; readonly value: Value; run(): Value }> {
    for (const [key, value] of this.bindings(over)) {
      this.frame.spend(1);
      const bindings = this.bound(over, key, value);
      const { filter, body, frame } = this;
      if (filter && !frame.with(bindings, () => truth(filter(frame)))) continue;
      yield { key, value, run: () => frame.with(bindings, () => body(frame)) };
    }
  }

  private decides(over: Value, decisive: boolean): boolean {
    let failure: Error | undefined;
    for (const { run } of this.runs(over)) {
      const { value, error } = attempt(() => truth(run()));
      if (value === decisive) return decisive;
      failure ??= error;
    }
    if (failure) throw failure;
    return !decisive;
  }

  all(over: Value): boolean {
    return this.decides(over, false);
  }

  exists(over: Value): boolean {
    return this.decides(over, true);
  }

  existsOne(over: Value): boolean {
    let count = 0;
    for (const { run } of this.runs(over)) if (truth(run())) count += 1;
    return count === 1;
  }

  filtered(over: Value): Value {
    const kept: Value[] = [];
    for (const { key, value, run } of this.runs(over)) if (truth(run())) kept.push(over instanceof List ? value : key);
    return new ArrayList(kept, over instanceof List ? over.keys : undefined);
  }

  mapped(over: Value): Value {
    return new ArrayList([...this.runs(over)].map(({ run }) => run()));
  }

  transformed(over: Value): Value {
    return new NativeMap([...this.runs(over)].map(({ key, run }) => [key, run()] as const));
  }

  entriesOf(over: Value): Value {
    const entries: (readonly [Value, Value])[] = [];
    for (const { run } of this.runs(over)) {
      const made = run();
      if (!(made instanceof MapValue)) throw new CelError("no such overload");
      entries.push(...made.entries());
    }
    return new NativeMap(entries);
  }
}

function truth(value: Value): boolean {
  if (fits(value, bool)) return value as boolean;
  throw new CelError("no such overload");
}

/** Errors of evaluation are values here; all others are not. */
function attempt(run: () => boolean): { readonly value?: boolean; readonly error?: CelError } {
  try {
    return { value: run() };
  } catch (error) {
    if (error instanceof CelError) return { error };
    throw error;
  }
}

function lookUp(outer: Value, field: string): Value | undefined {
  if (outer instanceof MapValue) return outer.get(field);
  throw new CelError(outer === null ? `no such key: ${field}` : "no such overload");
}

function elementOf(outer: Value, at: Value): Value | undefined {
  if (outer instanceof MapValue) return outer.get(at);
  if (!(outer instanceof List)) throw new CelError("no such overload");
  const index = typeof at === "bigint" ? Number(at) : at instanceof Uint ? Number(at.value) : at;
  if (typeof index !== "number" || !Number.isInteger(index)) throw new CelError("unsupported index type");
  return index >= 0 && index < outer.size ? outer.get(index) : undefined;
}
