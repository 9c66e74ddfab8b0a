/** Finds the type of every part of an expression before it runs, and what cannot be right (cel-go's checker). */
import { type Element, type Expression, type Issue, sortedList } from "./ast.ts";
import type { FunctionTable, Overload } from "./functions.ts";
import {
  assignable,
  type Bindings,
  bool,
  bytes,
  checkedTypeName,
  double,
  duration,
  dyn,
  int,
  isDyn,
  isOptional,
  isUndetermined,
  joined,
  listOf,
  mapOf,
  nullType,
  optionalOf,
  string,
  substituted,
  type Type,
  timestamp,
  typeName,
  uint,
  undetermined,
} from "./types.ts";

export interface Environment {
  readonly variables: ReadonlyMap<string, Type>;
  readonly functions: FunctionTable;
  /** Whether `cel.bind` may be used: expressions that choose devices have it, those of the API server have not. */
  readonly hasBindings?: boolean | undefined;
  /** Objects that an expression may make, by name: `Object.spec`. */
  readonly types?: { get(name: string): Type | undefined } | undefined;
}

const typeIdentifiers: Readonly<Record<string, Type>> = {
  bool,
  bytes,
  double,
  int,
  string,
  uint,
  null_type: nullType,
  list: listOf(dyn),
  map: mapOf(dyn, dyn),
  type: { kind: "type", of: dyn },
  "google.protobuf.Timestamp": timestamp,
  "google.protobuf.Duration": duration,
};

const literalTypes = { int, uint, double, string, bytes, bool, null: nullType } as const;

export interface Checked {
  readonly type: Type;
  readonly issues: readonly Issue[];
}

/** What was found of every part of an expression. */
export interface CheckNotes {
  readonly types: Map<Expression, Type>;
  /** Those of a called function that fit. */
  readonly overloads: Map<Expression, readonly Overload[]>;
}

export function check(expression: Expression, environment: Environment, notes: CheckNotes): Checked {
  const checker = new Checker(environment, notes);
  const type = checker.typeOf(expression);
  return { type, issues: checker.issues };
}

/** `a.b.c`, where an expression is nothing but names; undefined for anything else. */
export function qualifiedName(expression: Expression): string | undefined {
  if (expression.kind === "identifier") return expression.name;
  if (expression.kind !== "select" || expression.test || expression.optional) return undefined;
  const outer = qualifiedName(expression.operand);
  return outer === undefined ? undefined : `${outer}.${expression.field}`;
}

/** Whether a member call is one of a function in a namespace: `sets.contains(a, b)`. */
export function namespacedCall(
  expression: Extract<Expression, { kind: "call" }>,
  { functions }: Pick<Environment, "functions">,
  isVariable: (name: string) => boolean,
): string | undefined {
  const namespace = expression.target && qualifiedName(expression.target);
  if (namespace === undefined || isVariable(namespace.split(".")[0] ?? "")) return undefined;
  const name = `${namespace}.${expression.name}`;
  return functions.find(name, false).length > 0 ? name : undefined;
}

/** The name of a type, or of something in a namespace, that stands where a value is wanted. */
export function namedType(name: string): string | undefined {
  return Object.hasOwn(typeIdentifiers, name) ? typeName(typeIdentifiers[name] ?? dyn).replace(/\(.*/, "") : undefined;
}

class Checker {
  readonly issues: Issue[] = [];
  private readonly scopes: Map<string, Type>[] = [];

  constructor(
    private readonly environment: Environment,
    private readonly notes: CheckNotes,
  ) {}

  private report(at: number, message: string): Type {
    this.issues.push({ at, message });
    return dyn;
  }

  private variable(name: string): Type | undefined {
    for (let index = this.scopes.length - 1; index >= 0; index -= 1) {
      const type = this.scopes[index]?.get(name);
      if (type) return type;
    }
    return this.environment.variables.get(name);
  }

  typeOf(expression: Expression): Type {
    const type = this.found(expression);
    this.notes.types.set(expression, type);
    return type;
  }

  private found(expression: Expression): Type {
    switch (expression.kind) {
      case "literal":
        return literalTypes[expression.value.type];
      case "identifier":
        return this.identifier(expression);
      case "select":
        return this.select(expression);
      case "index":
        return this.index(expression);
      case "call":
        return this.call(expression);
      case "list":
        return listOf(this.elements(expression.items) ?? undetermined);
      case "map":
        return this.map(expression);
      case "object":
        return this.object(expression);
      case "comprehension":
        return this.comprehension(expression);
    }
  }

  private identifier({ name: written, at }: Extract<Expression, { kind: "identifier" }>): Type {
    const name = written.replace(/^\./, "");
    const variable = this.variable(name);
    if (variable) return variable;
    const named = typeIdentifiers[name];
    if (named && Object.hasOwn(typeIdentifiers, name)) return { kind: "type", of: named };
    const made = this.environment.types?.get(name);
    if (made) return { kind: "type", of: made };
    return this.report(at, `undeclared reference to '${name}' (in container '')`);
  }

  private select(expression: Extract<Expression, { kind: "select" }>): Type {
    const { field, at, test, optional } = expression;
    const name = qualifiedName(expression);
    // A variable may have a dotted name of its own: `authorizer.requestResource`.
    const variable = name === undefined ? undefined : this.environment.variables.get(name);
    if (variable && !test) return variable;
    const named = name === undefined ? undefined : (typeIdentifiers[name] ?? this.environment.types?.get(name));
    if (named && !this.variable(name?.split(".")[0] ?? "")) return { kind: "type", of: named };
    const operand = this.typeOf(expression.operand);
    const isOptionalOperand = isOptional(operand);
    const found = this.field(isOptionalOperand ? (operand.parameters[0] ?? dyn) : operand, field, at);
    if (test) return bool;
    return optional || isOptionalOperand ? optionalOf(unwrapped(found)) : found;
  }

  private field(type: Type, field: string, at: number): Type {
    switch (type.kind) {
      case "dyn":
      case "parameter":
        return dyn;
      case "map":
        return type.value;
      case "object": {
        const found = type.fields.get(field);
        return found ?? this.report(at, `undefined field '${field}'`);
      }
      default:
        return this.report(at, `type '${checkedTypeName(type)}' does not support field selection`);
    }
  }

  private index({ operand, index, optional, at }: Extract<Expression, { kind: "index" }>): Type {
    const outer = this.typeOf(operand);
    const key = this.typeOf(index);
    const isOptionalOperand = isOptional(outer);
    const container = isOptionalOperand ? (outer.parameters[0] ?? dyn) : outer;
    const element = this.element(container, key, at);
    return optional || isOptionalOperand ? optionalOf(unwrapped(element)) : element;
  }

  private element(container: Type, key: Type, at: number): Type {
    const refuse = (): Type =>
      this.report(
        at,
        `found no matching overload for '_[_]' applied to '(${checkedTypeName(container)}, ${checkedTypeName(key)})'`,
      );
    switch (container.kind) {
      case "dyn":
      case "parameter":
        return dyn;
      case "list":
        return assignable(key, int, new Map()) || key.kind === "uint" || key.kind === "double"
          ? container.element
          : refuse();
      case "map":
        return assignable(key, container.key, new Map()) ? container.value : refuse();
      default:
        return refuse();
    }
  }

  private call(expression: Extract<Expression, { kind: "call" }>): Type {
    const { name, target, args, at } = expression;
    const qualified = namespacedCall(expression, this.environment, (root) => this.variable(root) !== undefined);
    const given = args.map((arg) => this.typeOf(arg));
    if (name === "_?_:_" && !target) return this.conditional(given, at);
    if (!target && (name === "_&&_" || name === "_||_")) {
      const fitting = given.every((type) => assignable(type, bool, new Map()));
      return fitting ? bool : this.noOverload(at, name, undefined, given);
    }
    if (qualified !== undefined) return this.resolve(expression, qualified, undefined, given);
    return this.resolve(expression, name, target && this.typeOf(target), given);
  }

  private conditional(given: readonly Type[], at: number): Type {
    const [condition = dyn, yes = dyn, no = dyn] = given;
    if (!assignable(condition, bool, new Map())) return this.noOverload(at, "_?_:_", undefined, given);
    if (assignable(yes, no, new Map())) return isDyn(yes) || yes.kind === "null" || isUndetermined(yes) ? no : yes;
    if (assignable(no, yes, new Map())) return yes;
    return this.noOverload(at, "_?_:_", undefined, given);
  }

  private resolve(expression: Expression, name: string, target: Type | undefined, args: readonly Type[]): Type {
    const { at } = expression;
    const { functions } = this.environment;
    const candidates = functions.find(name, target !== undefined);
    const isKnown = candidates.length > 0 || functions.find(name, target === undefined).length > 0;
    if (!isKnown) return this.report(at, `undeclared reference to '${name}' (in container '')`);
    const given = target ? [target, ...args] : args;
    const fitting = candidates.flatMap((overload) => {
      const result = resultOf(overload, given);
      return result ? [{ overload, result }] : [];
    });
    this.notes.overloads.set(
      expression,
      fitting.map(({ overload }) => overload),
    );
    const [first, ...others] = fitting.map(({ result }) => result);
    if (!first) return this.noOverload(at, name, target, args);
    return others.every((other) => typeName(other) === typeName(first)) ? first : dyn;
  }

  private noOverload(at: number, name: string, target: Type | undefined, args: readonly Type[]): Type {
    const list = args.map(checkedTypeName).join(", ");
    const shape = target ? `${checkedTypeName(target)}.(${list})` : `(${list})`;
    return this.report(at, `found no matching overload for '${name}' applied to '${shape}'`);
  }

  private elements(items: readonly Element[]): Type | undefined {
    let element: Type | undefined;
    for (const { value, optional } of items) {
      const type = this.typeOf(value);
      if (optional && !isOptional(type) && !isDyn(type)) {
        this.report(value.at, `expected type 'optional_type(dyn)' but found '${checkedTypeName(type)}'`);
      }
      element = joined(element, optional ? unwrapped(type) : type);
    }
    return element;
  }

  private map({ entries }: Extract<Expression, { kind: "map" }>): Type {
    let key: Type | undefined;
    let value: Type | undefined;
    for (const entry of entries) {
      key = joined(key, this.typeOf(entry.key));
      const type = this.typeOf(entry.value);
      value = joined(value, entry.optional ? unwrapped(type) : type);
    }
    return mapOf(key ?? undetermined, value ?? undetermined);
  }

  private object({ type: name, fields, at }: Extract<Expression, { kind: "object" }>): Type {
    const variable = this.variable(name);
    if (variable) return this.report(at, `'${checkedTypeName(variable)}' is not a type`);
    const type = this.environment.types?.get(name);
    if (!type) {
      const isKnown = Object.hasOwn(typeIdentifiers, name);
      return this.report(
        at,
        isKnown ? `'${name}' is not a message type` : `undeclared reference to '${name}' (in container '')`,
      );
    }
    for (const field of fields) {
      const given = this.typeOf(field.value);
      const wanted = type.kind === "object" ? type.fields.get(field.name) : undefined;
      if (!wanted) {
        this.report(field.at, `undefined field '${field.name}'`);
        continue;
      }
      const value = field.optional ? unwrapped(given) : given;
      if (field.optional && !isOptional(given) && !isDyn(given)) {
        const name = checkedTypeName(given);
        this.report(field.value.at, `expected type 'optional_type(${name})' but found '${name}'`);
      }
      if (!assignable(value, wanted, new Map())) {
        this.report(
          field.at,
          `expected type of field '${field.name}' is '${checkedTypeName(wanted)}' but provided type is '${checkedTypeName(value)}'`,
        );
      }
    }
    return type;
  }

  private comprehension(expression: Extract<Expression, { kind: "comprehension" }>): Type {
    const { macro, range, variables, filter, body, at } = expression;
    const over = this.typeOf(range);
    if (macro === "bind" && !this.environment.hasBindings && variables[0] !== sortedList) {
      return this.report(at, "undeclared reference to 'cel' (in container '')");
    }
    const bound = macro === "bind" || macro === "optMap" || macro === "optFlatMap";
    const types = bound ? [macro === "bind" ? over : unwrapped(over)] : this.variablesOf(over, variables.length, at);
    this.scopes.push(new Map(variables.map((name, index) => [name, types[index] ?? dyn])));
    if (filter) this.mustBeBool(filter);
    const predicate = macro === "all" || macro === "exists" || macro === "existsOne" || macro === "filter";
    const result = predicate ? this.mustBeBool(body) : this.typeOf(body);
    this.scopes.pop();
    switch (macro) {
      case "all":
      case "exists":
      case "existsOne":
        return bool;
      case "filter":
        return over.kind === "list" ? over : listOf(types[0] ?? dyn);
      case "map":
        return listOf(result);
      case "transformMap":
        return mapOf(over.kind === "map" ? over.key : over.kind === "list" ? int : dyn, result);
      case "transformMapEntry":
        return result.kind === "map" ? result : mapOf(dyn, dyn);
      case "optMap":
        return optionalOf(result);
      case "optFlatMap":
      case "bind":
        return result;
    }
  }

  private mustBeBool(expression: Expression): Type {
    const type = this.typeOf(expression);
    if (assignable(type, bool, new Map())) return bool;
    return this.report(expression.at, `expected type 'bool' but found '${checkedTypeName(type)}'`);
  }

  /** What the variables of a macro over a list or map are. */
  private variablesOf(over: Type, count: number, at: number): Type[] {
    switch (over.kind) {
      case "dyn":
      case "parameter":
        return [dyn, dyn];
      case "list":
        return count === 2 ? [int, over.element] : [over.element];
      case "map":
        return [over.key, over.value];
      default:
        this.report(
          at,
          `expression of type '${checkedTypeName(over)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
        );
        return [dyn, dyn];
    }
  }
}

const unwrapped = (type: Type): Type => (isOptional(type) ? (type.parameters[0] ?? dyn) : type);

function resultOf({ parameters, result }: Overload, given: readonly Type[]): Type | undefined {
  if (parameters.length !== given.length) return undefined;
  const bindings: Bindings = new Map();
  const fits = parameters.every((parameter, index) => assignable(given[index] ?? dyn, parameter, bindings));
  return fits ? substituted(result, bindings) : undefined;
}
