import { keyOf, type ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import type {
  Client,
  ListOptions,
  Page,
  Patch,
  RawRequest,
  ReadScope,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "#shared/client/client.ts";

/** A client of tests: what it writes is kept as `verb resource[/subresource] key`, in order. */
export interface TestClient extends Client {
  readonly writes: string[];
  /** How many writes begin so. */
  count(write: string): number;
}

/** Another client, with a record of its writes, and watches that can be made to lag. */
export class RecordingClient implements TestClient {
  readonly writes: string[] = [];
  readonly #inner: Client;
  readonly #held = new Map<string, Promise<void>>();

  constructor(inner: Client) {
    this.#inner = inner;
  }

  count(write: string): number {
    return this.writes.filter((one) => one.startsWith(write)).length;
  }

  get<T>(ref: ResourceRef<T>, key: ObjectKey, options?: { readonly subresource?: string }): Promise<T> {
    return this.#inner.get(ref, key, options);
  }

  list<T>(ref: ResourceRef<T>, options?: ListOptions): Promise<Page<T>> {
    return this.#inner.list(ref, options);
  }

  async *watch<T>(ref: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    for await (const event of this.#inner.watch(ref, options)) {
      await this.#held.get(ref.plural);
      yield event;
    }
  }

  /** From now on watches of the resource tell nothing, until what this gives is called. */
  hold({ plural }: ResourceRef<unknown>): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.set(plural, promise);
    return () => {
      this.#held.delete(plural);
      resolve();
    };
  }

  async create<T>(
    ref: ResourceRef<T>,
    object: T,
    options?: WriteOptions & { readonly namespace?: string | undefined },
  ): Promise<T> {
    const created = await this.#inner.create(ref, object, options);
    this.#record("create", ref, (created as { metadata: ObjectKey }).metadata);
    return created;
  }

  update<T>(ref: ResourceRef<T>, object: T, options?: WriteOptions): Promise<T> {
    this.#record("update", ref, (object as { metadata: ObjectKey }).metadata, options?.subresource);
    return this.#inner.update(ref, object, options);
  }

  patch<T>(ref: ResourceRef<T>, key: ObjectKey, patch: Patch, options?: WriteOptions): Promise<T> {
    this.#record("patch", ref, key, options?.subresource);
    return this.#inner.patch(ref, key, patch, options);
  }

  delete(ref: ResourceRef<unknown>, key: ObjectKey, options?: DeleteOptions): Promise<void> {
    this.#record("delete", ref, key);
    return this.#inner.delete(ref, key, options);
  }

  deleteCollection(ref: ResourceRef<unknown>, scope: ReadScope, options?: DeleteOptions): Promise<void> {
    this.writes.push(`deletecollection ${ref.plural} ${scope.namespace ?? ""}`);
    return this.#inner.deleteCollection(ref, scope, options);
  }

  post<B extends object>(ref: ResourceRef<unknown>, key: ObjectKey, subresource: string, body: B): Promise<B> {
    this.#record("post", ref, key, subresource);
    return this.#inner.post(ref, key, subresource, body);
  }

  raw(request: RawRequest): Promise<unknown> {
    return this.#inner.raw(request);
  }

  #record(verb: string, ref: ResourceRef<unknown>, key: ObjectKey, subresource?: string): void {
    this.writes.push(`${verb} ${ref.plural}${subresource ? `/${subresource}` : ""} ${keyOf({ metadata: key })}`);
  }
}
