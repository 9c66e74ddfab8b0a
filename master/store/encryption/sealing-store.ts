import {
  type CompactHow,
  type ListRange,
  type ListResult,
  type Revision,
  RevisionMismatchError,
  type Store,
  type StoreBatch,
  type StoredValue,
  type StoreEvent,
} from "../store.ts";
import { UnknownEncryptionKeyError } from "../value-transformer.ts";
import { KeyServiceError } from "./key-service-error.ts";
import type { EncryptionProviders } from "./providers.ts";

/**
 * A store whose values rest in another one as an EncryptionConfiguration has it. It stands above the engines, and not within as the
 * cluster's own key does, because a key service answers later.
 */
export class SealingStore implements Store {
  readonly #inner: Store;
  readonly #providers: EncryptionProviders;
  readonly checks: Store["checks"];

  constructor(inner: Store, providers: EncryptionProviders) {
    this.#inner = inner;
    this.#providers = providers;
    const { check } = providers;
    this.checks = check && { "kms-providers": check };
  }

  get isShared(): boolean {
    return this.#inner.isShared;
  }

  async get(key: string): Promise<StoredValue | undefined> {
    const found = await this.#inner.get(key);
    return found && { ...found, value: await this.#providers.fromStorage(key, found.value) };
  }

  async list(prefix: string, range: ListRange = {}): Promise<ListResult> {
    const listed = await this.#inner.list(prefix, range);
    if (range.asItRests) return listed;
    const items = await Promise.all(listed.items.map((item) => this.#opened(item)));
    const sealed = range.tellsSealed ? undefined : items.find((item) => item.sealed !== undefined);
    if (sealed) throw new KeyServiceError(`unable to transform key ${JSON.stringify(sealed.key)}: ${sealed.sealed}`);
    return { ...listed, items };
  }

  async create(key: string, value: string): Promise<Revision> {
    return this.#inner.create(key, this.#providers.toStorage(key, value));
  }

  async update(key: string, value: string, expected: Revision): Promise<Revision> {
    return this.#settled(this.#inner.update(key, this.#providers.toStorage(key, value), expected));
  }

  delete(key: string, expected: Revision): Promise<Revision> {
    return this.#settled(this.#inner.delete(key, expected));
  }

  async #settled(write: Promise<Revision>): Promise<Revision> {
    try {
      return await write;
    } catch (error) {
      if (!(error instanceof RevisionMismatchError) || !error.current) throw error;
      const value = await this.#providers.fromStorage(error.key, error.current.value);
      throw new RevisionMismatchError(error.key, { ...error.current, value });
    }
  }

  async *watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<StoreBatch> {
    for await (const { events, revision } of this.#inner.watch(prefix, after, signal))
      yield { events: await Promise.all(events.map((event) => this.#heard(event))), revision };
  }

  #heard(event: StoreEvent): StoreEvent | Promise<StoreEvent> {
    return event.type === "delete" ? event : this.#opened(event);
  }

  async #opened<T extends StoredValue>(stored: T): Promise<T> {
    try {
      return { ...stored, value: await this.#providers.fromStorage(stored.key, stored.value) };
    } catch (error) {
      if (!(error instanceof KeyServiceError || error instanceof UnknownEncryptionKeyError)) throw error;
      return { ...stored, value: "", sealed: error.message };
    }
  }

  onReadable(then: () => void): () => void {
    return this.#providers.onReadable(then);
  }

  compact(revision: Revision, how?: CompactHow): Promise<void> {
    return this.#inner.compact(revision, how);
  }

  now(): Promise<Revision> {
    return this.#inner.now();
  }

  oldest(within?: number): Promise<Revision> {
    return this.#inner.oldest(within);
  }

  async close(): Promise<void> {
    this.#providers.close();
    await this.#inner.close();
  }
}
