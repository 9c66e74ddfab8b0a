/** What the main thread and the SQLite worker say to each other. */
import type { LogLimits } from "./checkpoints.ts";
import type { Outcome, Write } from "./engine.ts";
import type { ReadFailure, ReadRequest } from "./engine-store.ts";
import type { Encryption } from "./resting-values.ts";
import type { Routes } from "./routed-engine.ts";
import type { Salvage } from "./sqlite-salvage.ts";
import type { Revision } from "./store.ts";

export interface SqliteOptions {
  /** The database file; its folder is made when absent. */
  readonly path: string;
  readonly routes: Routes;
  /** Absent: values rest as they are. */
  readonly encryption?: Encryption | undefined;
  /** Revisions begin after this one, when the file has not come so far by itself. */
  readonly after?: Revision | undefined;
  /** How long history is kept; what a client may have missed and still resume. */
  readonly historyFor_ms: number;
  /** Rows that history no longer shows may stay on the disk until there are so many. */
  readonly mayStay: number;
  /** At most this many superseded rows are kept, however young. */
  readonly maxHistory: number;
  /** How long what rests in batches may stay off the disk. */
  readonly batchEvery_ms: number;
  readonly log?: Partial<LogLimits> | undefined;
}

/**
 * Writes, behind the number of those that wait for their outcome, these among them: operation, id, key, value and expected revision
 * of each. An array of plain values crosses threads in a small part of the time that objects within objects take.
 */
export type FlatWrites = readonly (string | number)[];

/** Id and revision of each write, where all of a group were committed. */
export type CommittedRevisions = readonly number[];

/** Of each write. */
const FIELDS = 5;

export function flatWrites(writes: readonly Write[], underWay: number): FlatWrites {
  const flat: (string | number)[] = [underWay];
  for (const write of writes) {
    const value = write.op === "delete" ? "" : write.value;
    flat.push(write.op, write.id, write.key, value, write.op === "create" ? 0 : write.expected);
  }
  return flat;
}

export function readWrites(flat: FlatWrites): { readonly writes: Write[]; readonly underWay: number } {
  const writes: Write[] = [];
  for (let at = 1; at < flat.length; at += FIELDS) {
    const [op, id, key, value, expected] = flat.slice(at, at + FIELDS) as [
      Write["op"],
      number,
      string,
      string,
      Revision,
    ];
    if (op === "create") writes.push({ op, id, key, value });
    else writes.push(op === "update" ? { op, id, key, value, expected } : { op, id, key, expected });
  }
  return { writes, underWay: flat[0] as number };
}

/** Undefined where not all were committed. */
export function committedRevisions(outcomes: readonly Outcome[]): CommittedRevisions | undefined {
  const flat: number[] = [];
  for (const outcome of outcomes) {
    if (outcome.kind !== "committed") return undefined;
    flat.push(outcome.id, outcome.revision);
  }
  return flat;
}

export function readCommitted(flat: CommittedRevisions): Outcome[] {
  const outcomes: Outcome[] = [];
  for (let at = 0; at < flat.length; at += 2)
    outcomes.push({ id: flat[at] as number, kind: "committed", revision: flat[at + 1] as Revision });
  return outcomes;
}

export type ToWorker =
  | { readonly type: "open"; readonly options: SqliteOptions }
  /** Builds what can be read of a damaged file beside it. */
  | { readonly type: "salvage"; readonly path: string }
  | FlatWrites
  | { readonly type: "read"; readonly id: number; readonly request: ReadRequest }
  | { readonly type: "close" };

export type FromWorker =
  | { readonly type: "opened" }
  | { readonly type: "salvaged"; readonly salvage: Salvage }
  | { readonly type: "damaged"; readonly path: string; readonly what: string; readonly isOlder: boolean }
  | { readonly type: "failed"; readonly message: string }
  | CommittedRevisions
  | { readonly type: "outcomes"; readonly outcomes: readonly Outcome[] }
  | { readonly type: "reply"; readonly id: number; readonly value: unknown }
  | { readonly type: "refusal"; readonly id: number; readonly failure: ReadFailure }
  | { readonly type: "closed" };
