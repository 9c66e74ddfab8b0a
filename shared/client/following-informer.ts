import { type KubeObject, keyOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Client } from "./client.ts";
import { pause, systemClock } from "./clock.ts";
import type { Informer, InformerEvent, InformerHandler, InformerOptions } from "./informer.ts";
import { type Log, silentLog } from "./log.ts";
import { reflect } from "./reflector.ts";
import { type IndexFunction, type Lister, ObjectStore } from "./store-index.ts";

/** A server that does not give the state within this is taken for away: the checkpoint is better than nothing. */
const patience_ms = 2_000;

/**
 * A cache of one resource that follows the server, and calls handlers with each change. After a break it finds by
 * comparing what was missed, so that handlers see every object's newest state, though not every state in between.
 *
 * With a checkpoint, and the server away at the start, the cache holds what it held before (`usable`, not `synced`) until
 * the server answers; then handlers see the differences alone.
 */
export class FollowingInformer<T extends KubeObject> implements Informer<T> {
  readonly client: Client;
  readonly ref: ResourceRef<T>;
  readonly options: InformerOptions<T>;
  readonly #store = new ObjectStore<T>();
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #synced = Promise.withResolvers<void>();
  readonly #usable = Promise.withResolvers<void>();
  /** The first try to reach the server has failed. */
  readonly #firstBreak = Promise.withResolvers<void>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #hasSynced = false;
  #isUsable = false;
  #isInterrupted = false;

  constructor(client: Client, ref: ResourceRef<T>, options: InformerOptions<T> = {}) {
    this.client = client;
    this.ref = ref;
    this.options = options;
    // Nobody may be waiting when the informer is stopped before it synced.
    this.#synced.promise.catch(() => undefined);
    this.#usable.promise.catch(() => undefined);
  }

  get lister(): Lister<T> {
    return this.#store;
  }

  keys(): IterableIterator<string> {
    return this.#store.keys();
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  caughtUp(): Promise<void> {
    return this.#synced.promise;
  }

  get usable(): Promise<void> {
    return this.#usable.promise;
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  get isInterrupted(): boolean {
    return this.#isInterrupted;
  }

  get interrupted(): Promise<void> {
    return this.#firstBreak.promise;
  }

  addIndex(name: string, of: IndexFunction<T>): void {
    this.#store.addIndex(name, of);
  }

  /** Objects already in the cache are announced at once. */
  addHandler(handler: InformerHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.#store.list()) this.#call(handler, { type: "add", object });
    return () => this.#handlers.delete(handler);
  }

  start(): void {
    if (this.#running || this.#stop.signal.aborted) return;
    const following = reflect(
      this.client,
      this.ref,
      {
        replace: (objects) => this.#replace(objects),
        put: (object) => {
          this.#put(object);
          this.#keep();
        },
        remove: (object) => {
          this.#remove(keyOf(object), object);
          this.#keep();
        },
        heard: () => {
          this.#isInterrupted = false;
        },
        interrupted: () => {
          this.#isInterrupted = true;
          this.#firstBreak.resolve();
        },
      },
      this.#stop.signal,
      this.options,
    );
    this.#running = Promise.all([following, this.#restore()]).then(() => undefined);
    this.#running.catch((error: unknown) => this.#log.error("the informer ended", { error }));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    const error = new Error(`the informer of ${this.ref.plural} was stopped`);
    this.#synced.reject(error);
    this.#usable.reject(error);
    await this.#running;
  }

  amend(object: T): void {
    const { resourceVersion: _, ...metadata } = object.metadata;
    if (this.#store.get(keyOf(object))) this.#place({ ...object, metadata });
  }

  get #log(): Log {
    return this.options.log ?? silentLog;
  }

  #replace(objects: readonly T[]): void {
    const gone = new Set(this.#store.keys());
    for (const object of objects) {
      gone.delete(keyOf(object));
      this.#put(object);
    }
    for (const key of gone) this.#remove(key);
    this.#isInterrupted = false;
    this.#keep();
    if (this.#hasSynced) return;
    this.#hasSynced = true;
    this.#isUsable = true;
    this.#synced.resolve();
    this.#usable.resolve();
  }

  #keep(): void {
    const { checkpoint } = this.options;
    checkpoint?.store.changed(checkpoint.name, () => this.#store.list());
  }

  async #restore(): Promise<void> {
    const { checkpoint, clock = systemClock } = this.options;
    if (!checkpoint) return;
    const { signal } = this.#stop;
    if (!this.client.isAway) {
      const patience = pause(clock, patience_ms, signal);
      await Promise.race([this.#firstBreak.promise, this.#synced.promise, patience]).catch(() => undefined);
    }
    if (this.#hasSynced || signal.aborted) return;
    const objects = await checkpoint.store.load(checkpoint.name);
    if (!objects || this.#hasSynced || signal.aborted) return;
    this.#log.info(`the server is away: ${this.ref.plural} are those of the checkpoint`, { objects: objects.length });
    for (const object of objects) this.#place(object as T);
    this.#isUsable = true;
    this.#usable.resolve();
  }

  #put(received: T): void {
    const known = this.#store.get(keyOf(received));
    const { resourceVersion } = received.metadata;
    if (known && resourceVersion !== undefined && known.metadata.resourceVersion === resourceVersion) return;
    this.#place(this.options.transform?.(received) ?? received);
  }

  /** Takes in an object in the form in which the cache keeps it. */
  #place(object: T): void {
    const known = this.#store.get(keyOf(object));
    // Deleted and made anew under the same name while nobody looked: two events, so that no handler mixes the two up.
    if (known && known.metadata.uid !== object.metadata.uid) this.#remove(keyOf(known));
    const old = this.#store.set(object);
    this.#announce(old ? { type: "update", object, old } : { type: "add", object });
  }

  #remove(key: string, last?: T): void {
    const known = this.#store.delete(key);
    if (!known) return;
    const object = last ? (this.options.transform?.(last) ?? last) : known;
    this.#announce({ type: "delete", object });
  }

  #announce(event: InformerEvent<T>): void {
    for (const handler of this.#handlers) this.#call(handler, event);
  }

  #call(handler: InformerHandler<T>, event: InformerEvent<T>): void {
    try {
      handler(event);
    } catch (error) {
      this.#log.error(`a handler of ${this.ref.plural} failed`, { key: keyOf(event.object), error });
    }
  }
}
