/** What the main thread and the SQLite worker say to each other. */
import type { Outcome, Write } from "./engine.ts";
import type { ReadFailure, ReadRequest } from "./engine-store.ts";
import type { Routes } from "./routed-engine.ts";
import type { Salvage } from "./sqlite-salvage.ts";
import type { Revision } from "./store.ts";

export interface SqliteOptions {
  /** The database file; its folder is made when absent. */
  readonly path: string;
  readonly routes: Routes;
  /** Encrypts the values under these prefixes with the key in this file, made on first use. */
  readonly encryption?: { readonly keyFile: string; readonly prefixes: readonly string[] } | undefined;
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
}

export type ToWorker =
  | { readonly type: "open"; readonly options: SqliteOptions }
  /** Builds what can be read of a damaged file beside it. */
  | { readonly type: "salvage"; readonly path: string }
  /** With how many writes wait for their outcome, these among them. */
  | { readonly type: "commit"; readonly writes: readonly Write[]; readonly underWay: number }
  | { readonly type: "read"; readonly id: number; readonly request: ReadRequest }
  | { readonly type: "close" };

export type FromWorker =
  | { readonly type: "opened" }
  | { readonly type: "salvaged"; readonly salvage: Salvage }
  | { readonly type: "damaged"; readonly path: string; readonly what: string; readonly isOlder: boolean }
  | { readonly type: "failed"; readonly message: string }
  | { readonly type: "outcomes"; readonly outcomes: readonly Outcome[] }
  | { readonly type: "reply"; readonly id: number; readonly value: unknown }
  | { readonly type: "refusal"; readonly id: number; readonly failure: ReadFailure }
  | { readonly type: "closed" };
