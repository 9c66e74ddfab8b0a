import { StatusError } from "../errors.ts";
import { compareBytes, goQuote } from "../selector/go-quote.ts";
import type { ManagedFieldsEntry } from "../types/meta-v1.generated.ts";
import type { Path } from "./field-set.ts";
import { displayPath } from "./path-element.ts";

/** A field that somebody else owns and an applied configuration would change. */
export interface ApplyConflict {
  /** Its manager's identifier, for the order. */
  readonly id: string;
  readonly owner: ManagedFieldsEntry;
  readonly path: Path;
}

/** 409 that lists every conflict, as clients show and parse it. */
export function applyConflictError(conflicts: readonly ApplyConflict[]): StatusError {
  const sorted = conflicts.toSorted((a, b) => compareBytes(a.id, b.id));
  return new StatusError("Conflict", conflictMessage(sorted), {
    causes: sorted.map(({ owner, path }) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${describe(owner)}`,
      field: displayPath(path),
    })),
  });
}

function conflictMessage(conflicts: readonly ApplyConflict[]): string {
  const [only] = conflicts;
  if (only && conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${describe(only.owner)}: ${displayPath(only.path)}`;
  }
  const lines: string[] = [];
  let last: string | undefined;
  for (const { id, owner, path } of conflicts) {
    if (id !== last) lines.push(`conflicts with ${describe(owner)}:`);
    last = id;
    lines.push(`- ${displayPath(path)}`);
  }
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join("\n")}`;
}

function describe({ manager, operation, apiVersion, subresource }: ManagedFieldsEntry): string {
  const name = goQuote(manager ?? "") + (subresource ? ` with subresource ${goQuote(subresource)}` : "");
  return operation === "Update" ? `${name} using ${apiVersion ?? ""}` : name;
}
