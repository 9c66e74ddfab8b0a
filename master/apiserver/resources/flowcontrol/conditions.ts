import type { Field } from "../validation/field.ts";

/** Conditions of flow control: each type once. */
export function validateTypedConditions(
  conditions: readonly { readonly type?: string | undefined }[],
  field: Field,
): void {
  const seen = new Set<string>();
  for (const [index, { type = "" }] of conditions.entries()) {
    const at = field.index(index).at("type");
    if (seen.has(type)) at.duplicate(type);
    seen.add(type);
    if (type === "") at.required();
  }
}
