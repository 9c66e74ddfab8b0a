/** What an expression costs at most, worked out before it runs (cel-go's checker/cost.go): macros as they are written out there. */
import type { Expression } from "./ast.ts";
import { costOfCall, type Operand } from "./call-costs.ts";
import { type CheckNotes, namespacedCall } from "./checker.ts";
import {
  exactly,
  LIST_COST,
  MAP_COST,
  MOST,
  OBJECT_COST,
  plus,
  type Size,
  sizeUnion,
  times,
  unknownSize,
} from "./cost-range.ts";
import type { FunctionTable } from "./functions.ts";
import { type DeclaredSize, partOf } from "./schema-size.ts";
import { dyn, isOptional, type Type } from "./types.ts";

/** Sizes of keys and values of a list or map that an expression makes. */
interface EntrySize {
  readonly kind: "list" | "map";
  readonly key: Size;
  readonly value: Size;
}

interface Estimate {
  readonly cost: number;
  readonly size?: Size | undefined;
  readonly entries?: EntrySize | undefined;
  /** From a variable: fields, `@items`, `@values`, `@keys`. Empty for what is no part of one. */
  readonly path: readonly string[];
}

interface Local {
  readonly name: string;
  readonly path: readonly string[];
  readonly size: Size | undefined;
  readonly entries: EntrySize | undefined;
}

export interface CostContext {
  readonly notes: CheckNotes;
  readonly functions: FunctionTable;
  /** Of every variable of the environment. */
  readonly declared: DeclaredSize;
}

/** At most 2^64. */
export const estimatedCost = (expression: Expression, context: CostContext): number =>
  new Estimator(context).estimate(expression).cost;

class Estimator {
  readonly #locals: Local[] = [];

  constructor(private readonly context: CostContext) {}

  private typeOf(expression: Expression): Type {
    return this.context.notes.types.get(expression) ?? dyn;
  }

  private local(name: string): Local | undefined {
    return this.#locals.findLast((local) => local.name === name);
  }

  estimate(expression: Expression): Estimate {
    const made = this.made(expression);
    return { ...made, size: made.size ?? this.declaredSize(made.path, this.typeOf(expression)) };
  }

  private declaredSize(path: readonly string[], type: Type): Size | undefined {
    if (path.length > 0) {
      const part = partOf(this.context.declared, path.slice(1));
      if (part) return { min: 0, max: part.max };
    }
    return isScalar(type) ? exactly(1) : undefined;
  }

  private made(expression: Expression): Estimate {
    switch (expression.kind) {
      case "literal":
        return { cost: 0, size: exactly(literalSize(expression.value)), path: [] };
      case "identifier":
        return this.identifier(expression.name.replace(/^\./, ""), this.typeOf(expression));
      case "select":
        return this.select(expression);
      case "index":
        return this.index(expression);
      case "call":
        return this.call(expression);
      case "list": {
        const items = expression.items.map(({ value }) => this.estimate(value));
        const value = items
          .map(({ size = unknownSize }) => size)
          .reduce(sizeUnion, { min: items.length ? MOST : 0, max: 0 });
        const cost = plus(sum(items), LIST_COST);
        return { cost, size: exactly(items.length), entries: { kind: "list", key: exactly(1), value }, path: [] };
      }
      case "map": {
        const keys = expression.entries.map(({ key }) => this.estimate(key));
        const values = expression.entries.map(({ value }) => this.estimate(value));
        const start = { min: keys.length ? MOST : 0, max: 0 };
        const of = (parts: readonly Estimate[]): Size =>
          parts.map(({ size = unknownSize }) => size).reduce(sizeUnion, start);
        const cost = plus(plus(sum(keys), sum(values)), MAP_COST);
        return {
          cost,
          size: exactly(keys.length),
          entries: { kind: "map", key: of(keys), value: of(values) },
          path: [],
        };
      }
      case "object":
        return { cost: plus(sum(expression.fields.map(({ value }) => this.estimate(value))), OBJECT_COST), path: [] };
      case "comprehension":
        return this.comprehension(expression);
    }
  }

  private identifier(name: string, type: Type): Estimate {
    const local = this.local(name);
    if (!local) return { cost: 1, path: [name] };
    return { cost: 1, path: local.path, entries: local.entries, size: this.sizeOfLocal(local, type) };
  }

  private sizeOfLocal({ path, size }: Local, type: Type): Size | undefined {
    return this.declaredSize(path, type) ?? size;
  }

  private select({ operand, field, test, optional }: Extract<Expression, { kind: "select" }>): Estimate {
    const outer = this.estimate(operand);
    if (test) return { cost: outer.cost, path: [] };
    const type = this.typeOf(operand);
    if (optional) return { cost: plus(outer.cost, 1), path: [] };
    const costs = type.kind === "map" || type.kind === "object" || type.kind === "parameter";
    return { cost: plus(outer.cost, costs ? 1 : 0), path: below(outer.path, field) };
  }

  private index({ operand, index, optional }: Extract<Expression, { kind: "index" }>): Estimate {
    const [outer, key] = [this.estimate(operand), this.estimate(index)];
    const cost = plus(plus(outer.cost, key.cost), 1);
    const type = this.typeOf(operand);
    if (optional || isOptional(type)) return { cost, path: [] };
    const path = below(outer.path, type.kind === "list" ? "@items" : "@values");
    return { cost, path, size: outer.entries?.value };
  }

  private call(expression: Extract<Expression, { kind: "call" }>): Estimate {
    const { name, target, args } = expression;
    const given = args.map((each) => this.estimate(each));
    const [first, second, third] = given;
    if (!target && (name === "_&&_" || name === "_||_")) return { cost: sum(given), size: exactly(1), path: [] };
    if (!target && name === "dyn" && first) return { ...first, cost: plus(first.cost, 1), path: [] };
    if (!target && name === "_?_:_" && first && second && third) {
      const size = sizeUnion(second.size ?? unknownSize, third.size ?? unknownSize);
      const cost = plus(first.cost, Math.max(second.cost, third.cost));
      return { cost, size, entries: entryUnion(second.entries, third.entries), path: [] };
    }
    const isLocal = (root: string): boolean => this.local(root) !== undefined || root === "self" || root === "oldSelf";
    const qualified = namespacedCall(expression, this.context, isLocal);
    const called = target && qualified === undefined ? this.estimate(target) : undefined;
    const operands = args.map((each, index) => this.operand(each, given[index] as Estimate));
    const targetOperand = called && target ? this.operand(target, called) : undefined;
    const costs = (this.context.notes.overloads.get(expression) ?? []).map((overload) =>
      costOfCall({ name: qualified ?? name, overload, target: targetOperand, args: operands }),
    );
    const own = Math.max(0, ...costs.map(({ cost }) => cost));
    const sizes = costs.flatMap(({ size }) => (size ? [size] : []));
    const isSum = name === "_+_" && first && second;
    return {
      cost: plus(plus(sum(given), called?.cost ?? 0), own),
      size: sizes.length > 0 ? sizes.reduce(sizeUnion) : undefined,
      entries: isSum ? entryUnion(first.entries, second.entries) : undefined,
      path: [],
    };
  }

  private operand(expression: Expression, { size = unknownSize, path }: Estimate): Operand {
    const item = path.length > 0 ? partOf(this.context.declared, [...path.slice(1), "@items"]) : undefined;
    const itemSize = item ? { min: 0, max: item.max } : unknownSize;
    return { expression, type: this.typeOf(expression), size, itemSize };
  }

  private within<T>(locals: readonly Local[], run: () => T): T {
    this.#locals.push(...locals);
    const result = run();
    this.#locals.length -= locals.length;
    return result;
  }

  private comprehension(expression: Extract<Expression, { kind: "comprehension" }>): Estimate {
    const { macro, variables } = expression;
    const range = this.estimate(expression.range);
    const { body, filter } = expression;
    if (macro === "bind" || macro === "optMap" || macro === "optFlatMap") {
      // An optional's value is asked for anew.
      const isBind = macro === "bind";
      const initial = isBind ? range : { cost: plus(range.cost, 1), path: [], size: undefined, entries: undefined };
      const name = variables[0] ?? "";
      const result = this.within([{ ...initial, name, size: initial.size, entries: initial.entries }], () =>
        this.estimate(body),
      );
      const bound = plus(plus(initial.cost, LIST_COST), result.cost);
      if (isBind) return { ...result, cost: bound, path: [] };
      return { cost: plus(plus(range.cost, 1), plus(bound, macro === "optMap" ? 1 : 0)), path: [] };
    }
    const locals = this.loopVariables(expression.range, range, variables);
    const [judged, made] = this.within(locals, () => [filter && this.estimate(filter), this.estimate(body)] as const);
    const count = range.size ?? unknownSize;
    const loop = (step: number, before: number, after: number): number =>
      plus(plus(range.cost, before), plus(times(count.max, step), after));
    switch (macro) {
      case "all":
        return { cost: loop(plus(made.cost, 3), 0, 1), size: exactly(1), path: [] };
      case "exists":
        return { cost: loop(plus(made.cost, 4), 0, 1), size: exactly(1), path: [] };
      case "existsOne":
        return { cost: loop(plus(made.cost, 2), 0, 2), size: exactly(1), path: [] };
      case "filter":
        return this.listMade(
          loop(plus(made.cost, 13), LIST_COST, 1),
          count,
          this.keptSize(locals[0], expression.range),
        );
      case "map":
        return this.listMade(
          loop(plus(judged?.cost ?? 0, plus(made.cost, 2 + LIST_COST)), LIST_COST, 1),
          count,
          made.size ?? unknownSize,
        );
      case "transformMap":
      case "transformMapEntry": {
        const step = plus(judged?.cost ?? 0, plus(made.cost, macro === "transformMap" ? 3 : 2));
        return { cost: loop(step, MAP_COST, 1), size: count, path: [] };
      }
    }
  }

  private listMade(cost: number, size: Size, item: Size = unknownSize): Estimate {
    return { cost, size, entries: { kind: "list", key: exactly(1), value: { min: 0, max: item.max } }, path: [] };
  }

  /** Of the items that a filter lets through. */
  private keptSize(variable: Local | undefined, range: Expression): Size | undefined {
    const type = this.typeOf(range);
    return variable && this.sizeOfLocal(variable, type.kind === "list" ? type.element : dyn);
  }

  private loopVariables(expression: Expression, range: Estimate, variables: readonly string[]): Local[] {
    const { path, entries } = range;
    const isList = (entries?.kind ?? this.typeOf(expression).kind) === "list";
    const local = (name: string, step: string, size: Size | undefined): Local => ({
      name,
      path: below(path, step),
      size,
      entries: undefined,
    });
    const [first = "", second] = variables;
    if (second === undefined) {
      return [isList ? local(first, "@items", entries?.value) : local(first, "@keys", entries?.key)];
    }
    return [
      local(first, isList ? "@indices" : "@keys", entries?.key),
      local(second, isList ? "@items" : "@values", entries?.value),
    ];
  }
}

const sum = (parts: readonly Estimate[]): number => parts.reduce((all, { cost }) => plus(all, cost), 0);
/** Also of what is no part of a variable: cel-go takes such a first step for a variable's name. */
const below = (path: readonly string[], step: string): readonly string[] => [...path, step];

const entryUnion = (a: EntrySize | undefined, b: EntrySize | undefined): EntrySize | undefined =>
  a && b && { kind: a.kind, key: sizeUnion(a.key, b.key), value: sizeUnion(a.value, b.value) };

function literalSize(literal: Extract<Expression, { kind: "literal" }>["value"]): number {
  if (literal.type === "string") return [...literal.value].length;
  return literal.type === "bytes" ? literal.value.length : 1;
}

function isScalar(type: Type): boolean {
  if (isOptional(type)) return isScalar(type.parameters[0] ?? dyn);
  return ["bool", "double", "duration", "int", "timestamp", "uint"].includes(type.kind);
}

/** By how much a cost is above its limit, as messages say it. */
export function costFactorText(cost: number, limit: number): string {
  const factor = cost / limit;
  if (factor > 100) return "more than 100x";
  return factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`;
}
