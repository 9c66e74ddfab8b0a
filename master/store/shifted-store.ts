import {
  CompactedError,
  type CompactHow,
  FutureRevisionError,
  type ListRange,
  type ListResult,
  type Revision,
  RevisionMismatchError,
  type Store,
  type StoreBatch,
  type StoredValue,
} from "./store.ts";

/**
 * A store whose revisions are those of another one and a constant more. A cluster that was moved or restored into an etcd
 * that counts anew goes on above every revision that it ever gave out: clients that held one are told to list again,
 * and none takes an old object for a new one.
 */
export class ShiftedStore implements Store {
  readonly #inner: Store;
  readonly #by: number;

  constructor(inner: Store, by: number) {
    this.#inner = inner;
    this.#by = by;
  }

  get isShared(): boolean {
    return this.#inner.isShared;
  }

  async get(key: string): Promise<StoredValue | undefined> {
    const found = await this.#inner.get(key);
    return found && this.#shown(found);
  }

  async list(prefix: string, range: ListRange = {}): Promise<ListResult> {
    const revision = range.revision === undefined ? undefined : range.revision - this.#by;
    if (revision !== undefined && revision < 1) throw new CompactedError(await this.oldest());
    const result = await this.#called(this.#inner.list(prefix, { ...range, revision }));
    return { ...result, items: result.items.map((item) => this.#shown(item)), revision: result.revision + this.#by };
  }

  async create(key: string, value: string): Promise<Revision> {
    return (await this.#called(this.#inner.create(key, value))) + this.#by;
  }

  async update(key: string, value: string, expected: Revision): Promise<Revision> {
    return (await this.#called(this.#inner.update(key, value, this.#insisted(expected)))) + this.#by;
  }

  async delete(key: string, expected: Revision): Promise<Revision> {
    return (await this.#called(this.#inner.delete(key, this.#insisted(expected)))) + this.#by;
  }

  /** A revision from before the shift is none that a key could have; 0 would mean that there is no such key. */
  #insisted(expected: Revision): Revision {
    return expected > this.#by ? expected - this.#by : -1;
  }

  async *watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<StoreBatch> {
    if (after < this.#by) throw new CompactedError(await this.oldest());
    try {
      for await (const { events, revision } of this.#inner.watch(prefix, after - this.#by, signal)) {
        const shown = events.map((event) => ({ ...event, revision: event.revision + this.#by }));
        yield { events: shown, revision: revision + this.#by };
      }
    } catch (error) {
      throw this.#moved(error);
    }
  }

  async compact(revision: Revision, how?: CompactHow): Promise<void> {
    if (revision > this.#by) await this.#called(this.#inner.compact(revision - this.#by, how));
  }

  async now(): Promise<Revision> {
    return (await this.#inner.now()) + this.#by;
  }

  async oldest(within?: number): Promise<Revision> {
    return (await this.#inner.oldest(within)) + this.#by;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #shown(stored: StoredValue): StoredValue {
    return { ...stored, revision: stored.revision + this.#by };
  }

  async #called<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.#moved(error);
    }
  }

  #moved(error: unknown): unknown {
    if (error instanceof CompactedError) return new CompactedError(error.oldest + this.#by);
    if (error instanceof FutureRevisionError) return new FutureRevisionError(error.newest + this.#by);
    if (error instanceof RevisionMismatchError) {
      return new RevisionMismatchError(error.key, error.current && this.#shown(error.current));
    }
    return error;
  }
}
