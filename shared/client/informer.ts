import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { CacheCheckpoint } from "./cache-checkpoint.ts";
import type { Client, ReadScope } from "./client.ts";
import type { Clock } from "./clock.ts";
import { FollowingInformer } from "./following-informer.ts";
import type { Log } from "./log.ts";
import { SharedInformer } from "./shared-informer.ts";
import type { IndexFunction, Lister } from "./store-index.ts";

export type { IndexFunction, LabelMatch, Lister } from "./store-index.ts";

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

/** A cache of one resource, with handlers that hear of each change. */
export interface Informer<T extends KubeObject> {
  readonly lister: Lister<T>;
  /** Keys of all objects in the cache. */
  keys(): IterableIterator<string>;
  /** The cache has held the whole state once; rejects when the informer is stopped before. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  /** Resolves when every handler added so far has heard of all that the cache held when it came. */
  caughtUp(): Promise<void>;
  /** The cache holds a whole state, be it the server's or the last one known from the checkpoint; rejects when the
   *  informer is stopped before. */
  readonly usable: Promise<void>;
  readonly isUsable: boolean;
  /** Nothing was heard of the server since the last try to follow it failed: the cache may be behind. */
  readonly isInterrupted: boolean;
  /** Resolves when a try to reach the server has failed for the first time. */
  readonly interrupted: Promise<void>;
  addIndex(name: string, of: IndexFunction<T>): void;
  /** Objects already in the cache are announced as added: before `caughtUp` resolves. Gives what removes the handler. */
  addHandler(handler: InformerHandler<T>): () => void;
  /** Begins to follow; further calls do nothing. */
  start(): void;
  stop(): Promise<void>;
  /** Puts what is known better here in place of what the server last said, until the server says something new. Does
   *  nothing for an object that the cache does not hold. Throws where the cache is the server's own. */
  amend(object: T): void;
}

/** An informer for the client's user: over the server's own cache where client and server share a process, else with one
 *  of its own. */
export function openInformer<T extends KubeObject>(
  client: Client,
  ref: ResourceRef<T>,
  options: InformerOptions<T> = {},
): Informer<T> {
  const shared = client.sharedCache?.(ref, options.scope ?? {});
  return shared ? new SharedInformer(shared, ref, options) : new FollowingInformer(client, ref, options);
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
  #stopped = false;

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
    const informer = openInformer<T>(this.client, ref, { ...options, transform, scope, checkpoint: kept });
    this.#informers.set(key, informer as unknown as Informer<KubeObject>);
    // Who asks as late as that must not wait for what never comes.
    if (this.#stopped) void informer.stop();
    else if (this.#started) informer.start();
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
    this.#stopped = true;
    await Promise.all([...this.#informers.values()].map((informer) => informer.stop()));
  }
}
