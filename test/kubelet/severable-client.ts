import type { ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import {
  type Client,
  ConnectionError,
  type ListOptions,
  type Page,
  type Patch,
  type RawRequest,
  type ReadScope,
  type WatchEvent,
  type WatchOptions,
  type WriteOptions,
} from "#shared/client/client.ts";

/** A client whose connection can be cut: then nothing is answered, as with a master that is gone. Watches that run go on. */
export class SeverableClient implements Client {
  severed = false;

  constructor(readonly inner: Client) {}

  get isAway(): boolean {
    return this.severed || this.inner.isAway === true;
  }

  get #client(): Client {
    if (this.severed) throw new ConnectionError("connect ECONNREFUSED");
    return this.inner;
  }

  async get<T>(ref: ResourceRef<T>, key: ObjectKey, options?: { subresource?: string }): Promise<T> {
    return this.#client.get(ref, key, options);
  }

  async list<T>(ref: ResourceRef<T>, options?: ListOptions): Promise<Page<T>> {
    return this.#client.list(ref, options);
  }

  async *watch<T>(ref: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    yield* this.#client.watch(ref, options);
  }

  async create<T>(ref: ResourceRef<T>, object: T, options?: WriteOptions & { namespace?: string }): Promise<T> {
    return this.#client.create(ref, object, options);
  }

  async update<T>(ref: ResourceRef<T>, object: T, options?: WriteOptions): Promise<T> {
    return this.#client.update(ref, object, options);
  }

  async patch<T>(ref: ResourceRef<T>, key: ObjectKey, patch: Patch, options?: WriteOptions): Promise<T> {
    return this.#client.patch(ref, key, patch, options);
  }

  async delete(ref: ResourceRef<unknown>, key: ObjectKey, options?: DeleteOptions): Promise<void> {
    return this.#client.delete(ref, key, options);
  }

  async deleteCollection(ref: ResourceRef<unknown>, scope: ReadScope, options?: DeleteOptions): Promise<void> {
    return this.#client.deleteCollection(ref, scope, options);
  }

  async post<B extends object>(ref: ResourceRef<unknown>, key: ObjectKey, subresource: string, body: B): Promise<B> {
    return this.#client.post(ref, key, subresource, body);
  }

  async raw(request: RawRequest): Promise<unknown> {
    return this.#client.raw(request);
  }
}
