import { type KubeObject, keyOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { CacheCheckpoint } from "./cache-checkpoint.ts";
import type { Client, ReadScope } from "./client.ts";
import { type Clock, pause, systemClock } from "./clock.ts";
import { type Log, silentLog } from "./log.ts";
import { reflect } from "./reflector.ts";
import { type IndexFunction, type Lister, ObjectStore } from "./store-index.ts";

export type { IndexFunction, Lister } from "./store-index.ts";

/** A change in a cache. `old` is what the cache held before; on "delete" `object` is the last state known. */
export type InformerEvent<T> =
  | { readonly type: "add"; readonly object: T; readonly old?: undefined }
  | { readonly type: "update"; readonly object: T; readonly old: T }
  | { readonly type: "delete"; readonly object: T; readonly old?: undefined };

/** Called in order, after the cache has changed. It only puts keys in a queue: it must not wait, and should not throw. */
export type InformerHandler<T> = (event: InformerEvent<T>) => void;

export interface InformerOptions<T extends KubeObject> {
  readonly scope?: ReadScope | undefined;
  /** Applied before an object enters the cache, to drop what nobody here reads. Gives a new object. */
  readonly transform?: ((object: T) => T) | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  /** Keeps what the cache holds over a restart, under this name. */
  readonly checkpoint?: { readonly store: CacheCheckpoint; readonly name: string } | undefined;
}

/** A server that does not give the state within this is taken for away: the checkpoint is better than nothing. */
const patience_ms = 2_000;

/**
 * A cache of one resource that follows the server, and calls handlers with each change. After a break it finds by
 * comparing what was missed, so that handlers see every object's newest state, though not every state in between.
 *
 * With a checkpoint, and the server away at the start, the cache holds what it held before (`usable`, not `synced`) until
 * the server answers; then handlers see the differences alone.
 */
export class Informer<T extends KubeObject> {
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

  /** Keys of all objects in the cache. */
  keys(): IterableIterator<string> {
    return this.#store.keys();
  }

  /** The cache has held the whole state once; rejects when the informer is stopped before. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** The cache holds a whole state, be it the server's or the last one known from the checkpoint; rejects when the
   *  informer is stopped before. */
  get usable(): Promise<void> {
    return this.#usable.promise;
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  /** Nothing was heard of the server since the last try to follow it failed: the cache may be behind. */
  get isInterrupted(): boolean {
    return this.#isInterrupted;
  }

  /** Resolves when a try to reach the server has failed for the first time. */
  get interrupted(): Promise<void> {
    return this.#firstBreak.promise;
  }

  addIndex(name: string, of: IndexFunction<T>): void {
    this.#store.addIndex(name, of);
  }

  /** Objects already in the cache are announced as added at once. Gives a function that removes the handler. */
  addHandler(handler: InformerHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.#store.list()) this.#call(handler, { type: "add", object });
    return () => this.#handlers.delete(handler);
  }

  /** Begins to follow; further calls do nothing. */
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

  /** Puts what is known better here in place of what the server last said, until the server says something new. Does
   *  nothing for an object that the cache does not hold. */
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
    await Promise.race([this.#firstBreak.promise, this.#synced.promise, pause(clock, patience_ms, signal)]).catch(
      () => undefined,
    );
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

/** Drops `managedFields`, which only the API server reads; for caches fed over a socket. In the server's own process it
 *  would cost a copy of what is shared there. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (!object.metadata.managedFields) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

export interface InformerFactoryOptions {
  /** Applied in every informer that brings no transform of its own. */
  readonly transform?: (<T extends KubeObject>(object: T) => T) | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  /** Keeps the caches over a restart, so that a process that starts with the server away goes on with what it knew. */
  readonly checkpoint?: CacheCheckpoint | undefined;
}

/** What of its objects a cache keeps, under a name by which those who want the same share it. */
export interface CacheForm<T> {
  readonly name: string;
  readonly transform: (object: T) => T;
}

/** One informer for each resource, scope and form in a process, however many ask. */
export class InformerFactory {
  readonly client: Client;
  readonly options: InformerFactoryOptions;
  readonly #informers = new Map<string, Informer<KubeObject>>();
  #started = false;

  constructor(client: Client, options: InformerFactoryOptions = {}) {
    this.client = client;
    this.options = options;
  }

  /** The informer shared by all who name the same resource, scope and form. Runs at once if the factory does. */
  informer<T extends KubeObject>(ref: ResourceRef<T>, scope: ReadScope = {}, form?: CacheForm<T>): Informer<T> {
    const { namespace = "", labelSelector = "", fieldSelector = "" } = scope;
    const key = [ref.group, ref.version, ref.plural, namespace, labelSelector, fieldSelector, form?.name ?? ""].join(
      "|",
    );
    const present = this.#informers.get(key);
    // The key holds the resource, so an informer found under it is of the same T.
    if (present) return present as unknown as Informer<T>;
    const { checkpoint, ...options } = this.options;
    const kept = checkpoint?.keeps(ref, scope) ? { store: checkpoint, name: key } : undefined;
    const transform = form?.transform ?? options.transform;
    const informer = new Informer<T>(this.client, ref, { ...options, transform, scope, checkpoint: kept });
    this.#informers.set(key, informer as unknown as Informer<KubeObject>);
    if (this.#started) informer.start();
    return informer;
  }

  lister<T extends KubeObject>(ref: ResourceRef<T>, scope: ReadScope = {}): Lister<T> {
    return this.informer(ref, scope).lister;
  }

  /** Starts all, and each that is asked for later. */
  start(): void {
    this.#started = true;
    for (const informer of this.#informers.values()) informer.start();
  }

  /** All informers known now have synced. */
  async synced(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.synced));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.stop()));
  }
}
