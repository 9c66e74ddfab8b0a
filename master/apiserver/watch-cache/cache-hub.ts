/** One watch over the whole store feeds the caches of all resources, so that all agree on how far they have come. */
import { StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { Clock } from "#shared/client/clock.ts";
import {
  CompactedError,
  type ListResult,
  SlowWatcherError,
  type Store,
  type StoreBatch,
  type StoredValue,
  type StoreEvent,
  StoreUnavailableError,
} from "../../store/store.ts";
import { LooseTexts } from "./packed-text.ts";
import { type Decoder, type Indexer, ResourceCache } from "./resource-cache.ts";
import { Unsealing } from "./unsealing.ts";

const ROOT = "/registry/";
const PAGE = 500;
const HISTORY_FOR_MS = 75_000;
/** About how much of the store's history a start takes in. */
const REPLAYED_EVENTS = 1_000;
/** How long a reader waits for the caches to come up with a store that others write to. */
const freshFor_ms = 2_000;
const retry_ms = 500;

interface Attached {
  readonly cache: ResourceCache;
  /** Batches that came while the first list was under way; undefined once it is done. */
  early: StoreBatch[] | undefined;
  /** The watch had a gap meanwhile: what was listed, and what came before it, does not count. */
  hasGap: boolean;
}

interface Waiter {
  readonly revision: number;
  resolve(): void;
  reject(error: Error): void;
}

export class CacheHub {
  readonly #store: Store;
  readonly #report: (message: string) => void;
  readonly #attached = new Map<string, Attached>();
  readonly #offers = new Map<string, { readonly stored: string; readonly view: KubeObject }>();
  #waiters: Waiter[] = [];
  #revision = 0;
  #start: Promise<number> | undefined;
  #following = false;
  #followedSince_ms = 0;
  /** Changes since the start's first moment that no cache has taken: those of custom resources, whose caches come a moment
   *  later. undefined: these are not all any more. */
  #unclaimed: StoreEvent[] | undefined = [];
  readonly #loose = new LooseTexts();
  readonly #stop = new AbortController();
  #failure: Error | undefined;
  readonly #unsealing: Unsealing;
  readonly #forgetReadable: (() => void) | undefined;

  /** @param report takes what nobody who asked can be told. */
  constructor(store: Store, report: (message: string) => void, clock?: Clock) {
    this.#store = store;
    this.#report = report;
    this.#unsealing = new Unsealing(() => this.#unseal(), clock);
    this.#forgetReadable = store.onReadable?.(() => this.#unsealing.promptly());
  }

  /** Every change up to here is in the caches. */
  get revision(): number {
    return this.#revision;
  }

  /** Why the caches have stopped; undefined while they follow the store. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Begins to follow the store from a while back, so that watches may resume over a restart of the server. */
  async start(): Promise<void> {
    this.#revision = await this.#from();
    this.#following = true;
    this.#followedSince_ms = performance.now();
    const now = await this.#store.now();
    this.#follow(this.#revision).catch((error: unknown) => {
      this.#report(`the store is not followed any more: ${error}`);
      this.#fail(error);
    });
    await this.waitFor(now);
  }

  /** A cache of the keys under `prefix`, filled. Without a decoder, values are what they say. */
  async attach(prefix: string, indexer: Indexer, decoder: Decoder = asItIs): Promise<ResourceCache> {
    const present = this.#attached.get(prefix);
    if (present) throw new Error(`a cache of ${prefix} exists already`);
    // Before the start the list is of the oldest revision, and history comes with the watch.
    const offered = (key: string, stored: string): KubeObject | undefined => this.#takeOffer(key, stored);
    const cache = new ResourceCache(prefix, 0, indexer, offered, this.#loose, this.#report, decoder);
    const attached: Attached = { cache, early: [], hasGap: false };
    const missed = this.#following ? this.#claim(prefix) : [];
    this.#attached.set(prefix, attached);
    try {
      await this.#take(attached, missed);
    } catch (error) {
      // Whoever tries again begins anew; until then nothing is gathered for it.
      this.detach(cache);
      throw error;
    }
    this.#planUnsealing(cache);
    return cache;
  }

  /** @param missed of its history; undefined: it begins with the present. */
  async #take(attached: Attached, missed: readonly StoreEvent[] | undefined): Promise<void> {
    const { cache } = attached;
    if (missed) await this.#fillFirst(cache);
    else await this.#fill(cache, undefined);
    for (const event of attached.hasGap ? [] : (missed ?? [])) cache.apply(event);
    while (attached.hasGap) {
      attached.hasGap = false;
      await this.#refill(cache);
    }
    const early = attached.early ?? [];
    attached.early = undefined;
    for (const batch of early) this.#feed(cache, batch);
    // A store of others may have listed what its watch has yet to tell: a list is of what all caches show.
    if (this.#following) await this.waitFor(cache.historyStart);
  }

  async #fillFirst(cache: ResourceCache): Promise<void> {
    try {
      await this.#fill(cache, await this.#from());
    } catch (error) {
      // What rests in memory has no history from before this start.
      if (!(error instanceof CompactedError)) throw error;
      await this.#refill(cache);
    }
  }

  /** With the present, in place of what it holds. */
  async #refill(cache: ResourceCache): Promise<void> {
    cache.clear();
    await this.#fill(cache, undefined);
  }

  /** A cache that nobody reads yet takes one page after the other, so that they need not all lie in memory at once. */
  async #fill(cache: ResourceCache, at: number | undefined): Promise<void> {
    let revision = at ?? 0;
    for await (const page of this.#pages(cache.prefix, at)) {
      cache.fill(page.items);
      revision = page.revision;
    }
    cache.begin(revision);
  }

  /** What a cache that comes after the start has missed of its history; undefined where it must begin with the present. */
  #claim(prefix: string): StoreEvent[] | undefined {
    const claimed = this.#unclaimed?.filter(({ key }) => key.startsWith(prefix));
    if (claimed && claimed.length > 0) this.#unclaimed = this.#unclaimed?.filter(({ key }) => !key.startsWith(prefix));
    return claimed;
  }

  #keep(event: StoreEvent): void {
    this.#unclaimed?.push(event);
    const isOld = performance.now() - this.#followedSince_ms > HISTORY_FOR_MS;
    if (isOld || (this.#unclaimed?.length ?? 0) > 2 * REPLAYED_EVENTS) this.#unclaimed = undefined;
  }

  /** The one moment that all first lists show. */
  #from(): Promise<number> {
    this.#start ??= this.#store.oldest(REPLAYED_EVENTS);
    return this.#start;
  }

  detach(cache: ResourceCache): void {
    // What it has heard nobody has kept.
    this.#unclaimed = undefined;
    this.#attached.delete(cache.prefix);
    cache.end();
  }

  async #listAll(prefix: string, at: number): Promise<StoredValue[]> {
    const items: StoredValue[] = [];
    for await (const page of this.#pages(prefix, at)) items.push(...page.items);
    return items;
  }

  /** All under the prefix as of one revision, the present one unless it is given. */
  async *#pages(prefix: string, at: number | undefined): AsyncGenerator<ListResult> {
    let page: ListResult | undefined;
    do {
      const startAfter = page?.items.at(-1)?.key;
      page = await this.#store.list(prefix, {
        limit: PAGE,
        revision: page?.revision ?? at,
        startAfter,
        tellsSealed: true,
      });
      yield page;
    } while (page.more);
  }

  async #follow(from: number): Promise<void> {
    let after = from;
    while (!this.#stop.signal.aborted) {
      try {
        for await (const batch of this.#store.watch(ROOT, after, this.#stop.signal)) {
          this.#apply(batch);
          after = batch.revision;
        }
        return;
      } catch (error) {
        if (!(error instanceof SlowWatcherError || error instanceof CompactedError)) throw error;
        after = await this.#catchUpWhenServed();
      }
    }
  }

  /** A store of several members may be away for a while. */
  async #catchUpWhenServed(): Promise<number> {
    for (;;) {
      try {
        return await this.#catchUp();
      } catch (error) {
        if (!this.#store.isShared || !(error instanceof StoreUnavailableError)) throw error;
        await Bun.sleep(retry_ms);
        if (this.#stop.signal.aborted) return this.#revision;
      }
    }
  }

  /** After a gap in the watch: every cache is filled again. */
  async #catchUp(): Promise<number> {
    const now = await this.#store.now();
    this.#unclaimed = undefined;
    for (const attached of this.#attached.values()) {
      const { cache } = attached;
      if (attached.early) {
        attached.hasGap = true;
        attached.early = [];
        continue;
      }
      cache.reset(await this.#listAll(cache.prefix, now), now);
      this.#planUnsealing(cache);
    }
    this.#reach(now);
    return now;
  }

  /** What a cache could not read is tried again. */
  #planUnsealing(cache: ResourceCache): void {
    if (cache.sealed.first()) this.#unsealing.plan();
  }

  async #unseal(): Promise<void> {
    for (const { cache } of [...this.#attached.values()]) {
      if (!cache.sealed.first()) continue;
      try {
        for await (const { items } of this.#pages(cache.prefix, undefined)) cache.unseal(items, this.#revision);
      } catch (error) {
        this.#report(`what under ${cache.prefix} could not be read is tried again: ${error}`);
      }
      this.#planUnsealing(cache);
    }
  }

  #apply(batch: StoreBatch): void {
    for (const attached of this.#attached.values()) attached.early?.push(batch);
    for (const event of batch.events) {
      const attached = this.#owner(event.key);
      if (!attached) this.#keep(event);
      else if (!attached.early) attached.cache.apply(event);
      if (attached && event.type === "put" && event.sealed !== undefined) this.#unsealing.begin();
    }
    this.#reach(batch.revision);
  }

  #feed(cache: ResourceCache, batch: StoreBatch): void {
    for (const event of batch.events) if (event.key.startsWith(cache.prefix)) cache.apply(event);
  }

  /** `/registry/pods/default/web` is of `/registry/pods/`; custom resources have their group in between. */
  #owner(key: string): Attached | undefined {
    const end = key.indexOf("/", ROOT.length) + 1;
    const builtIn = this.#attached.get(key.slice(0, end));
    if (builtIn) return builtIn;
    return this.#attached.get(key.slice(0, key.indexOf("/", end) + 1));
  }

  #reach(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter((waiter) => waiter.revision <= this.#revision);
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > this.#revision);
    for (const waiter of ready) waiter.resolve();
  }

  /** Gives up history that hardly anybody will ask for, and says how many events. Upstream's watch cache keeps as long. */
  forgetOld(): number {
    const at_ms = performance.now() - HISTORY_FOR_MS;
    if (at_ms > this.#followedSince_ms) this.#unclaimed = undefined;
    let forgotten = 0;
    for (const { cache } of this.#attached.values()) forgotten += cache.forgetBefore(at_ms);
    return forgotten;
  }

  /** Until the caches show `revision`: read your writes. */
  waitFor(revision: number): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (revision <= this.#revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ revision, resolve, reject });
    });
  }

  /**
   * Until the caches show all that anybody had written before this call; at once where nobody else writes. Gives the
   * revision up to which the store itself must be read, if the caches do not get there in time. Rejects with
   * StoreUnavailableError when no majority of the store answers.
   */
  async fresh(): Promise<number | undefined> {
    if (!this.#store.isShared) return undefined;
    const revision = await this.#store.now();
    if (revision <= this.#revision) return undefined;
    try {
      await this.waitForClient(revision, freshFor_ms);
      return undefined;
    } catch (error) {
      if (error instanceof StatusError) return revision;
      throw error;
    }
  }

  /** For a revision that a client named and that may never come: gives up after some seconds, as upstream does. */
  waitForClient(revision: number, timeout_ms = 3000): Promise<void> {
    if (this.#failure || revision <= this.#revision) return this.waitFor(revision);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
        reject(tooLargeResourceVersion(revision, this.#revision));
      }, timeout_ms);
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        end();
      };
      const waiter: Waiter = {
        revision,
        resolve: () => settle(resolve),
        reject: (error) => settle(() => reject(error)),
      };
      this.#waiters.push(waiter);
    });
  }

  /** Before a write: the object that this text was made from, which becomes the cache's own. Taken back by withdraw when
   *  the write came to nothing. */
  offer(key: string, stored: string, view: KubeObject): void {
    this.#offers.set(key, { stored, view });
  }

  withdraw(key: string): void {
    this.#offers.delete(key);
  }

  #takeOffer(key: string, stored: string): KubeObject | undefined {
    const offer = this.#offers.get(key);
    if (!offer || offer.stored !== stored) return undefined;
    this.#offers.delete(key);
    return offer.view;
  }

  #fail(error: unknown): void {
    this.#failure = error instanceof Error ? error : new Error(String(error));
    for (const waiter of this.#waiters) waiter.reject(this.#failure);
    this.#waiters = [];
    for (const { cache } of this.#attached.values()) cache.close();
  }

  stop(): void {
    this.#stop.abort();
    this.#unsealing.stop();
    this.#forgetReadable?.();
    this.#fail(new Error("the API server is stopping"));
  }
}

const asItIs: Decoder = () => undefined;

function tooLargeResourceVersion(wanted: number, current: number): StatusError {
  return new StatusError("Timeout", `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}
