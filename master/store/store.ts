/**
 * The seam between the API server and where state rests: as small as kine's. Revisions are one increasing number for the
 * whole store, and that number is `metadata.resourceVersion`. Values are JSON text without resourceVersion (the API
 * server splices it in). Every implementation passes the suite in store-contract.ts.
 */
export interface Store {
  /** Others write to it as well: what this process has seen may not be the newest. */
  readonly isShared: boolean;
  /** The value as of now, or undefined. */
  get(key: string): Promise<StoredValue | undefined>;
  /** Keys that start with `prefix`, in byte order, as of `revision` (now when absent).
   *  Throws CompactedError when that revision is gone, FutureRevisionError when it is yet to come. */
  list(prefix: string, options?: ListRange): Promise<ListResult>;
  /** Throws KeyExistsError. */
  create(key: string, value: string): Promise<Revision>;
  /** Replaces the value when the key's modification revision still is `expected`; else throws RevisionMismatchError with
   *  what stands there now (undefined when the key is gone). */
  update(key: string, value: string, expected: Revision): Promise<Revision>;
  /** As update. Gives the deletion's revision. */
  delete(key: string, expected: Revision): Promise<Revision>;
  /** Changes under `prefix` with a revision greater than `after`, in order of revision, none left out (numbers may be
   *  skipped). The iterable throws CompactedError when `after` is older than the last compaction, and on a volatile
   *  prefix when `after` is older than this process. A consumer that falls behind too far gets SlowWatcherError. */
  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<StoreBatch>;
  /** Forgets history up to and including `revision`; present values stay. */
  compact(revision: Revision, how?: CompactHow): Promise<void>;
  /** The newest revision that is durable and visible. */
  now(): Promise<Revision>;
  /** The oldest revision that list and watch can still show (of the durable keys); a younger one if more than `within`
   *  changes have come after it, so that who replays from there has no more than about so many to take in. */
  oldest(within?: number): Promise<Revision>;
  close(): Promise<void>;
  /** Calls `then` when values that could not be read (see StoredValue.sealed) may be by now. Gives what ends that. Absent: nothing tells. */
  readonly onReadable?: ((then: () => void) => () => void) | undefined;
  /** What else of it may be ill, by the names of the health checks that tell of it: they reject with what is wrong. */
  readonly checks?: Readonly<Record<string, () => Promise<unknown>>> | undefined;
}

/** A safe integer; etcd's int64 never comes near 2^53 in practice, and an overflow is an assertion failure. */
export type Revision = number;

export interface StoredValue {
  readonly key: string;
  readonly value: string;
  /** The revision of the last change. */
  readonly revision: Revision;
  /** Why the value cannot be read for now and is empty here: its key is not known, or the service that has it does not give it. Only
   *  where that is asked for (ListRange) and in watches; else such a value is a failure. */
  readonly sealed?: string | undefined;
}

export interface ListRange {
  readonly revision?: Revision | undefined;
  readonly limit?: number | undefined;
  /** Start after this key (exclusive): how a `continue` goes on. */
  readonly startAfter?: string | undefined;
  /** A value that cannot be read for now is told of as such, rather than that the list fails. */
  readonly tellsSealed?: boolean | undefined;
  /** Values as they rest, which nobody reads without their keys, and no key service is asked: for a copy of the state. */
  readonly asItRests?: boolean | undefined;
}

export interface CompactHow {
  /** Its file shows none of what was forgotten, not even where nothing stands any more. Writes wait for that. Of etcd, its defragmentation
   *  does so. */
  readonly scrubs?: boolean | undefined;
}

export interface ListResult {
  readonly items: readonly StoredValue[];
  /** The revision that the list shows. */
  readonly revision: Revision;
  readonly more: boolean;
}

/** What was committed together. */
export interface StoreBatch {
  /** In order of revision; empty when only the revision moved on (changes elsewhere). */
  readonly events: readonly StoreEvent[];
  /** Every change up to here has been given. */
  readonly revision: Revision;
}

export type StoreEvent =
  | {
      readonly type: "put";
      readonly key: string;
      readonly value: string;
      readonly revision: Revision;
      readonly created: boolean;
      /** As of StoredValue. */
      readonly sealed?: string | undefined;
    }
  | { readonly type: "delete"; readonly key: string; readonly revision: Revision };

export class KeyExistsError extends Error {
  override readonly name = "KeyExistsError";
  constructor(readonly key: string) {
    super(`key exists: ${key}`);
  }
}

export class RevisionMismatchError extends Error {
  override readonly name = "RevisionMismatchError";
  constructor(
    readonly key: string,
    readonly current: StoredValue | undefined,
  ) {
    super(`revision mismatch: ${key}`);
  }
}

export class CompactedError extends Error {
  override readonly name = "CompactedError";
  constructor(readonly oldest: Revision) {
    super(`the requested revision has been compacted; the oldest is ${oldest}`);
  }
}

export class FutureRevisionError extends Error {
  override readonly name = "FutureRevisionError";
  constructor(readonly newest: Revision) {
    super(`the requested revision is yet to come; the newest is ${newest}`);
  }
}

export class SlowWatcherError extends Error {
  override readonly name = "SlowWatcherError";
}

/** The medium refused (disk full, I/O error, closed): nothing was written. */
export class StoreUnavailableError extends Error {
  override readonly name = "StoreUnavailableError";
}

/** The answer to a write was lost on its way, and what stands in the store does not tell: it may have been made. */
export class OutcomeUnknownError extends Error {
  override readonly name = "OutcomeUnknownError";
  constructor(
    readonly key: string,
    why: string,
  ) {
    super(`it is not known whether the write of ${key} was made: ${why}`);
  }
}
