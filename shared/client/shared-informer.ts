import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { pause, systemClock } from "./clock.ts";
import type { Informer, InformerEvent, InformerHandler, InformerOptions } from "./informer.ts";
import { type Log, silentLog } from "./log.ts";
import { backOff_ms } from "./reflector.ts";
import type { SharedCache, SharedChange, SharedObject } from "./shared-cache.ts";
import { SharedLister } from "./shared-lister.ts";
import type { IndexFunction, Lister } from "./store-index.ts";

/** A turn of the event loop should not be longer. */
const turn_ms = 10;
/** Objects that are announced before others get their turn. */
const slice = 16;

/** Work of all informers of this process, in its order and in short turns: so that changes of different resources are heard
 *  in the order in which they were made, after what caused them has been answered. */
class Turns {
  #work: (() => void)[] = [];
  #next = 0;
  #isWaiting = false;

  run(work: () => void): void {
    this.#work.push(work);
    this.#wait();
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    setImmediate(() => {
      this.#isWaiting = false;
      const until_ms = performance.now() + turn_ms;
      while (this.#next < this.#work.length && performance.now() < until_ms) this.#work[this.#next++]?.();
      this.#work.splice(0, this.#next);
      this.#next = 0;
      if (this.#work.length > 0) this.#wait();
    });
  }
}
const turns = new Turns();

/** Objects that were there when a handler came, still to be announced to it. */
interface Replay<T extends KubeObject> {
  readonly objects: readonly SharedObject<T>[];
  readonly handlers: Set<InformerHandler<T>>;
  next: number;
}

interface Pending<T> {
  readonly change: SharedChange<T>;
  /** Counted over all changes. */
  readonly number: number;
}

/**
 * An informer over a cache that somebody else keeps: it holds keys by index and nothing else. Handlers are called a
 * little after the cache has changed, in order and in short turns, so what a lister shows may be newer than the event.
 */
export class SharedInformer<T extends KubeObject> implements Informer<T> {
  readonly #cache: SharedCache<T>;
  readonly #lister: SharedLister<T>;
  readonly #ref: ResourceRef<T>;
  readonly #log: Log;
  readonly #options: InformerOptions<T>;
  /** Each with the number of the last change that was made before it came. */
  readonly #handlers = new Map<InformerHandler<T>, number>();
  #replays: Replay<T>[] = [];
  #pending: Pending<T>[] = [];
  #changes = 0;
  #caughtUp: PromiseWithResolvers<void> | undefined;
  readonly #synced = Promise.withResolvers<void>();
  readonly #stop = new AbortController();
  #unlisten: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #hasSynced = false;

  constructor(cache: SharedCache<T>, ref: ResourceRef<T>, options: InformerOptions<T> = {}) {
    this.#cache = cache;
    this.#lister = new SharedLister(cache);
    this.#ref = ref;
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#synced.promise.catch(() => undefined);
  }

  get lister(): Lister<T> {
    return this.#lister;
  }

  keys(): IterableIterator<string> {
    return this.#lister.keys();
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  get usable(): Promise<void> {
    return this.#synced.promise;
  }

  get isUsable(): boolean {
    return this.#hasSynced;
  }

  get isInterrupted(): boolean {
    return false;
  }

  /** The cache is of this process: nothing lies between. */
  readonly interrupted = new Promise<void>(() => undefined);

  async caughtUp(): Promise<void> {
    await this.#synced.promise;
    await this.#caughtUp?.promise;
  }

  amend(): void {
    throw new Error(`the cache of ${this.#ref.plural} is the API server's own`);
  }

  addIndex(name: string, of: IndexFunction<T>): void {
    this.#lister.addIndex(name, of);
  }

  addHandler(handler: InformerHandler<T>): () => void {
    this.#handlers.set(handler, this.#changes);
    if (this.#lister.isOpen) this.#replay([handler]);
    return () => {
      this.#handlers.delete(handler);
      for (const replay of this.#replays) replay.handlers.delete(handler);
    };
  }

  start(): void {
    if (this.#running || this.#stop.signal.aborted) return;
    this.#running = this.#open();
    this.#running.catch((error: unknown) => this.#log.error("the informer ended", { error }));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#unlisten?.();
    this.#lister.isOpen = false;
    this.#pending = [];
    this.#replays = [];
    const error = new Error(`the informer of ${this.#ref.plural} was stopped`);
    this.#synced.reject(error);
    this.#caughtUp?.promise.catch(() => undefined);
    this.#caughtUp?.reject(error);
    await this.#running;
  }

  /** Until the cache may be read; that somebody may not is told by the log once it goes on, as over a socket. */
  async #open(): Promise<void> {
    const { clock = systemClock } = this.#options;
    const { signal } = this.#stop;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        await this.#cache.open();
        if (!signal.aborted) this.#begin();
        return;
      } catch (error) {
        if (failures === 5) this.#log.warn(`cannot follow ${this.#ref.plural}`, { error });
        await pause(clock, backOff_ms(failures, Math.random), signal);
      }
    }
  }

  #begin(): void {
    this.#lister.isOpen = true;
    this.#unlisten = this.#cache.listen((change) => this.#onChange(change));
    this.#replay(this.#handlers.keys());
  }

  /** What the cache holds now, for handlers that are told of nothing before. */
  #replay(handlers: Iterable<InformerHandler<T>>): void {
    const objects = this.#cache.list();
    this.#replays.push({ objects, handlers: new Set(handlers), next: 0 });
    if (this.#hasSynced) this.#caughtUp ??= Promise.withResolvers<void>();
    if (this.#replays.length === 1 && this.#pending.length === 0) this.#pump();
  }

  #onChange(change: SharedChange<T>): void {
    this.#changes += 1;
    this.#lister.index(change.object.key);
    if (this.#handlers.size === 0) return;
    const pending = { change, number: this.#changes };
    turns.run(() => {
      // What came in during a replay goes first.
      if (this.#replays.length > 0 || this.#pending.length > 0) this.#pending.push(pending);
      else this.#deliver(pending);
    });
  }

  /** Goes on with what handlers have not heard yet of the past. */
  #pump(): void {
    turns.run(() => {
      if (this.#stop.signal.aborted) return;
      const [replay] = this.#replays;
      if (replay) this.#advance(replay);
      else for (const pending of this.#pending.splice(0, slice)) this.#deliver(pending);
      if (this.#replays.length > 0 || this.#pending.length > 0) this.#pump();
    });
  }

  #advance(replay: Replay<T>): void {
    const { objects, handlers } = replay;
    const isFirst = !this.#hasSynced;
    const end = Math.min(objects.length, replay.next + slice);
    for (; replay.next < end; replay.next++) {
      const object = objects[replay.next] as SharedObject<T>;
      if (isFirst) this.#lister.index(object.key);
      if (handlers.size > 0) this.#announce(handlers, addition(object), object.key);
    }
    if (replay.next < objects.length) return;
    this.#replays.shift();
    if (isFirst) {
      this.#hasSynced = true;
      this.#synced.resolve();
    }
    if (this.#replays.length > 0) return;
    this.#caughtUp?.resolve();
    this.#caughtUp = undefined;
  }

  #deliver({ change, number }: Pending<T>): void {
    if (this.#stop.signal.aborted) return;
    const event = eventOf(change);
    this.#handlers.forEach((after, handler) => {
      if (number > after) this.#tell(handler, event, change.object.key);
    });
  }

  #announce(handlers: Iterable<InformerHandler<T>>, event: InformerEvent<T>, key: string): void {
    for (const handler of handlers) this.#tell(handler, event, key);
  }

  #tell(handler: InformerHandler<T>, event: InformerEvent<T>, key: string): void {
    try {
      handler(event);
    } catch (error) {
      this.#log.error(`a handler of ${this.#ref.plural} failed`, { key, error });
    }
  }
}

/** Parsed only for a handler that looks. */
class SharedEvent<T, Type extends "add" | "delete"> {
  readonly #object: SharedObject<T>;

  constructor(
    readonly type: Type,
    object: SharedObject<T>,
  ) {
    this.#object = object;
  }

  get object(): T {
    return this.#object.view();
  }
}

class SharedUpdate<T> {
  readonly type = "update";
  readonly #object: SharedObject<T>;
  readonly #previous: SharedObject<T>;

  constructor(object: SharedObject<T>, previous: SharedObject<T>) {
    this.#object = object;
    this.#previous = previous;
  }

  get object(): T {
    return this.#object.view();
  }

  get old(): T {
    return this.#previous.view();
  }
}

const addition = <T>(object: SharedObject<T>): InformerEvent<T> => new SharedEvent("add", object);

function eventOf<T>({ type, object, previous }: SharedChange<T>): InformerEvent<T> {
  if (type === "MODIFIED" && previous) return new SharedUpdate(object, previous);
  return type === "DELETED" ? new SharedEvent("delete", object) : addition(object);
}
