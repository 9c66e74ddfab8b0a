/**
 * The thread that owns the SQLite file. Writes that arrive while one group is being synced to the disk form the next
 * group: the busier, the larger the groups (GroupCommit). No timer runs when nothing was written.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf } from "#shared/api/joined-errors.ts";
import { stderrLog } from "#shared/client/log.ts";
import { promptThread } from "#shared/process/prompt-thread.ts";
import { isDiskFull, StoreDamagedError, StoreSyncError } from "./database-file.ts";
import type { Write } from "./engine.ts";
import { answerRead, failureOf } from "./engine-store.ts";
import { GroupCommit } from "./group-commit.ts";
import { restingTransformer } from "./resting-values.ts";
import { RoutedEngine } from "./routed-engine.ts";
import { SqliteEngine } from "./sqlite-engine.ts";
import {
  committedRevisions,
  type FlatWrites,
  type FromWorker,
  readWrites,
  type SqliteOptions,
  type ToWorker,
} from "./sqlite-messages.ts";
import { salvage } from "./sqlite-salvage.ts";
import type { Revision } from "./store.ts";
import { plainText } from "./value-transformer.ts";

declare const self: Worker & { close(): void };

/** Revisions that are forgotten at once: some milliseconds, for which writes wait. */
const CUT_AT_ONCE = 1_000;

const log = stderrLog().named("store");

const say = (message: FromWorker): void => self.postMessage(message);

class StoreThread {
  readonly #engine: RoutedEngine;
  readonly #options: SqliteOptions;
  readonly #groups = new GroupCommit<Write>((group) => this.#commit(group));
  #batchTimer: ReturnType<typeof setTimeout> | undefined;
  /** Revisions with the time at which each was the newest, oldest first: where compaction may cut. */
  #marks: { readonly time_ms: number; readonly revision: Revision }[] = [];
  #superseded: number;
  /** History up to here is to go. */
  #cutTo: Revision = 0;
  /** Of it on the disk. */
  #mayStay = 0;
  #isCutting = false;
  #isClosed = false;

  constructor(options: SqliteOptions, sqlite: SqliteEngine) {
    this.#options = options;
    this.#superseded = sqlite.superseded();
    this.#engine = new RoutedEngine(sqlite, options.routes, options.after);
    this.#marks.push({ time_ms: performance.now(), revision: this.#engine.now });
  }

  enqueue(flat: FlatWrites): void {
    const { writes, underWay } = readWrites(flat);
    this.#groups.add(writes, underWay);
  }

  #commit(group: readonly Write[]): void {
    const outcomes = this.#engine.commit(group);
    say(committedRevisions(outcomes) ?? { type: "outcomes", outcomes });
    this.#superseded += group.length;
    this.#engine.tendLog();
    this.#cutHistory();
    this.#planFlush();
  }

  #planFlush(): void {
    if (this.#engine.hasDirty) this.#batchTimer ??= setTimeout(() => this.#flush(), this.#options.batchEvery_ms);
  }

  #flush(): void {
    this.#batchTimer = undefined;
    this.#ifRoom("what rests in memory is not written", () => this.#engine.flush());
    this.#planFlush();
  }

  /** What nobody waits for is put off while the disk is full. */
  #ifRoom(otherwise: string, work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      log.warn(`${otherwise} before the disk has room`, { path: this.#options.path });
      return false;
    }
  }

  /** Compacts as a follow-up of writing, about twice in the time that history is kept. */
  #cutHistory(): void {
    const now_ms = performance.now();
    const newest = this.#marks.at(-1);
    const halfway = this.#options.historyFor_ms / 2;
    const many = this.#superseded > this.#options.maxHistory;
    if (newest && now_ms - newest.time_ms < halfway && !many) return;
    this.#marks.push({ time_ms: now_ms, revision: this.#engine.now });
    const old = this.#marks.findLast((mark) => now_ms - mark.time_ms >= this.#options.historyFor_ms);
    const cut = many ? this.#engine.now - Math.floor(this.#options.maxHistory / 2) : old?.revision;
    if (cut === undefined || cut <= this.#engine.oldest()) return;
    this.#cutTo = cut;
    this.#mayStay = many ? 0 : this.#options.mayStay;
    this.#cutSome();
    this.#marks = this.#marks.filter((mark) => mark.revision > cut);
    this.#superseded = many ? Math.floor(this.#options.maxHistory / 2) : 0;
  }

  /** In steps, between which writes are committed. Those that an end leaves out come at a later cut. */
  #cutSome(): void {
    if (this.#isCutting || this.#isClosed) return;
    const to = Math.min(this.#cutTo, this.#engine.oldest() + CUT_AT_ONCE);
    const isCut = this.#ifRoom("old history is not removed", () => this.#engine.compact(to, this.#mayStay));
    if (!isCut || this.#engine.oldest() >= this.#cutTo) return;
    this.#isCutting = true;
    setImmediate(() => {
      this.#isCutting = false;
      this.#cutSome();
    });
  }

  read(id: number, request: Extract<ToWorker, { type: "read" }>["request"]): void {
    try {
      say({ type: "reply", id, value: answerRead(this.#engine, request) });
    } catch (error) {
      // A compaction's: nobody knows what the disk has of it.
      if (error instanceof StoreSyncError) throw error;
      say({ type: "refusal", id, failure: failureOf(error) });
    }
  }

  close(): void {
    this.#groups.flush();
    this.#isClosed = true;
    clearTimeout(this.#batchTimer);
    this.#engine.close();
  }
}

async function open(options: SqliteOptions): Promise<StoreThread> {
  mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 });
  const { encryption } = options;
  const transformer = encryption ? restingTransformer(encryption) : plainText;
  return new StoreThread(options, SqliteEngine.open(options.path, transformer, options.log));
}

function tell(error: unknown): void {
  if (error instanceof StoreDamagedError) {
    const { path, what, isOlder } = error;
    say({ type: "damaged", path, what, isOlder });
  } else say({ type: "failed", message: messageOf(error) });
}

const isFlat = (message: ToWorker): message is FlatWrites => Array.isArray(message);

promptThread();
let thread: StoreThread | undefined;

self.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  if (isFlat(message)) {
    thread?.enqueue(message);
    return;
  }
  switch (message.type) {
    case "open":
      open(message.options).then((opened) => {
        thread = opened;
        say({ type: "opened" });
      }, tell);
      return;
    case "salvage":
      try {
        say({ type: "salvaged", salvage: salvage(message) });
      } catch (error) {
        tell(error);
      }
      return;
    case "read":
      thread?.read(message.id, message.request);
      return;
    case "close":
      thread?.close();
      thread = undefined;
      say({ type: "closed" });
      return;
  }
};
