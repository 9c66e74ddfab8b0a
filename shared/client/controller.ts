import { hasReason, isConflict } from "#shared/api/errors.ts";
import { type KubeObject, keyOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { Turn } from "../process/turn.ts";
import type { Client, ReadScope } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { EventRecorder } from "./event-recorder.ts";
import { Expectations } from "./expectations.ts";
import type { IndexFunction, InformerEvent, InformerFactory, Lister } from "./informer.ts";
import { type Log, silentLog } from "./log.ts";
import { runQueueWorker } from "./queue-worker.ts";
import { WorkQueue } from "./work-queue.ts";
import { WrittenVersions } from "./written-versions.ts";

/*
 * A controller is a queue of keys and one function.
 *
 * Informers keep a cache of what the controller watches. An event never carries work: it only puts the key of the object
 * that has to be looked at into the queue, by an enqueue mapper. `reconcile` takes a key, reads the present state from
 * the listers, and moves it one step towards the desired one. It must come to the same end however often it is called,
 * since events are merged, repeated after failures, and repeated by the resync.
 *
 *   export const replicaSetController = defineController({
 *     name: "replicaset-controller",
 *     watches: [
 *       watching(replicaSets),                                        // enqueues the object's own key
 *       watching(pods, { enqueue: controllerOf("ReplicaSet"), observe: observeChildren("ReplicaSet"),
 *                        indexes: { controller: byControllerUid } }),
 *     ],
 *     resync_s: 600,
 *     async reconcile(key, { lister, client, expectations, events }) {
 *       const replicaSet = lister(replicaSets).get(key);
 *       if (!replicaSet) return expectations.forget(key);
 *       …
 *       return { requeueAfter_ms: 5_000 };                             // or nothing
 *     },
 *   });
 *   const running = await runController(replicaSetController, { client, informers, events });
 *
 * Errors: throw, and the key comes back with its own exponential back-off. Conflict means that the cache was behind:
 * the same, without noise in the log. TerminalError means that only a change of the object can help: no retry.
 */

/** Thrown by reconcile when trying again cannot help until the object changes. */
export class TerminalError extends Error {
  override readonly name = "TerminalError";
}

/**
 * What a reconcile may ask for. Nothing: the key rests until the next event or resync. `behind_ms`: the cache does not show yet
 * what was written, so nothing was looked at; that is no success, after which a failure would start from the first back-off.
 */
export type ReconcileResult = { readonly requeueAfter_ms: number } | { readonly behind_ms: number } | undefined;

export interface ControllerContext {
  /** The cache of a watched resource. Throws for one that the controller does not watch (its cache might be empty). */
  lister<T extends KubeObject>(ref: ResourceRef<T>, scope?: ReadScope): Lister<T>;
  readonly client: Client;
  readonly queue: Pick<WorkQueue, "add" | "addAfter">;
  /** What this controller has created or deleted and not yet seen in its caches, by the owner's key. */
  readonly expectations: Expectations;
  /** What this controller has written for each of its keys, of resources whose watch says `writes`. */
  readonly written: WrittenVersions;
  readonly events: EventRecorder;
  readonly log: Log;
  readonly clock: Clock;
  /** Aborted when the controller stops. */
  readonly signal: AbortSignal;
}

/** Keys to look at because of one object's change. Called for the object, and on an update for its old state too. */
export type EnqueueMapper<T> = (object: T, context: ControllerContext) => Iterable<string>;

export interface WatchSpec<T extends KubeObject> {
  /** Absent: the object's own key. `nothing` watches only to have the cache. */
  readonly enqueue?: EnqueueMapper<T> | undefined;
  /** Whether the event matters at all. */
  readonly when?: ((event: InformerEvent<T>) => boolean) | undefined;
  /** Called with every event before anything is enqueued; for expectations. */
  readonly observe?: ((event: InformerEvent<T>, context: ControllerContext) => void) | undefined;
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>> | undefined;
  /** The controller tells `written` of what it writes to the resource, and does not go on before this cache shows it. */
  readonly writes?: boolean | undefined;
  /** Keys wait so long for more of the same: one reconcile for a burst of events. Absent: none. */
  readonly batch_ms?: number | undefined;
  readonly scope?: ReadScope | undefined;
}

/** A watch of one resource, made by `watching`; its type of object is closed over. */
export interface ControllerWatch {
  readonly id: string;
  /** Adds handlers; gives what ends them. */
  attach(informers: InformerFactory, context: ControllerContext): () => void;
  synced(informers: InformerFactory): Promise<void>;
  /** Keys that a resync enqueues. */
  resyncKeys(informers: InformerFactory, context: ControllerContext): Iterable<string>;
}

const watchId = (ref: ResourceRef<never>, scope: ReadScope = {}): string =>
  [ref.group, ref.plural, scope.namespace, scope.labelSelector, scope.fieldSelector].join("|");

/** One entry of a controller's `watches`. */
export function watching<T extends KubeObject>(ref: ResourceRef<T>, spec: WatchSpec<T> = {}): ControllerWatch {
  const enqueue = spec.enqueue ?? ((object: T) => [keyOf(object)]);
  /** Each key once: an idle worker takes the first at once, and would look again for a second. */
  const keysOf = (event: InformerEvent<T>, context: ControllerContext): ReadonlySet<string> => {
    const keys = new Set(event.old ? enqueue(event.old, context) : []);
    for (const key of enqueue(event.object, context)) keys.add(key);
    return keys;
  };
  return {
    id: watchId(ref as ResourceRef<never>, spec.scope),
    attach(informers, context) {
      const informer = informers.informer(ref, spec.scope);
      for (const [name, of] of Object.entries(spec.indexes ?? {})) informer.addIndex(name, of);
      const progress = spec.writes ? context.written.follow(ref, informer.lister) : undefined;
      return informer.addHandler((event) => {
        progress?.told(event.object);
        spec.observe?.(event, context);
        if (spec.when && !spec.when(event)) return;
        for (const key of keysOf(event, context)) context.queue.addAfter(key, spec.batch_ms ?? 0);
      });
    },
    synced: (informers) => informers.informer(ref, spec.scope).caughtUp(),
    // One object after the other: a view of every object at once would be many times what their cache takes.
    *resyncKeys(informers, context) {
      const informer = informers.informer(ref, spec.scope);
      const keys = [...informer.keys()];
      if (!spec.enqueue) {
        yield* keys;
        return;
      }
      for (const key of keys) {
        const object = informer.lister.get(key);
        if (object) yield* enqueue(object, context);
      }
    },
  };
}

/** Watches only so that the cache is there. */
export const nothing: EnqueueMapper<KubeObject> = () => [];

/** The key of the owner that controls the object, if that is of the kind. */
export function controllerOf(kind: string): EnqueueMapper<KubeObject> {
  return ({ metadata: { namespace = "", ownerReferences } }) => {
    const owner = ownerReferences?.find((reference) => reference.controller && reference.kind === kind);
    return owner ? [namespace ? `${namespace}/${owner.name}` : owner.name] : [];
  };
}

/** Every key of another watched resource; for changes that concern all. */
export function everyKeyOf<T extends KubeObject>(ref: ResourceRef<T>): EnqueueMapper<KubeObject> {
  return (_object, context) => context.lister(ref).keys();
}

/** Marks creations and deletions of children as seen, under the key of their controller of that kind. A child marked for
 *  deletion counts as deleted. */
export function observeChildren<T extends KubeObject>(
  kind: string,
): (event: InformerEvent<T>, context: ControllerContext) => void {
  const ownerKeys = controllerOf(kind);
  return (event, context) => {
    const { object } = event;
    const going = event.type === "delete" || object.metadata.deletionTimestamp !== undefined;
    for (const key of ownerKeys(object, context)) {
      if (event.type === "add") context.expectations.creationObserved(key);
      if (going) context.expectations.deletionObserved(key, object.metadata.uid ?? "");
    }
  };
}

/** Index of children by the UID of their controller: `lister(pods).byIndex("controller", replicaSet.metadata.uid)`. */
export const byControllerUid: IndexFunction<KubeObject> = ({ metadata }) => {
  const owner = metadata.ownerReferences?.find((reference) => reference.controller);
  return owner ? [owner.uid] : [];
};

export interface ControllerDefinition {
  /** As upstream names it: the log's name. */
  readonly name: string;
  /** Whom its Events come from, where upstream's controller gives another name in them. Default: `name`. */
  readonly eventSource?: string | undefined;
  /** Of kube-system, whose rights the controller has (roles `system:controller:<this>`). Default: `name`. Empty: it acts
   *  as the controller manager itself. */
  readonly serviceAccount?: string | undefined;
  readonly watches: readonly ControllerWatch[];
  /** Seconds between full passes over all keys; absent or 0: none. */
  readonly resync_s?: number | undefined;
  /** Keys reconciled at the same time; one key never twice at once. Default 4. */
  readonly concurrency?: number | undefined;
  /** Between tries of a key whose reconcile fails, doubled each time. Default: that of the work queue. */
  readonly backOff?: { readonly first_ms: number; readonly longest_ms: number } | undefined;
  /** What it watches may be served later than the rest, or never: it begins when it can, and nobody waits for it. */
  readonly isOptional?: boolean | undefined;
  /** Runs once when the caches are full, before the first key: for what no object's event starts. */
  readonly start?: ((context: ControllerContext) => void | Promise<void>) | undefined;
  // biome-ignore lint/suspicious/noConfusingVoidType: a reconcile that asks for nothing just ends.
  reconcile(key: string, context: ControllerContext): Promise<ReconcileResult | void>;
}

/** Checks that the parts fit; gives the definition itself. */
export function defineController(definition: ControllerDefinition): ControllerDefinition {
  const ids = new Set(definition.watches.map((watch) => watch.id));
  if (ids.size !== definition.watches.length) throw new Error(`${definition.name} watches a resource twice`);
  return definition;
}

export interface ControllerDependencies {
  readonly client: Client;
  readonly informers: InformerFactory;
  readonly events: EventRecorder;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
}

export interface RunningController {
  readonly name: string;
  /** For tests and health: nothing waits and nothing runs. */
  readonly queue: WorkQueue;
  /** Takes no more keys and waits for the reconciles that run. */
  stop(): Promise<void>;
}

/** Starts a controller: waits for its caches, then reconciles until stopped. The informers must be started by the
 *  factory's owner (one asked for later starts by itself). Rejects when the informers stop before they have synced. */
export async function runController(
  definition: ControllerDefinition,
  dependencies: ControllerDependencies,
): Promise<RunningController> {
  const { informers, clock = systemClock } = dependencies;
  const stopping = new AbortController();
  const { first_ms, longest_ms } = definition.backOff ?? {};
  const queue = new WorkQueue({
    clock,
    name: definition.name,
    firstBackOff_ms: first_ms,
    longestBackOff_ms: longest_ms,
  });
  const context = contextOf(definition, dependencies, queue, stopping.signal);

  const detach = definition.watches.map((watch) => watch.attach(informers, context));
  await Promise.all(definition.watches.map((watch) => watch.synced(informers)));
  await definition.start?.(context);

  const endResync = resyncAgainAndAgain(definition, informers, context);
  const workers = Array.from({ length: definition.concurrency ?? 4 }, () => work(definition, queue, context));
  return {
    name: definition.name,
    queue,
    async stop() {
      stopping.abort();
      endResync();
      for (const end of detach) end();
      queue.shutDown();
      await Promise.all(workers);
    },
  };
}

function contextOf(
  definition: ControllerDefinition,
  { client, informers, events, clock = systemClock, log = silentLog }: ControllerDependencies,
  queue: WorkQueue,
  signal: AbortSignal,
): ControllerContext {
  const watched = new Set(definition.watches.map((watch) => watch.id));
  return {
    lister(ref, scope) {
      if (!watched.has(watchId(ref as ResourceRef<never>, scope)))
        throw new Error(`${definition.name} does not watch ${ref.plural}`);
      return informers.lister(ref, scope);
    },
    client,
    queue,
    expectations: new Expectations(clock),
    written: new WrittenVersions(clock),
    events,
    log: log.named(definition.name),
    clock,
    signal,
  };
}

/** Enqueues all keys every `resync_s` seconds, in short turns. Gives what ends that. */
function resyncAgainAndAgain(
  { watches, resync_s = 0 }: ControllerDefinition,
  informers: InformerFactory,
  context: ControllerContext,
): () => void {
  const { clock, log, queue, signal } = context;
  let cancel: (() => void) | undefined;
  const resync = async (): Promise<void> => {
    const turn = new Turn();
    for (const watch of watches)
      for (const key of watch.resyncKeys(informers, context)) {
        queue.add(key);
        if (!turn.isLong) continue;
        await turn.end();
        if (signal.aborted) return;
      }
  };
  const arm = (): void => {
    if (signal.aborted) return;
    cancel = clock.after(resync_s * 1000, () => {
      void resync()
        .catch((error: unknown) => log.warn("not all could be looked at again", { error }))
        .then(arm);
    });
  };
  if (resync_s > 0) arm();
  return () => cancel?.();
}

async function work(definition: ControllerDefinition, queue: WorkQueue, context: ControllerContext): Promise<void> {
  await workOn(queue, (key) => definition.reconcile(key, context), context.log);
}

/** One worker of a controller: what failed comes back after its back-off, and is told when that goes on. */
export async function workOn(
  queue: WorkQueue,
  // biome-ignore lint/suspicious/noConfusingVoidType: a reconcile that asks for nothing just ends.
  reconcile: (key: string) => Promise<ReconcileResult | void>,
  log: Log,
): Promise<void> {
  await runQueueWorker(queue, reconcile, (key, error) => {
    if (queue.isShutDown) return undefined;
    if (error instanceof TerminalError) {
      log.warn("gave up until the object changes", { key, error });
      return "give up";
    }
    // A cache that was behind, or a namespace on its way out, is ordinary life.
    const ordinary = isConflict(error) || isNamespaceTerminating(error);
    const failures = queue.failuresOf(key) + 1;
    const fields = { key, error, failures };
    // Ever more seldom: what goes wrong for days is no line a minute.
    const isTold = failures === 3 || (failures > 3 && Number.isInteger(Math.log2(failures)));
    log[isTold && !ordinary ? "warn" : "debug"]("will try again", fields);
    return undefined;
  });
}

/** A create refused because the namespace is being deleted: nothing to do but wait for the end. */
export function isNamespaceTerminating(error: unknown): boolean {
  return hasReason(error, "Forbidden") && (error as Error).message.includes("because it is being terminated");
}
