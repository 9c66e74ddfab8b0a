import type { Engine } from "./engine.ts";
import { compareKeys } from "./key-order.ts";
import {
  CompactedError,
  FutureRevisionError,
  type ListRange,
  type ListResult,
  type Revision,
  type StoredValue,
  type StoreEvent,
} from "./store.ts";

interface Change {
  readonly key: string;
  readonly revision: Revision;
  /** undefined: a deletion. */
  readonly value: string | undefined;
  readonly previous: StoredValue | undefined;
}

/** Keys in memory with a bounded history. Used alone in tests, and for what must not wear a card. */
export class MemoryEngine implements Engine {
  readonly #values = new Map<string, StoredValue>();
  #changes: Change[] = [];
  #oldest: Revision;
  readonly #maxHistory: number;

  /** History begins at `start`: nothing older can be listed or watched. */
  constructor(start: Revision = 0, maxHistory = 10_000) {
    this.#oldest = start;
    this.#maxHistory = maxHistory;
  }

  /** Puts a value in place that was there before the start, without a change in the history. */
  restore(value: StoredValue): void {
    this.#values.set(value.key, value);
  }

  values(): Iterable<StoredValue> {
    return this.#values.values();
  }

  get(key: string): StoredValue | undefined {
    return this.#values.get(key);
  }

  revisionOf(key: string): Revision | undefined {
    return this.#values.get(key)?.revision;
  }

  list(prefix: string, range: ListRange & { readonly now: Revision }): ListResult {
    const { revision = range.now, limit, startAfter } = range;
    if (revision > range.now) throw new FutureRevisionError(range.now);
    if (revision < this.#oldest) throw new CompactedError(this.#oldest);
    const undone = this.#asOf(prefix, revision);
    const items: StoredValue[] = [];
    for (const value of this.#values.values()) {
      if (value.key.startsWith(prefix) && !undone.has(value.key)) items.push(value);
    }
    for (const value of undone.values()) if (value) items.push(value);
    const rest = startAfter === undefined ? items : items.filter((item) => compareKeys(item.key, startAfter) > 0);
    rest.sort((a, b) => compareKeys(a.key, b.key));
    const more = limit !== undefined && rest.length > limit;
    return { items: more ? rest.slice(0, limit) : rest, revision, more };
  }

  /** What keys that changed after `revision` held at it. */
  #asOf(prefix: string, revision: Revision): Map<string, StoredValue | undefined> {
    const undone = new Map<string, StoredValue | undefined>();
    for (let index = this.#changes.length - 1; index >= 0; index -= 1) {
      const change = this.#changes[index];
      if (!change || change.revision <= revision) break;
      if (change.key.startsWith(prefix)) undone.set(change.key, change.previous);
    }
    return undone;
  }

  put(key: string, value: string, revision: Revision): void {
    this.#record({ key, revision, value, previous: this.#values.get(key) });
    this.#values.set(key, { key, value, revision });
  }

  remove(key: string, revision: Revision): void {
    this.#record({ key, revision, value: undefined, previous: this.#values.get(key) });
    this.#values.delete(key);
  }

  #record(change: Change): void {
    this.#changes.push(change);
    if (this.#changes.length > this.#maxHistory * 1.25) {
      const dropped = this.#changes.length - this.#maxHistory;
      this.#oldest = this.#changes[dropped - 1]?.revision ?? this.#oldest;
      this.#changes = this.#changes.slice(dropped);
    }
  }

  changesSince(prefix: string, after: Revision): StoreEvent[] {
    if (after < this.#oldest) throw new CompactedError(this.#oldest);
    return this.#changes
      .filter((change) => change.revision > after && change.key.startsWith(prefix))
      .map(({ key, revision, value, previous }) =>
        value === undefined
          ? { type: "delete", key, revision }
          : { type: "put", key, value, revision, created: previous === undefined },
      );
  }

  compact(revision: Revision): void {
    if (revision <= this.#oldest) return;
    this.#oldest = revision;
    this.#changes = this.#changes.filter((change) => change.revision > revision);
  }

  oldest(within = Number.POSITIVE_INFINITY): Revision {
    return this.#changes.at(-within - 1)?.revision ?? this.#oldest;
  }
}
