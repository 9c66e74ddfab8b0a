/** A Store over an engine: groups writes, publishes what was committed, and answers in that order. */
import { messageOf } from "#shared/api/joined-errors.ts";
import { BoundedQueue } from "./bounded-queue.ts";
import { eventOf, type Outcome, type Write } from "./engine.ts";
import {
  CompactedError,
  type CompactHow,
  FutureRevisionError,
  KeyExistsError,
  type ListRange,
  type ListResult,
  type Revision,
  RevisionMismatchError,
  SlowWatcherError,
  type Store,
  type StoreBatch,
  type StoredValue,
  type StoreEvent,
  StoreUnavailableError,
} from "./store.ts";

/** Reads that an engine answers, wherever it runs. */
export type ReadRequest =
  | { readonly read: "get"; readonly key: string }
  | { readonly read: "list"; readonly prefix: string; readonly range: ListRange }
  | { readonly read: "since"; readonly prefix: string; readonly after: Revision }
  | { readonly read: "compact"; readonly revision: Revision; readonly how: CompactHow }
  | { readonly read: "now" }
  | { readonly read: "oldest"; readonly within: number | undefined };

/** What each of them is answered with. */
interface ReadAnswers {
  readonly get: StoredValue | undefined;
  readonly list: ListResult;
  readonly since: StoreBatch;
  readonly compact: undefined;
  readonly now: Revision;
  readonly oldest: Revision;
}

/** The way to an engine. Outcomes of writes and replies to reads come back in the order in which the engine made them:
 *  a reply shows nothing whose outcome has not been handed over before. */
export interface EngineLink {
  start(onOutcomes: (outcomes: readonly Outcome[]) => void, onLost: (error: Error) => void): void;
  /** @param underWay writes without an outcome, these among them. */
  commit(writes: readonly Write[], underWay: number): void;
  read(request: ReadRequest): Promise<unknown>;
  close(): Promise<void>;
}

interface Waiting {
  readonly write: Write;
  resolve(revision: Revision): void;
  reject(error: Error): void;
}

interface Watcher {
  readonly prefix: string;
  readonly queue: BoundedQueue<StoreBatch>;
  /** Events up to here have been given or are not wanted; undefined until the history was read. */
  after: Revision | undefined;
  early: StoreBatch[];
}

/** Committed writes that one watcher may have standing. */
const MAX_PENDING = 100_000;

type NewWrite =
  | { readonly op: "create"; readonly key: string; readonly value: string }
  | { readonly op: "update"; readonly key: string; readonly value: string; readonly expected: Revision }
  | { readonly op: "delete"; readonly key: string; readonly expected: Revision };

export class EngineStore implements Store {
  readonly isShared = false;
  readonly #link: EngineLink;
  readonly #waiting = new Map<number, Waiting>();
  readonly #watchers = new Set<Watcher>();
  #group: Write[] = [];
  #nextId = 1;
  #lost: Error | undefined;

  constructor(link: EngineLink) {
    this.#link = link;
    link.start(
      (outcomes) => this.#settle(outcomes),
      (error) => this.#lose(error),
    );
  }

  create(key: string, value: string): Promise<Revision> {
    return this.#write({ op: "create", key, value });
  }

  update(key: string, value: string, expected: Revision): Promise<Revision> {
    return this.#write({ op: "update", key, value, expected });
  }

  delete(key: string, expected: Revision): Promise<Revision> {
    return this.#write({ op: "delete", key, expected });
  }

  #write(write: NewWrite): Promise<Revision> {
    if (this.#lost) return Promise.reject(this.#lost);
    const numbered: Write = { ...write, id: this.#nextId };
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(numbered.id, { write: numbered, resolve, reject });
      this.#group.push(numbered);
      // Everything written in this turn of the loop travels together: a message wakes the other thread and costs as much as
      // many writes in one.
      if (this.#group.length === 1) setImmediate(() => this.#send());
    });
  }

  #send(): void {
    const group = this.#group;
    this.#group = [];
    if (group.length > 0) this.#link.commit(group, this.#waiting.size);
  }

  #settle(outcomes: readonly Outcome[]): void {
    const events: StoreEvent[] = [];
    for (const outcome of outcomes) {
      const write = this.#waiting.get(outcome.id)?.write;
      if (write && outcome.kind === "committed") events.push(eventOf(write, outcome.revision));
    }
    const last = events.at(-1);
    if (last) this.#publish({ events, revision: last.revision });
    for (const outcome of outcomes) this.#answer(outcome);
  }

  #answer(outcome: Outcome): void {
    const waiting = this.#waiting.get(outcome.id);
    if (!waiting) return;
    this.#waiting.delete(outcome.id);
    switch (outcome.kind) {
      case "committed":
        waiting.resolve(outcome.revision);
        break;
      case "exists":
        waiting.reject(new KeyExistsError(waiting.write.key));
        break;
      case "mismatch":
        waiting.reject(new RevisionMismatchError(waiting.write.key, outcome.current));
        break;
      case "failed":
        waiting.reject(new StoreUnavailableError(outcome.message));
        break;
    }
  }

  #publish(batch: StoreBatch): void {
    for (const watcher of this.#watchers) {
      if (watcher.after === undefined) watcher.early.push(batch);
      else this.#give(watcher, batch);
    }
  }

  #give(watcher: Watcher, batch: StoreBatch): void {
    const after = watcher.after ?? 0;
    if (batch.revision <= after) return;
    const events = batch.events.filter((event) => event.revision > after && event.key.startsWith(watcher.prefix));
    watcher.after = batch.revision;
    watcher.queue.push({ events, revision: batch.revision });
  }

  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<StoreBatch> {
    const queue = new BoundedQueue<StoreBatch>(
      MAX_PENDING,
      () => new SlowWatcherError("a watcher of the store fell too far behind"),
      (batch) => batch.events.length + 1,
    );
    const watcher: Watcher = { prefix, queue, after: undefined, early: [] };
    const stop = (): void => queue.end();
    queue.whenEnded(() => {
      this.#watchers.delete(watcher);
      signal.removeEventListener("abort", stop);
    });
    if (this.#lost) queue.end(this.#lost);
    else if (signal.aborted) queue.end();
    else {
      signal.addEventListener("abort", stop);
      this.#watchers.add(watcher);
      this.#catchUp(watcher, after).catch((error: unknown) => queue.end(error));
    }
    return queue;
  }

  async #catchUp(watcher: Watcher, after: Revision): Promise<void> {
    const since = await this.#read({ read: "since", prefix: watcher.prefix, after });
    watcher.queue.push(since);
    watcher.after = since.revision;
    const early = watcher.early;
    watcher.early = [];
    for (const batch of early) this.#give(watcher, batch);
  }

  #lose(error: Error): void {
    this.#lost = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    for (const watcher of [...this.#watchers]) watcher.queue.end(error);
  }

  /** A link that is lost or closed answers nothing any more. */
  async #read<R extends ReadRequest>(request: R): Promise<ReadAnswers[R["read"]]> {
    if (this.#lost) throw this.#lost;
    return (await this.#link.read(request)) as ReadAnswers[R["read"]];
  }

  get(key: string): Promise<StoredValue | undefined> {
    return this.#read({ read: "get", key });
  }

  list(prefix: string, range: ListRange = {}): Promise<ListResult> {
    return this.#read({ read: "list", prefix, range });
  }

  compact(revision: Revision, how: CompactHow = {}): Promise<void> {
    return this.#read({ read: "compact", revision, how });
  }

  now(): Promise<Revision> {
    return this.#read({ read: "now" });
  }

  oldest(within?: number): Promise<Revision> {
    return this.#read({ read: "oldest", within });
  }

  async close(): Promise<void> {
    if (this.#lost) return;
    this.#send();
    await this.#link.close();
    this.#lose(new StoreUnavailableError("the store is closed"));
  }
}

/** What of an engine a read needs; RoutedEngine and a plain MemoryEngine both give it. */
export interface ReadableEngine {
  readonly now: Revision;
  get(key: string): StoredValue | undefined;
  list(prefix: string, range: ListRange & { readonly now: Revision }): ListResult;
  changesSince(prefix: string, after: Revision): StoreEvent[];
  compact(revision: Revision): void;
  /** Overwrites what no key holds any more; absent where there is no file. */
  scrub?(): void;
  oldest(within?: number): Revision;
}

/** Answers a read at an engine. Throws CompactedError and FutureRevisionError. */
export function answerRead(engine: ReadableEngine, request: ReadRequest): unknown {
  switch (request.read) {
    case "get":
      return engine.get(request.key);
    case "list":
      return engine.list(request.prefix, { ...request.range, now: engine.now });
    case "since": {
      if (request.after > engine.now) throw new FutureRevisionError(engine.now);
      return { events: engine.changesSince(request.prefix, request.after), revision: engine.now };
    }
    case "compact":
      if (request.revision > engine.now) throw new FutureRevisionError(engine.now);
      engine.compact(request.revision);
      if (request.how.scrubs) engine.scrub?.();
      return undefined;
    case "now":
      return engine.now;
    case "oldest":
      return engine.oldest(request.within);
  }
}

/** An error as it crosses a thread, where classes are lost. */
export type ReadFailure =
  | { readonly kind: "compacted"; readonly revision: Revision }
  | { readonly kind: "future"; readonly revision: Revision }
  | { readonly kind: "other"; readonly message: string };

export function failureOf(error: unknown): ReadFailure {
  if (error instanceof CompactedError) return { kind: "compacted", revision: error.oldest };
  if (error instanceof FutureRevisionError) return { kind: "future", revision: error.newest };
  return { kind: "other", message: messageOf(error) };
}

export function errorOf(failure: ReadFailure): Error {
  switch (failure.kind) {
    case "compacted":
      return new CompactedError(failure.revision);
    case "future":
      return new FutureRevisionError(failure.revision);
    case "other":
      return new StoreUnavailableError(failure.message);
  }
}
