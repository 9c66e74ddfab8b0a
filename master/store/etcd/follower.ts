/** One watch over all of etcd's keys, moved from member to member so that no change is left out and none comes twice. */
import type { Log } from "#shared/client/log.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { CompactedError, type Revision, type StoreBatch, type StoreEvent } from "../store.ts";
import { openOrTell, type ValueTransformer } from "../value-transformer.ts";
import { type EtcdCluster, pauseAfter } from "./cluster.ts";
import {
  decodeRange,
  decodeWatch,
  encodeRange,
  encodeWatchCreation,
  paths,
  type WatchEvent,
  type WatchResponse,
} from "./messages.ts";

export interface FollowerOptions {
  readonly cluster: EtcdCluster;
  /** Changes elsewhere only move the revision on. */
  readonly prefix: string;
  readonly after: Revision;
  readonly transformer: ValueTransformer;
  readonly log: Log;
  readonly onChange?: (() => void) | undefined;
}

/** All keys there are: so every revision shows up, and silence means that nothing was written. */
const everything = { key: "\0", end: "\0" } as const;

/** A watch that lags so long behind what etcd has answered elsewhere has come to a standstill. */
const standstill_ms = 3_000;
const lookUp_ms = 3_000;

export class Follower {
  readonly #options: FollowerOptions;
  #reached: Revision;
  #expected = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#reached = options.after;
  }

  /** Throws CompactedError when history from here on is not whole any more; outages of etcd are waited out. */
  async *follow(signal: AbortSignal): AsyncGenerator<StoreBatch, void, undefined> {
    const stop = (): void => this.stop();
    signal.addEventListener("abort", stop);
    if (signal.aborted) this.#stopped = true;
    try {
      if (!this.#stopped) yield { events: [], revision: this.#reached };
      for (let failures = 0; !this.#stopped; failures += 1) {
        try {
          await this.#assertHistory();
          for await (const batch of this.#batches()) {
            failures = 0;
            yield batch;
          }
        } catch (error) {
          if (!(error instanceof GrpcError)) throw error;
        }
        if (!this.#stopped) await Bun.sleep(pauseAfter(failures));
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.stop();
    }
  }

  /** etcd's own check of a watch's start lets the revision of the compaction itself pass, whose deletions are gone. */
  async #assertHistory(): Promise<void> {
    const { cluster } = this.#options;
    try {
      decodeRange(
        await cluster.read(
          paths.range,
          encodeRange({ ...everything, countOnly: true, limit: 1, revision: this.#reached }),
        ),
      );
    } catch (error) {
      if (error instanceof GrpcError && error.message.includes("has been compacted"))
        throw new CompactedError(this.#reached + 1);
      if (error instanceof GrpcError && error.code === GrpcCode.OutOfRange) return;
      throw error;
    }
  }

  async *#batches(): AsyncGenerator<StoreBatch, void, undefined> {
    const stream = await this.#options.cluster.stream(paths.watch);
    this.#cancel = () => stream.cancel();
    if (this.#stopped) stream.cancel();
    try {
      stream.send(encodeWatchCreation({ ...everything, startRevision: this.#reached + 1 }));
      let fragments: WatchEvent[] = [];
      for await (const message of stream.messages) {
        const response = decodeWatch(message);
        this.#assertOpen(response);
        fragments.push(...response.events);
        if (response.fragment || fragments.length === 0) continue;
        const batch = this.#batchOf(fragments);
        fragments = [];
        this.#options.onChange?.();
        yield batch;
      }
    } catch (error) {
      if (!this.#stopped) stream.leave(error);
      throw error;
    } finally {
      stream.cancel();
      this.#cancel = undefined;
    }
  }

  #assertOpen({ canceled, compactRevision, cancelReason }: WatchResponse): void {
    if (compactRevision > 0) throw new CompactedError(compactRevision);
    if (canceled) throw new GrpcError(GrpcCode.Unavailable, `etcd ended the watch: ${cancelReason}`, true);
  }

  #batchOf(found: readonly WatchEvent[]): StoreBatch {
    const { prefix } = this.#options;
    const events: StoreEvent[] = [];
    for (const event of found) {
      if (event.kv.modRevision <= this.#reached) continue;
      if (event.kv.key.startsWith(prefix)) events.push(this.#eventOf(event));
    }
    this.#reached = Math.max(this.#reached, found.at(-1)?.kv.modRevision ?? 0);
    return { events, revision: this.#reached };
  }

  #eventOf({ deleted, kv }: WatchEvent): StoreEvent {
    const { key, modRevision: revision } = kv;
    if (deleted) return { type: "delete", key, revision };
    const read = openOrTell(this.#options.transformer, key, kv.value);
    return { type: "put", key, revision, created: kv.createRevision === revision, ...read };
  }

  /** etcd has shown this revision elsewhere, so this watch must get there soon, or begins anew at another member. */
  expect(revision: Revision): void {
    this.#expected = Math.max(this.#expected, revision);
    if (this.#expected <= this.#reached || this.#timer !== undefined) return;
    const wanted = this.#expected;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#reached >= wanted || this.#stopped) return;
      this.#options.log.warn("the watch of etcd stands still; it begins anew", { at: this.#reached, wanted });
      this.#cancel?.();
    }, standstill_ms);
  }

  /** The first change of one key after `after`; undefined when history does not tell any more. Rejects with GrpcError. */
  async firstChangeOf(key: string): Promise<WatchEvent | undefined> {
    const stream = await this.#options.cluster.stream(paths.watch);
    const timer = setTimeout(() => stream.cancel(), lookUp_ms);
    try {
      stream.send(encodeWatchCreation({ key, startRevision: this.#reached + 1 }));
      for await (const message of stream.messages) {
        const response = decodeWatch(message);
        if (response.compactRevision > 0) return undefined;
        this.#assertOpen(response);
        const [first] = response.events;
        if (first) return first;
      }
      return undefined;
    } finally {
      clearTimeout(timer);
      stream.cancel();
    }
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#cancel?.();
  }
}
