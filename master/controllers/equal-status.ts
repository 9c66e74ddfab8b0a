import { canonicalText } from "./canonical-text.ts";

/** Whether two statuses say the same: absent, zero and empty fields are one, as Go's `omitempty` writes them. */
export function equalStatus(a: unknown, b: unknown): boolean {
  return canonicalText(withoutEmpty(a)) === canonicalText(withoutEmpty(b));
}

function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(withoutEmpty);
  if (typeof value !== "object" || value === null) return value || undefined;
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, withoutEmpty(inner)] as const)
    .filter(([, inner]) => inner !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
