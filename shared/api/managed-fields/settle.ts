import type { KubeObject } from "../object.ts";
import { equalJson } from "../patch/json-value.ts";
import type { ManagedFieldsEntry } from "../types/meta-v1.generated.ts";
import { withoutManagedFields } from "./update.ts";

/**
 * The managedFields to store once admission and the strategy are through with an object. Where nothing but times of entries
 * differs from what is stored, the stored ones: such a write is none, and must not make a new revision. An entry that came or
 * went counts: who writes a field, even to the value it has, is its manager afterwards.
 */
export function settledManagedFields(live: KubeObject, next: KubeObject): readonly ManagedFieldsEntry[] | undefined {
  const before = live.metadata.managedFields;
  const after = next.metadata.managedFields;
  if (before === after || before === undefined || after === undefined) return after;
  if (before.length !== after.length) return after;
  const sameEntries = after.every((entry, index) => {
    const { time: _, ...fields } = entry;
    const { time: __, ...stored } = before[index] ?? {};
    return equalJson(fields, stored);
  });
  return sameEntries && equalJson(withoutManagedFields(live), withoutManagedFields(next)) ? before : after;
}
