import { isExpired, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Client, ReadScope } from "./client.ts";
import { type Clock, pause, systemClock } from "./clock.ts";
import { exponentialDelay_ms } from "./exponential-delay.ts";
import { type Log, silentLog } from "./log.ts";

/** What a reflector tells its cache, in the order in which it happened on the server. */
export interface ReflectorSink<T> {
  /** All objects at one moment, in place of everything known. */
  replace(objects: readonly T[]): void;
  put(object: T): void;
  remove(object: T): void;
  /** The server has told something, and be it that there is nothing new. */
  heard(): void;
  /** The server could not be followed; it is tried again. */
  interrupted(): void;
}

export interface ReflectorOptions {
  readonly scope?: ReadScope | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  readonly random?: (() => number) | undefined;
}

const pageSize = 500;
const firstBackOff_ms = 200;
const longestBackOff_ms = 30_000;
/** A watch that lasted this long was healthy: the next failure starts from the first back-off. */
const healthy_ms = 60_000;
const initialEventsEnd = "k8s.io/initial-events-end";

/**
 * Follows one resource: the present state by a streaming list (KEP-3157) or, where the server does not offer that, by
 * pages; then its changes. A watch that ends is taken up from the last resourceVersion; one that the server has
 * forgotten (410) starts over from the present state. Failures back off with jitter, so that a fleet does not return at
 * the same moment. Runs until the signal aborts.
 */
export async function reflect<T extends KubeObject>(
  client: Client,
  ref: ResourceRef<T>,
  sink: ReflectorSink<T>,
  signal: AbortSignal,
  options: ReflectorOptions = {},
): Promise<void> {
  const { scope = {}, clock = systemClock, log = silentLog, random = Math.random } = options;
  let resourceVersion: string | undefined;
  let streamingList = true;
  let failures = 0;
  const follow = async (): Promise<void> => {
    if (resourceVersion === undefined && !streamingList) {
      resourceVersion = await listPages(client, ref, sink, scope, signal);
    }
    for await (const seen of followWatch(client, ref, sink, scope, resourceVersion, signal, random)) {
      resourceVersion = seen;
      failures = 0;
    }
  };
  /** Gives the time to wait before the next try. */
  const recover = (error: unknown, lasted_ms: number): number => {
    if (streamingList && resourceVersion === undefined && refusesStreamingList(error)) {
      streamingList = false;
      return 0;
    }
    if (isExpired(error)) resourceVersion = undefined;
    else if (lasted_ms > healthy_ms) failures = 0;
    failures++;
    sink.interrupted();
    // Seldom at first: a master that restarts is back soon. Loud when it goes on.
    if (failures === 5) log.warn(`cannot follow ${ref.plural}`, { error });
    else log.debug(`${ref.plural}: the watch failed`, { error, failures });
    return backOff_ms(failures, random);
  };
  while (!signal.aborted) {
    const began_ms = clock.now_ms();
    try {
      await follow();
      // The server closed a watch that told nothing: do not come back in a tight loop.
      if (clock.now_ms() - began_ms < 1_000) await pause(clock, 200 + 800 * random(), signal);
    } catch (error) {
      if (signal.aborted) return;
      await pause(clock, recover(error, clock.now_ms() - began_ms), signal);
    }
  }
}

/** Doubles with each failure; the jitter keeps a fleet from coming back at the same moment. */
export const backOff_ms = (failures: number, random: () => number): number =>
  exponentialDelay_ms(failures, firstBackOff_ms, longestBackOff_ms) * (0.5 + 0.5 * random());

/** Over an etcd older than 3.4.31 upstream's API server fails to stream a list with a 500, each time anew. */
const refusesStreamingList = (error: unknown): boolean =>
  error instanceof StatusError && [400, 422, 500].includes(error.code);

async function listPages<T extends KubeObject>(
  client: Client,
  ref: ResourceRef<T>,
  sink: ReflectorSink<T>,
  scope: ReadScope,
  signal: AbortSignal,
): Promise<string> {
  const objects: T[] = [];
  let continueToken: string | undefined;
  let resourceVersion = "";
  do {
    const page = await client.list(ref, { ...scope, limit: pageSize, continue: continueToken });
    if (signal.aborted) return resourceVersion;
    objects.push(...page.items);
    resourceVersion = page.metadata.resourceVersion ?? "";
    continueToken = page.metadata.continue || undefined;
  } while (continueToken);
  sink.replace(objects);
  return resourceVersion;
}

/** Yields each resourceVersion from which the watch could be taken up again. */
async function* followWatch<T extends KubeObject>(
  client: Client,
  ref: ResourceRef<T>,
  sink: ReflectorSink<T>,
  scope: ReadScope,
  from: string | undefined,
  signal: AbortSignal,
  random: () => number,
): AsyncGenerator<string> {
  // Until the end of the initial events these are gathered, so that the cache changes from one state to another at once.
  let initial: Map<string, T> | undefined = from === undefined ? new Map() : undefined;
  const events = client.watch(ref, {
    ...scope,
    ...(from === undefined ? { sendInitialEvents: true } : { resourceVersion: from }),
    allowWatchBookmarks: true,
    timeoutSeconds: Math.floor(300 + 300 * random()),
    signal,
  });
  for await (const { type, object } of events) {
    if (signal.aborted) return;
    if (!initial) sink.heard();
    if (type === "BOOKMARK") {
      if (initial && object.metadata.annotations?.[initialEventsEnd] === "true") {
        sink.replace([...initial.values()]);
        initial = undefined;
      }
    } else if (initial) {
      const key = `${object.metadata.namespace ?? ""}/${object.metadata.name ?? ""}`;
      if (type === "DELETED") initial.delete(key);
      else initial.set(key, object);
    } else if (type === "DELETED") {
      sink.remove(object);
    } else {
      sink.put(object);
    }
    const { resourceVersion } = object.metadata;
    if (!initial && resourceVersion) yield resourceVersion;
  }
}
