/** Expressions of the Common Expression Language, parsed: https://github.com/google/cel-spec/blob/master/doc/langdef.md */

interface Node {
  /** Offset of the node in the text, in UTF-16 units: where an error points. */
  readonly at: number;
}

export type Expression =
  | (Node & { readonly kind: "literal"; readonly value: Literal })
  | (Node & { readonly kind: "identifier"; readonly name: string })
  | (Node & {
      readonly kind: "select";
      readonly operand: Expression;
      readonly field: string;
      /** `a.?b`: gives an optional. */
      readonly optional: boolean;
      /** `has(a.b)`: whether the field is set. */
      readonly test: boolean;
    })
  | (Node & {
      readonly kind: "index";
      readonly operand: Expression;
      readonly index: Expression;
      readonly optional: boolean;
    })
  | (Node & {
      readonly kind: "call";
      readonly name: string;
      /** Of a member function. */
      readonly target: Expression | undefined;
      readonly args: readonly Expression[];
    })
  | (Node & { readonly kind: "list"; readonly items: readonly Element[] })
  | (Node & { readonly kind: "map"; readonly entries: readonly Entry[] })
  | (Node & { readonly kind: "object"; readonly type: string; readonly fields: readonly ObjectField[] })
  | (Node & {
      readonly kind: "comprehension";
      readonly macro: Macro;
      readonly range: Expression;
      /** One, or two where the macro gives key and value. */
      readonly variables: readonly string[];
      readonly filter: Expression | undefined;
      readonly body: Expression;
    });

export type Macro =
  | "all"
  | "exists"
  | "existsOne"
  | "map"
  | "filter"
  | "transformMap"
  | "transformMapEntry"
  | "optMap"
  | "optFlatMap"
  | "bind";

/** What `sortBy` binds its list to: no expression can name it. */
export const sortedList = "@sortBy";

export interface Element {
  readonly value: Expression;
  readonly optional: boolean;
}

export interface Entry {
  readonly key: Expression;
  readonly value: Expression;
  readonly optional: boolean;
}

export interface ObjectField {
  readonly name: string;
  readonly value: Expression;
  readonly optional: boolean;
  /** Of its colon. */
  readonly at: number;
}

export type Literal =
  | { readonly type: "int"; readonly value: bigint }
  | { readonly type: "uint"; readonly value: bigint }
  | { readonly type: "double"; readonly value: number }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "bytes"; readonly value: Uint8Array }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "null"; readonly value: null };

/** What is wrong with an expression, and where. */
export interface Issue {
  readonly at: number;
  readonly message: string;
}

/** The text of issues as cel-go prints them, with the line and a mark below. */
export function renderIssues(source: string, issues: readonly Issue[]): string {
  return issues
    .map(({ at, message }) => {
      const before = source.slice(0, at);
      const line = before.split("\n").length;
      const column = at - (before.lastIndexOf("\n") + 1);
      const text = source.split("\n")[line - 1] ?? "";
      // cel-go counts from one, but where there is nothing at all.
      return `ERROR: <input>:${line}:${source === "" ? 0 : column + 1}: ${message}\n | ${text}\n | ${".".repeat(column)}^`;
    })
    .join("\n");
}

export class CelSyntaxError extends Error {
  override readonly name = "CelSyntaxError";
  constructor(
    readonly at: number,
    message: string,
  ) {
    super(message);
  }
}
