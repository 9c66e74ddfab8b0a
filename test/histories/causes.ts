/** Which calls may have brought a change about, where no tag says so. */
import type { Call, Change } from "./history.ts";
import { keyOf, prefixOf } from "./keys.ts";

/** It was not refused: it was done, or may have been. A Pod is marked first, and its version may be gone before it is. */
export const mayHaveBeenDone = ({ operation, answer }: Call): boolean =>
  answer.kind === "lost" ||
  answer.code < 300 ||
  answer.code >= 500 ||
  (operation.verb === "delete" && operation.target.plural === "pods" && answer.code === 409);

/** Whether the call asked for the deletion, of an object with this uid. */
export function asksFor({ operation, uid }: Call, deletion: Change, uidBefore: string | undefined): boolean {
  switch (operation.verb) {
    case "delete":
      return keyOf(operation.target) === deletion.key && (uid === undefined || uid === uidBefore);
    case "deleteCollection":
      // Its group may be one that the object had when it was marked, not when it went.
      return deletion.key.startsWith(prefixOf(operation.plural, operation.namespace));
    default:
      return false;
  }
}

/** The uid of the object that an answer says to be gone; undefined where it says no such thing. */
export function goneBy({ operation, answer }: Call): string | undefined {
  if (answer.kind === "lost" || answer.code >= 300) return undefined;
  const { kind, details, metadata } = answer.body as {
    readonly kind?: string;
    readonly details?: { readonly uid?: string };
    readonly metadata?: { readonly uid?: string; readonly deletionTimestamp?: string; readonly finalizers?: string[] };
  };
  if (operation.verb === "delete") return kind === "Status" ? details?.uid : undefined;
  // The last finalizer was taken from what was being deleted; a Pod that is told to end stays until it has.
  const isEnding = operation.verb === "release" && operation.target.plural !== "pods";
  return isEnding && metadata?.deletionTimestamp && !metadata.finalizers?.length ? metadata.uid : undefined;
}
