/**
 * Turns a checked expression into functions, once, and runs them on values, with a bound on what a run may cost. Costs are
 * cel-go's, to the unit (its interpreter/runtimecost.go, on what its planner makes of macros): where a rule is refused for
 * what it costs is part of the API.
 */
import type { Element, Expression } from "./ast.ts";
import { type CheckNotes, type Environment, namedType, namespacedCall, qualifiedName } from "./checker.ts";
import { LIST_COST, MAP_COST, OBJECT_COST } from "./cost-range.ts";
import type { Frame, Step } from "./frame.ts";
import type { FunctionTable } from "./functions.ts";
import { attempt, Loop, truth } from "./loop.ts";
import { type RunCost, runCostOf } from "./run-costs.ts";
import { elementOf, ifPresent, isSet, lookUp } from "./selection.ts";
import {
  ArrayList,
  CelError,
  goTypeOf,
  List,
  NativeMap,
  ObjectValue,
  Optional,
  TypeValue,
  Uint,
  type Value,
} from "./values.ts";

/** Throws CelError where what is worked out before a run fails. */
export function plan(expression: Expression, environment: Environment, notes: CheckNotes): Step {
  return new Planner(environment, notes).step(expression);
}

/** What is worked out before a run where its argument is a constant. */
const conversions = new Set([
  "bool",
  "bytes",
  "double",
  "dyn",
  "int",
  "string",
  "uint",
  "timestamp",
  "duration",
  "type",
]);

/** How a function is called on what its arguments came to. */
interface Application {
  readonly cost: RunCost;
  /** Each argument is worked out though another one failed: so it is of up to two arguments. The call has its cost where all
   *  have been. */
  readonly isTogether: boolean;
  readonly call: (values: readonly Value[]) => Value;
}

/** With a pattern that is known before, the arguments are worked out like those of a call that has more of them, as those of
 *  `format` always are. */
const searching = new Set(["matches", "find", "findAll"]);

/** `root` is what a value costs that names and indices then lead into; part of a chosen branch or of an index, it is free. */
type Root = "charged" | "free";

class Planner {
  private readonly locals: string[] = [];
  private readonly functions: FunctionTable;

  constructor(
    private readonly environment: Environment,
    private readonly notes: CheckNotes,
  ) {
    this.functions = environment.functions;
  }

  private isVariable(name: string): boolean {
    return this.locals.includes(name) || this.environment.variables.has(name);
  }

  private typeNamed(name: string): string | undefined {
    return namedType(name) ?? (this.environment.types?.get(name) && name);
  }

  step(expression: Expression, root: Root = "charged"): Step {
    const constant = this.constant(expression);
    if (constant !== undefined) return () => constant;
    switch (expression.kind) {
      case "identifier":
        return this.identifier(expression.name.replace(/^\./, ""), root);
      case "select":
        return this.select(expression, root);
      case "index":
        return this.index(expression, root);
      case "literal":
        throw new Error("a literal is a constant");
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

  /** What is known before a run costs nothing in it. */
  private constant(expression: Expression): Value | undefined {
    switch (expression.kind) {
      case "literal": {
        const { value } = expression;
        return value.type === "uint" ? new Uint(value.value) : value.value;
      }
      case "list":
        return this.constantList(expression.items);
      case "map":
        return this.constantMap(expression);
      case "call":
        return this.constantCall(expression);
      default:
        return undefined;
    }
  }

  private constantList(items: readonly Element[]): Value | undefined {
    const values: Value[] = [];
    for (const { value, optional } of items) {
      const constant = optional ? undefined : this.constant(value);
      if (constant === undefined) return undefined;
      values.push(constant);
    }
    return new ArrayList(values);
  }

  private constantMap({ entries }: Extract<Expression, { kind: "map" }>): Value | undefined {
    const made: (readonly [Value, Value])[] = [];
    for (const { key, value, optional } of entries) {
      const [k, v] = optional ? [] : [this.constant(key), this.constant(value)];
      if (k === undefined || v === undefined) return undefined;
      made.push([k, v]);
    }
    return new NativeMap(made);
  }

  private constantCall({ name, target, args }: Extract<Expression, { kind: "call" }>): Value | undefined {
    const [first, second] = args;
    if (target || !first) return undefined;
    if (name === "@in" && second) {
      const list = this.constant(second);
      return list instanceof List && list.size === 0 ? false : undefined;
    }
    const value = args.length === 1 && conversions.has(name) ? this.constant(first) : undefined;
    return value === undefined ? undefined : this.functions.select(name, false, [value]).call(value);
  }

  private identifier(name: string, root: Root): Step {
    const type = this.isVariable(name) ? undefined : this.typeNamed(name);
    if (type !== undefined) return () => new TypeValue(type);
    if (root === "free") return (frame) => frame.get(name);
    return (frame) => {
      frame.spend(1);
      return frame.get(name);
    };
  }

  /** What a name or an index leads into. */
  private operand(expression: Expression, root: Root): Step {
    const { kind } = expression;
    const isPath = kind === "identifier" || kind === "select" || kind === "index" || isConditional(expression);
    const step = this.step(expression, root);
    if (isPath || root === "free") return step;
    return (frame) => {
      frame.spend(1);
      return step(frame);
    };
  }

  private select(expression: Extract<Expression, { kind: "select" }>, root: Root): Step {
    const { field, optional, test } = expression;
    const name = qualifiedName(expression);
    if (name !== undefined && !test && this.environment.variables.has(name)) return this.identifier(name, root);
    const type = name === undefined || this.isVariable(name.split(".")[0] ?? "") ? undefined : this.typeNamed(name);
    if (type !== undefined) return () => new TypeValue(type);
    const operand = this.operand(expression.operand, test ? "free" : root);
    return (frame) => {
      const outer = operand(frame);
      if (test) return isSet(frame, outer, field);
      if (optional || outer instanceof Optional) return ifPresent(frame, outer, (inner) => lookUp(inner, field));
      frame.spend(1);
      const found = lookUp(outer, field);
      if (found === undefined) throw new CelError(`no such key: ${field}`);
      return found;
    };
  }

  private index({ operand, index, optional }: Extract<Expression, { kind: "index" }>, root: Root): Step {
    const [container, key] = [this.operand(operand, root), this.step(index, "free")];
    return (frame) => {
      const outer = container(frame);
      if (optional || outer instanceof Optional) {
        return ifPresent(frame, outer, (inner) => elementOf(inner, key(frame)));
      }
      frame.spend(1);
      const at = key(frame);
      const found = elementOf(outer, at);
      if (found !== undefined) return found;
      throw new CelError(outer instanceof List ? `index out of bounds: ${String(at)}` : `no such key: ${String(at)}`);
    };
  }

  private call(expression: Extract<Expression, { kind: "call" }>): Step {
    const { name, target, args } = expression;
    const qualified = namespacedCall(expression, this.environment, (root) => this.isVariable(root));
    if (!target && args.length === 2 && (name === "_&&_" || name === "_||_")) return this.logical(name, args);
    if (isConditional(expression)) return this.conditional(args);
    const isMember = target !== undefined && qualified === undefined;
    const given = isMember ? [target, ...args] : args;
    if (isMember && given.length === 2 && (name === "or" || name === "orValue")) return this.alternative(name, given);
    const overloads = this.notes.overloads.get(expression) ?? [];
    const called = qualified ?? name;
    const isLookedUp = called === "@in" && overloads.length === 1 && this.isSet(given[1]);
    const cost = isLookedUp ? free : runCostOf(called, isMember, overloads);
    const isSearch = searching.has(called) && this.isText(given[1]);
    const isTogether = given.length <= 2 && !isSearch && called !== "format";
    return this.application(
      given.map((each) => this.step(each)),
      { cost, isTogether, call: (values) => this.functions.select(called, isMember, values).call(...values) },
    );
  }

  private isText(expression: Expression | undefined): boolean {
    return expression !== undefined && typeof this.constant(expression) === "string";
  }

  /** Whether a list is looked up by hash: what is known before, and of plain values. */
  private isSet(list: Expression | undefined): boolean {
    const constant = list && this.constant(list);
    if (!(constant instanceof List)) return false;
    return [...constant.values()].every(
      (value) => value === null || typeof value !== "object" || value instanceof Uint,
    );
  }

  private application(steps: readonly Step[], { cost, isTogether, call }: Application): Step {
    return (frame) => {
      const values: Value[] = [];
      const outcomes: (Value | undefined)[] = [];
      let failure: CelError | undefined;
      for (const step of steps) {
        const { value, error } = attempt(() => step(frame));
        if (error && !isTogether && outcomes.length + 1 < steps.length) throw error;
        failure ??= error;
        outcomes.push(value);
        if (value !== undefined) values.push(value);
      }
      const { value, error } = failure ? { error: failure } : attempt(() => call(values));
      frame.spend(cost(outcomes, value));
      if (value === undefined) throw error ?? new CelError("no such overload");
      return value;
    };
  }

  /** What stands in for an optional of nothing is only worked out where it has to. */
  private alternative(name: "or" | "orValue", given: readonly Expression[]): Step {
    const [optional, other] = given.map((each) => this.step(each)) as [Step, Step];
    return (frame) => {
      const first = optional(frame);
      if (!(first instanceof Optional)) throw new CelError("no such overload");
      if (first.value === undefined) return other(frame);
      return name === "or" ? first : first.value;
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
    const [condition, yes, no] = args.map((each, index) => this.step(each, index === 0 ? "charged" : "free")) as [
      Step,
      Step,
      Step,
    ];
    return (frame) => (truth(condition(frame)) ? yes(frame) : no(frame));
  }

  private list(items: readonly Element[]): Step {
    const steps = items.map(({ value, optional }) => ({ step: this.step(value), optional }));
    return (frame) => {
      frame.spend(LIST_COST);
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
      frame.spend(MAP_COST);
      const made: (readonly [Value, Value])[] = [];
      for (const { key, value, optional } of steps) {
        const [k, v] = [key(frame), value(frame)];
        if (!optional) made.push([k, v]);
        else if (v instanceof Optional && v.value !== undefined) made.push([k, v.value]);
      }
      return new NativeMap(made);
    };
  }

  private object({ type, fields }: Extract<Expression, { kind: "object" }>): Step {
    const steps = fields.map(({ name, value, optional }) => ({ name, step: this.step(value), optional }));
    const declared = this.environment.types?.get(type);
    const texts = new Set(
      fields
        .map(({ name }) => name)
        .filter((name) => declared?.kind === "object" && declared.fields.get(name)?.kind === "string"),
    );
    return (frame) => {
      frame.spend(OBJECT_COST);
      const made: (readonly [string, Value])[] = [];
      for (const { name, step, optional } of steps) {
        const value = step(frame);
        const given = optional && value instanceof Optional ? value.value : value;
        if (given === undefined) continue;
        if (texts.has(name) && typeof given !== "string")
          throw new CelError(`unexpected type ${goTypeOf(given)} for ${type}Type '${name}' field`);
        made.push([name, given]);
      }
      return new ObjectValue(type, made);
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
        return (frame) => optionallyMapped(frame, range, first, body, macro === "optMap");
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

/** `o.hasValue() ? optional.of(…o.value()…) : optional.none()`: where there is a value, it is asked for twice. */
function optionallyMapped(frame: Frame, range: Step, name: string, body: Step, wraps: boolean): Value {
  const before = frame.cost;
  frame.spend(1);
  const over = range(frame);
  if (!(over instanceof Optional)) throw new CelError("no such overload");
  const { value } = over;
  if (value === undefined) {
    frame.spend(1);
    return Optional.none;
  }
  frame.spend(frame.cost - before + (wraps ? 1 : 0));
  const result = frame.with([[name, value]], () => body(frame));
  return wraps ? new Optional(result) : result;
}

const isConditional = (expression: Expression): boolean =>
  expression.kind === "call" && expression.name === "_?_:_" && !expression.target;

const free: RunCost = () => 0;
