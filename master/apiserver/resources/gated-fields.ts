/** Fields that stand behind gates which upstream keeps closed. */
import { cloneJson, equalJson } from "#shared/api/patch/json-value.ts";

/** Takes the fields of one gate out of a draft. */
type Drop<T> = (draft: T) => void;

/**
 * Leaves out what stands behind each gate, unless the present object has any of it, as one that was written with the gate open:
 * then it may stay and be changed (upstream's dropDisabledFields).
 */
export const dropUnlessUsed =
  <T extends object>(...gates: readonly Drop<T>[]) =>
  (draft: T, old?: Readonly<T>): void => {
    for (const drop of gates) if (!old || !uses(old, drop)) drop(draft);
  };

function uses<T extends object>(object: Readonly<T>, drop: Drop<T>): boolean {
  const without = cloneJson(object) as T;
  drop(without);
  return !equalJson(without, object);
}
