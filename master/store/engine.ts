/**
 * The synchronous heart of a store on one machine. An engine keeps keys and their history; comparing, numbering and
 * ordering are the same for all and stand here, so that a Store is only an engine plus a way to reach it.
 */
import { messageOf } from "#shared/api/joined-errors.ts";
import type { ListRange, ListResult, Revision, StoredValue, StoreEvent } from "./store.ts";

export interface Engine {
  get(key: string): StoredValue | undefined;
  /** The revision of a present key: what a comparison needs, without its value. */
  revisionOf(key: string): Revision | undefined;
  list(prefix: string, range: ListRange & { readonly now: Revision }): ListResult;
  put(key: string, value: string, revision: Revision, replaces: Revision | undefined): void;
  remove(key: string, revision: Revision, replaces: Revision): void;
  /** Changes with a revision greater than `after`, oldest first. Throws CompactedError. */
  changesSince(prefix: string, after: Revision): StoreEvent[];
  compact(revision: Revision): void;
  /** The oldest revision that list and changesSince can show; a younger one if more than `within` changes follow it. */
  oldest(within?: number): Revision;
}

/** One write as it travels to an engine. `id` ties the outcome to its caller. */
export type Write =
  | { readonly op: "create"; readonly id: number; readonly key: string; readonly value: string }
  | {
      readonly op: "update";
      readonly id: number;
      readonly key: string;
      readonly value: string;
      readonly expected: Revision;
    }
  | { readonly op: "delete"; readonly id: number; readonly key: string; readonly expected: Revision };

export type Outcome =
  | { readonly id: number; readonly kind: "committed"; readonly revision: Revision }
  | { readonly id: number; readonly kind: "exists" }
  | { readonly id: number; readonly kind: "mismatch"; readonly current: StoredValue | undefined }
  | { readonly id: number; readonly kind: "failed"; readonly message: string };

/** Compares and, when the comparison holds, applies one write under a fresh revision. */
export function applyWrite(engine: Engine, write: Write, nextRevision: () => Revision): Outcome {
  const present = engine.revisionOf(write.key);
  if (write.op === "create") {
    if (present !== undefined) return { id: write.id, kind: "exists" };
    const revision = nextRevision();
    engine.put(write.key, write.value, revision, undefined);
    return { id: write.id, kind: "committed", revision };
  }
  if (present === undefined || present !== write.expected) return mismatch(engine, write);
  const revision = nextRevision();
  if (write.op === "update") engine.put(write.key, write.value, revision, present);
  else engine.remove(write.key, revision, present);
  return { id: write.id, kind: "committed", revision };
}

/** What stands there may be damaged: then this write fails, and none of those beside it. */
function mismatch(engine: Engine, { id, key }: Write): Outcome {
  try {
    return { id, kind: "mismatch", current: engine.get(key) };
  } catch (error) {
    return { id, kind: "failed", message: messageOf(error) };
  }
}

/** The event of a committed write. */
export function eventOf(write: Write, revision: Revision): StoreEvent {
  return write.op === "delete"
    ? { type: "delete", key: write.key, revision }
    : { type: "put", key: write.key, value: write.value, revision, created: write.op === "create" };
}

/** The first key after all that start with `prefix`, in byte order. */
export function prefixEnd(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}
