/**
 * The Store on an etcd v3 cluster. Keys are as they are, values the JSON text (encrypted under some prefixes), so that
 * etcdctl shows the cluster's state; etcd's revisions are the store's.
 */
import type { Log } from "#shared/client/log.ts";
import type { ChannelCredentials } from "#shared/grpc/channel.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import { prefixEnd } from "../engine.ts";
import {
  CompactedError,
  FutureRevisionError,
  KeyExistsError,
  type ListRange,
  type ListResult,
  OutcomeUnknownError,
  type Revision,
  RevisionMismatchError,
  type Store,
  type StoreBatch,
  type StoredValue,
  StoreUnavailableError,
} from "../store.ts";
import { openOrTell, plainText, type ValueTransformer } from "../value-transformer.ts";
import { EtcdCluster, isDoubtful, isPassing, pauseAfter } from "./cluster.ts";
import { Compactor, compactionKey } from "./compactor.ts";
import { Follower } from "./follower.ts";
import {
  decodeGuardedResult,
  decodeRange,
  encodeCompact,
  encodeGuardedWrite,
  encodeRange,
  type GuardedResult,
  type GuardedWrite,
  type KeyValue,
  paths,
  type RangeRequest,
  type RangeResponse,
} from "./messages.ts";

export interface EtcdOptions {
  /** `https://host:2379`, each member; a function where members come and go. */
  readonly endpoints: readonly string[] | (() => readonly string[]);
  /** PEM; read for each connection. */
  readonly credentials: () => ChannelCredentials;
  readonly transformer: ValueTransformer;
  readonly log: Log;
  /** History is kept for this long, up to twice as long. */
  readonly compactEvery_ms?: number | undefined;
}

/** An election of etcd's takes some 2 s, longer on a loaded board. */
const writeFor_ms = 8_000;
const attempt_ms = 5_000;
const PAGE = 500;
/** No change ever has a lower one: an empty etcd begins at 1. */
const FIRST_REVISION = 1;

/** Opens the store. Rejects with StoreUnavailableError when no member answers. */
export async function openEtcdStore(options: EtcdOptions): Promise<Store> {
  const store = new EtcdStore(options);
  try {
    await store.now();
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

class EtcdStore implements Store {
  readonly isShared = true;
  readonly #cluster: EtcdCluster;
  readonly #transformer: ValueTransformer;
  readonly #log: Log;
  readonly #compactor: Compactor;
  readonly #followers = new Set<Follower>();
  #asking: Promise<Revision> | undefined;
  #askingNext: Promise<Revision> | undefined;

  constructor(options: EtcdOptions) {
    this.#cluster = new EtcdCluster(options);
    this.#transformer = options.transformer;
    this.#log = options.log;
    this.#compactor = new Compactor(this.#cluster, options.log, options.compactEvery_ms);
  }

  async get(key: string): Promise<StoredValue | undefined> {
    const { kvs } = await this.#range({ key });
    return kvs[0] && this.#stored(kvs[0]);
  }

  async list(
    prefix: string,
    { revision, limit, startAfter, asItRests, tellsSealed }: ListRange = {},
  ): Promise<ListResult> {
    const items: StoredValue[] = [];
    const end = prefixEnd(prefix);
    const transformer = asItRests ? plainText : this.#transformer;
    let at = revision;
    let from = startAfter !== undefined && startAfter >= prefix ? following(startAfter) : prefix;
    for (;;) {
      const wanted = limit === undefined ? PAGE : Math.min(PAGE, limit - items.length);
      const page = await this.#range({ key: from, end, limit: wanted, revision: at });
      at ??= page.revision;
      for (const kv of page.kvs) items.push(tellsSealed ? told(kv, transformer) : this.#stored(kv, transformer));
      const last = page.kvs.at(-1);
      if (!page.more || !last || items.length === limit) return { items, revision: at, more: page.more };
      from = following(last.key);
    }
  }

  create(key: string, value: string): Promise<Revision> {
    return this.#write({ key, value: this.#transformer.toStorage(key, value), expected: 0 });
  }

  update(key: string, value: string, expected: Revision): Promise<Revision> {
    return this.#write({ key, value: this.#transformer.toStorage(key, value), expected });
  }

  delete(key: string, expected: Revision): Promise<Revision> {
    return this.#write({ key, value: undefined, expected });
  }

  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<StoreBatch> {
    const follower = new Follower({
      cluster: this.#cluster,
      prefix,
      after: Math.max(after, FIRST_REVISION),
      transformer: this.#transformer,
      log: this.#log,
      onChange: () => this.#compactor.noteChange(),
    });
    this.#followers.add(follower);
    const batches = follower.follow(signal);
    const forget = (): void => void this.#followers.delete(follower);
    return (async function* () {
      try {
        yield* batches;
      } finally {
        forget();
      }
    })();
  }

  async compact(revision: Revision): Promise<void> {
    try {
      await this.#cluster.read(paths.compact, encodeCompact(revision));
    } catch (error) {
      if (isCompacted(error)) return;
      throw this.#unavailable(error);
    }
  }

  /** Asked of the majority. Who asks while an earlier question is under way shares the next one. */
  now(): Promise<Revision> {
    if (!this.#asking) return this.#ask();
    this.#askingNext ??= this.#asking.then(
      () => this.#ask(),
      () => this.#ask(),
    );
    return this.#askingNext;
  }

  #ask(): Promise<Revision> {
    this.#askingNext = undefined;
    const asking = this.#range({ key: compactionKey, countOnly: true }).then(({ revision }) => revision);
    const done = (): void => {
      if (this.#asking === asking) this.#asking = undefined;
    };
    this.#asking = asking;
    asking.then(done, done);
    return asking;
  }

  /** Each revision of etcd is one change at least. */
  async oldest(within = Number.POSITIVE_INFINITY): Promise<Revision> {
    const [compacted, now] = await Promise.all([this.#compacted(), this.now()]);
    return Math.max(compacted, now - within);
  }

  /** etcd tells its last compaction only to a watch that begins before it. */
  async #compacted(): Promise<Revision> {
    try {
      await this.#range({ key: compactionKey, countOnly: true, revision: FIRST_REVISION });
      return FIRST_REVISION;
    } catch (error) {
      if (error instanceof CompactedError) return error.oldest;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#compactor.stop();
    for (const follower of this.#followers) follower.stop();
    this.#cluster.close();
  }

  #stored({ key, value, modRevision }: KeyValue, transformer = this.#transformer): StoredValue {
    return { key, value: transformer.fromStorage(key, value), revision: modRevision };
  }

  async #range(request: RangeRequest): Promise<RangeResponse> {
    try {
      const response = decodeRange(await this.#cluster.read(paths.range, encodeRange(request)));
      this.#expect(response.revision);
      return response;
    } catch (error) {
      if (isCompacted(error)) throw new CompactedError(await this.#compactor.compacted());
      if (isFuture(error)) throw new FutureRevisionError(await this.now());
      throw this.#unavailable(error);
    }
  }

  /** A revision that stands: whoever follows must reach it soon. */
  #expect(revision: Revision): void {
    for (const follower of this.#followers) follower.expect(revision);
  }

  /**
   * Writes once. A try whose answer was lost may have been applied, or may be yet. An update or deletion is tried again:
   * the revision that it insists on lets at most one try through, and history tells which one. A creation is not (its
   * key may have come and gone in between): what stands at the key tells, or OutcomeUnknownError.
   */
  async #write(write: GuardedWrite): Promise<Revision> {
    const message = encodeGuardedWrite(write);
    const deadline_ms = performance.now() + writeFor_ms;
    let doubt: unknown;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const left_ms = Math.max(1, deadline_ms - performance.now());
        const answer = await this.#cluster.attempt(paths.txn, message, Math.min(left_ms, attempt_ms));
        const revision = await this.#settle(write, decodeGuardedResult(answer), doubt);
        this.#expect(revision);
        return revision;
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
        if (isDoubtful(error)) doubt = error;
        if (doubt !== undefined && write.expected === 0) return this.#resolveCreation(write, deadline_ms);
        if (!isPassing(error) || performance.now() >= deadline_ms) {
          throw doubt === undefined
            ? this.#unavailable(error)
            : new OutcomeUnknownError(write.key, this.#unavailable(error).message);
        }
        await Bun.sleep(pauseAfter(attempt));
      }
    }
  }

  /** What an answered try comes to; after a doubtful one the change that was found may be our own. */
  async #settle(write: GuardedWrite, result: GuardedResult, doubt: unknown): Promise<Revision> {
    if (result.succeeded) return result.revision;
    const present = result.present && this.#stored(result.present);
    if (present && write.expected === 0) throw new KeyExistsError(write.key);
    if (doubt !== undefined) {
      const own = await this.#ownChange(write);
      if (own !== undefined) return own;
    }
    throw new RevisionMismatchError(write.key, present);
  }

  /** The first change after the expected revision is the only one that can be this write. */
  async #ownChange(write: GuardedWrite): Promise<Revision | undefined> {
    const first = await new Follower({
      cluster: this.#cluster,
      prefix: write.key,
      after: write.expected,
      transformer: this.#transformer,
      log: this.#log,
    }).firstChangeOf(write.key);
    if (!first) throw new OutcomeUnknownError(write.key, "its history is compacted");
    const isOwn = write.value === undefined ? first.deleted : !first.deleted && first.kv.value === write.value;
    return isOwn ? first.kv.modRevision : undefined;
  }

  async #resolveCreation(write: GuardedWrite, deadline_ms: number): Promise<Revision> {
    const left_ms = Math.max(1_000, deadline_ms - performance.now());
    const look = async (revision?: number): Promise<KeyValue | undefined> =>
      decodeRange(await this.#cluster.read(paths.range, encodeRange({ key: write.key, revision }), left_ms)).kvs[0];
    try {
      const present = await look();
      if (present) {
        const created = present.createRevision === present.modRevision ? present : await look(present.createRevision);
        if (created?.value === write.value) return present.createRevision;
        // Once that is gone, the try whose answer was lost may come yet: it must not be said to be refused.
        if (created) throw new OutcomeUnknownError(write.key, "it may come yet, once what stands there is gone");
      }
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      throw new OutcomeUnknownError(write.key, this.#unavailable(error).message);
    }
    throw new OutcomeUnknownError(write.key, "the connection to etcd broke before its answer came");
  }

  #unavailable(error: unknown): Error {
    if (!(error instanceof GrpcError)) return error instanceof Error ? error : new Error(String(error));
    const { message } = error;
    if (message.includes("database space exceeded")) {
      return new StoreUnavailableError(
        "etcd is full: of one that Bramble runs, history is dropped within a minute, and --etcd-quota gives it more; of your own, defragment it or raise --quota-backend-bytes, then `etcdctl alarm disarm`",
      );
    }
    if (!isPassing(error)) return new StoreUnavailableError(`etcd refuses: ${message}`);
    return new StoreUnavailableError(
      `etcd does not serve (${message}): a majority of its members must run and reach each other`,
    );
  }
}

const told = ({ key, value, modRevision }: KeyValue, transformer: ValueTransformer): StoredValue => ({
  key,
  revision: modRevision,
  ...openOrTell(transformer, key, value),
});

/** The next key in byte order. */
const following = (key: string): string => `${key}\0`;

const isCompacted = (error: unknown): boolean =>
  error instanceof GrpcError && error.message.includes("required revision has been compacted");
const isFuture = (error: unknown): boolean =>
  error instanceof GrpcError && error.message.includes("required revision is a future revision");
