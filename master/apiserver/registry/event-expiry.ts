/** Events go some time after they were last written, as upstream's TTL has it. Sleeps while there are none. */
import { events } from "#shared/api/resources.ts";
import { longestTimer_ms } from "#shared/client/clock.ts";
import { RevisionMismatchError, type Store } from "../../store/store.ts";
import type { ResourceTable } from "./resource-table.ts";

export interface ExpiryTimes {
  readonly lifetime_ms: number;
  /** Events are looked at in batches, so that a board is not woken for each. */
  readonly sweepEvery_ms: number;
}

/** Unless the settings say otherwise (--event-ttl). */
export const upstreamTimes: ExpiryTimes = { lifetime_ms: 60 * 60_000, sweepEvery_ms: 5 * 60_000 };

export class EventExpiry {
  readonly #store: Pick<Store, "delete">;
  readonly #table: Pick<ResourceTable, "storedOf">;
  readonly #now_ms: () => number;
  /** When each event was written last, in order of writing, by the monotonic clock. */
  readonly #written = new Map<string, { readonly revision: number; readonly at_ms: number }>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unlisten: (() => void) | undefined;
  readonly #times: ExpiryTimes;

  /** @param now_ms wall clock. */
  constructor(
    store: Pick<Store, "delete">,
    table: Pick<ResourceTable, "storedOf">,
    now_ms: () => number,
    times: ExpiryTimes = upstreamTimes,
  ) {
    this.#store = store;
    this.#table = table;
    this.#now_ms = now_ms;
    this.#times = times;
  }

  start(): void {
    const cache = this.#table.storedOf(events)?.cache;
    if (!cache) return;
    // How old those from before the start are, only their own times tell.
    const wall_ms = this.#now_ms();
    const found = cache.list().map((entry) => {
      const { lastTimestamp, eventTime, metadata } = entry.view() as { lastTimestamp?: string; eventTime?: string } & {
        metadata: { creationTimestamp?: string };
      };
      const written = Date.parse(lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? "") || wall_ms;
      const age_ms = Math.max(0, wall_ms - written);
      return { key: entry.key, revision: entry.revision, at_ms: performance.now() - age_ms };
    });
    found.sort((a, b) => a.at_ms - b.at_ms);
    for (const { key, revision, at_ms } of found) this.#written.set(key, { revision, at_ms });
    this.#unlisten = cache.listen(({ type, entry }) => {
      this.#written.delete(entry.key);
      if (type !== "DELETED") this.#written.set(entry.key, { revision: entry.revision, at_ms: performance.now() });
      this.#schedule();
    });
    this.#schedule();
  }

  stop(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Only while it hears of changes: what comes back after a stop wakes nobody. */
  #schedule(): void {
    if (this.#timer !== undefined || !this.#unlisten) return;
    const [oldest] = this.#written.values();
    if (!oldest) return;
    const { lifetime_ms, sweepEvery_ms } = this.#times;
    const due_ms = oldest.at_ms + lifetime_ms - performance.now();
    this.#timer = setTimeout(() => this.#sweep(), Math.min(Math.max(due_ms, sweepEvery_ms), longestTimer_ms));
  }

  #sweep(): void {
    this.#timer = undefined;
    const cache = this.#table.storedOf(events)?.cache;
    const before_ms = performance.now() - this.#times.lifetime_ms;
    for (const [key, { revision, at_ms }] of this.#written) {
      if (at_ms > before_ms) break;
      this.#written.delete(key);
      if (cache) this.#expire(cache.prefix + key, key, revision);
    }
    this.#schedule();
  }

  #expire(storeKey: string, key: string, revision: number): void {
    this.#store.delete(storeKey, revision).catch((error: unknown) => {
      // Written again in between, it lives on, and that was heard of.
      if (error instanceof RevisionMismatchError || this.#written.has(key)) return;
      this.#written.set(key, { revision, at_ms: performance.now() });
      this.#schedule();
    });
  }
}
