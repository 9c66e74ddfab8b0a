/** An expression, compiled once, that runs on values. */
import { CelSyntaxError, type Expression, type Issue, renderIssues } from "./ast.ts";
import { type CheckNotes, check, type Environment } from "./checker.ts";
import { plan } from "./evaluator.ts";
import { CostExceeded, Frame, type Step, type Variables, withinWork } from "./frame.ts";
import { literalFaults } from "./literal-checks.ts";
import { parse } from "./parser.ts";
import { assignable, isDyn, type Type, typeName } from "./types.ts";
import { CelError, type Value } from "./values.ts";

/** An expression that no program is made of: it does not compile, and the message has a line for each fault as cel-go prints
 *  them; or what can be worked out before it runs fails. */
export class CompileError extends Error {
  override readonly name = "CompileError";
  constructor(
    readonly step: "compilation" | "instantiation",
    message: string,
  ) {
    super(message);
  }

  /** As API servers tell it. */
  get told(): string {
    return `${this.step === "instantiation" ? "program " : ""}${this.step} failed: ${this.message}`;
  }
}

const faulty = (expression: string, issues: readonly Issue[]): CompileError =>
  new CompileError("compilation", renderIssues(expression, issues));

/** What a run came to, and what it cost, in the units of cel-go. */
export type Run = { readonly cost: number } & (
  | { readonly value: Value; readonly error?: undefined }
  | { readonly error: CelError | CostExceeded; readonly value?: undefined }
);

export class Program {
  private constructor(
    readonly source: string,
    readonly expression: Expression,
    readonly type: Type,
    private readonly step: Step,
  ) {}

  /** Throws CompileError. Fills in the notes. */
  static compile(
    source: string,
    environment: Environment,
    notes: CheckNotes = { types: new Map(), overloads: new Map() },
  ): Program {
    const expression = parsed(source);
    const { type, issues } = check(expression, environment, notes);
    const faults = issues.length > 0 ? issues : literalFaults(expression, notes);
    if (faults.length > 0) throw faulty(source, faults);
    return new Program(source, expression, type, planned(expression, environment, notes));
  }

  /** Whether what it gives may be of this type. */
  gives(wanted: Type): boolean {
    return isDyn(this.type) || assignable(this.type, wanted, new Map());
  }

  /** Whether it gives this type and nothing less certain. */
  givesExactly(wanted: Type): boolean {
    return typeName(this.type) === typeName(wanted);
  }

  get typeName(): string {
    return typeName(this.type);
  }

  /** One that fails has its cost too; it is stopped where it comes to more than `costLimit`. */
  evaluate(variables: Variables, costLimit: number): Run {
    const frame = new Frame(variables, costLimit);
    try {
      const value = withinWork(() => this.step(frame));
      return { value, cost: frame.cost };
    } catch (error) {
      if (error instanceof CelError || error instanceof CostExceeded) return { error, cost: frame.cost };
      throw error;
    }
  }

  /** Throws CelError for an evaluation that fails, CostExceeded for one that goes on too long. */
  run(variables: Variables, costLimit: number): Value {
    const run = this.evaluate(variables, costLimit);
    if (run.error) throw run.error;
    return run.value;
  }

  /** Whether a variable stands in it. */
  uses(name: string): boolean {
    return mentions(this.expression, name);
  }
}

function parsed(source: string): Expression {
  try {
    return parse(source);
  } catch (error) {
    if (error instanceof CelSyntaxError) throw faulty(source, [{ at: error.at, message: error.message }]);
    throw error;
  }
}

function planned(expression: Expression, environment: Environment, notes: CheckNotes): Step {
  try {
    return plan(expression, environment, notes);
  } catch (error) {
    if (error instanceof CelError) throw new CompileError("instantiation", error.message);
    throw error;
  }
}

function mentions(expression: Expression | undefined, name: string): boolean {
  if (!expression) return false;
  switch (expression.kind) {
    case "literal":
      return false;
    case "identifier":
      return expression.name === name || expression.name === `.${name}`;
    case "select":
      return mentions(expression.operand, name);
    case "index":
      return mentions(expression.operand, name) || mentions(expression.index, name);
    case "call":
      return mentions(expression.target, name) || expression.args.some((each) => mentions(each, name));
    case "list":
      return expression.items.some(({ value }) => mentions(value, name));
    case "map":
      return expression.entries.some(({ key, value }) => mentions(key, name) || mentions(value, name));
    case "object":
      return expression.fields.some(({ value }) => mentions(value, name));
    case "comprehension": {
      const { range, variables, filter, body } = expression;
      if (mentions(range, name)) return true;
      return !variables.includes(name) && (mentions(filter, name) || mentions(body, name));
    }
  }
}
