/** What `format` could only fail with, known before it runs: of a template and a list that stand in the expression. */
import type { Expression, Issue } from "./ast.ts";
import { type Clause, fill, refusal } from "./text-format.ts";
import { type Type, typeName } from "./types.ts";
import { CelError } from "./values.ts";

class Misfit extends Error {
  constructor(readonly issue: Issue) {
    super(issue.message);
  }
}

/** undefined: nothing is wrong with it, or it is another call. */
export function formatFault(call: Expression, typeOf: (part: Expression) => Type): Issue | undefined {
  if (call.kind !== "call" || call.name !== "format") return undefined;
  const [list, ...more] = call.args;
  if (call.target?.kind !== "literal" || call.target.value.type !== "string") return undefined;
  if (list?.kind !== "list" || more.length > 0) return undefined;
  const { items } = list;
  try {
    const { clauses } = fill(call.target.value.value, items.length, (index, clause) => {
      const item = items[index]?.value;
      if (item) check(item, clause, typeOf);
      return "";
    });
    if (items.length <= clauses) return undefined;
    const counts = `(expected ${clauses}, got ${items.length})`;
    return { at: call.at, message: `too many arguments supplied to string.format ${counts}` };
  } catch (error) {
    if (error instanceof Misfit) return error.issue;
    if (error instanceof CelError) return { at: call.at, message: error.message };
    throw error;
  }
}

/** Lists and maps that are written out are looked into. */
function check(item: Expression, clause: Clause, typeOf: (part: Expression) => Type): void {
  const type = typeOf(item);
  if (type.kind !== "dyn" && !clause.kinds.includes(type.kind)) {
    throw new Misfit({ at: item.at, message: refusal(clause, typeName(type).replace(/\(.*/, "")).message });
  }
  if (item.kind === "list") for (const { value } of item.items) check(value, clause, typeOf);
  if (item.kind === "map") {
    for (const { key, value } of item.entries) {
      check(key, clause, typeOf);
      check(value, clause, typeOf);
    }
  }
}
