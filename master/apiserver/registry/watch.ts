/** Watches: what happened to a selection of objects, from a revision on (KEP-365, KEP-956 bookmarks, KEP-3157 WatchList). */

import { StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { longestTimer_ms } from "#shared/client/clock.ts";
import { CounterTable, exponential, HistogramTable } from "#shared/metrics/tables.ts";
import { BoundedQueue } from "../../store/bounded-queue.ts";
import type { CachedObject, WatchFrame } from "../request.ts";
import type { CacheHub } from "../watch-cache/cache-hub.ts";
import type { Entry } from "../watch-cache/entry.ts";
import type { CacheEvent } from "../watch-cache/event-history.ts";
import type { ResourceCache } from "../watch-cache/resource-cache.ts";
import { revisionOf } from "./list.ts";
import { type ListOptions, readWatchOptions } from "./list-options.ts";
import type { Selection } from "./selection.ts";
import type { ServedResource } from "./served-resource.ts";
import { assertUnsealed } from "./unreadable.ts";

export type WatchParameters = Pick<
  ListOptions,
  "resourceVersion" | "sendInitialEvents" | "allowBookmarks" | "timeout_s"
>;

/** Text that a watcher may have standing before it counts as too slow. */
const MAX_PENDING_TEXT = 16 * 1024 * 1024;
const FRAME_OVERHEAD = 256;
const BOOKMARK_EVERY_MS = 60_000;
/** A last bookmark comes so long before a watch ends, so that its client goes on from close to now. Upstream's. */
const BOOKMARK_BEFORE_END_MS = 2_000;

/** How long a watch lasts at least whose client does not say; at most twice that. */
const usualShortest_s = 1800;

/** Reads the query. Throws Invalid and BadRequest as upstream words them. */
export function watchParameters(query: URLSearchParams, shortest_s: number = usualShortest_s): WatchParameters {
  const options = readWatchOptions(query);
  // Spread, so that clients that connected together do not return together.
  return { ...options, timeout_s: options.timeout_s || shortest_s * (1 + Math.random()) };
}

export const watchEvents = new CounterTable({
  name: "apiserver_watch_events_total",
  help: "Events that watches were sent, bookmarks among them.",
  labels: ["group", "version", "resource"],
});

export const watchEventSizes = new HistogramTable(
  {
    name: "apiserver_watch_events_sizes",
    help: "Bytes of objects in events that watches were sent, as far as they are ASCII.",
    labels: ["group", "version", "resource"],
  },
  exponential(1024, 2, 8),
);

/** One tick a minute for all watches that asked for bookmarks; none when nobody did. */
export class BookmarkTicker {
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;

  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => {
      for (const each of this.#listeners) each();
    }, BOOKMARK_EVERY_MS);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }
}

export interface WatchSource {
  readonly hub: CacheHub;
  readonly cache: ResourceCache;
  readonly resource: ServedResource;
  readonly ticker: BookmarkTicker;
}

/**
 * Frames of a watch. Ends when the time is over, the signal aborts, or the consumer is too slow. Rejects for what is no
 * revision; one that is no longer known, or does not come in time, is told by the first frame instead, which throws
 * Expired or Timeout: clients are told so within the stream.
 */
export async function watchEntries(
  source: WatchSource,
  selection: Selection,
  parameters: WatchParameters,
  signal: AbortSignal,
): Promise<AsyncIterable<WatchFrame>> {
  assertUnsealed(source.cache, selection.namespace);
  const { resourceVersion } = parameters;
  const asked = resourceVersion === "" ? 0 : revisionOf(resourceVersion);
  const start = (): AsyncIterable<WatchFrame> => begun(source, selection, { ...parameters, asked }, signal);
  const waits = parameters.sendInitialEvents === true && asked > source.hub.revision;
  if (waits) return afterwards(() => source.hub.waitForClient(asked), start);
  try {
    return start();
  } catch (error) {
    if (error instanceof StatusError) return afterwards(() => Promise.reject(error), start);
    throw error;
  }
}

/** What begins once something has come: until then the stream stands open. Nothing is waited for before somebody reads: whoever asked
 *  may have gone, and a failure that nobody hears of would end the process. */
async function* afterwards(
  come: () => Promise<void>,
  start: () => AsyncIterable<WatchFrame>,
): AsyncGenerator<WatchFrame> {
  await come();
  yield* start();
}

function begun(
  source: WatchSource,
  selection: Selection,
  { asked, sendInitialEvents, allowBookmarks, timeout_s }: WatchParameters & { readonly asked: number },
  signal: AbortSignal,
): AsyncIterable<WatchFrame> {
  const { hub, cache, resource } = source;
  const fromNow = asked === 0 || sendInitialEvents === true;
  const queue = new BoundedQueue<Pending>(
    MAX_PENDING_TEXT,
    // Closed, not failed: the client goes on from the last revision that it saw.
    () => undefined,
    (frame) => frame.weight,
  );
  // A time that is over before it begins ends the watch so, too.
  if (signal.aborted || timeout_s < 0) {
    queue.end();
    return framesOf([], undefined, queue, selection, resource);
  }
  const end = (): void => queue.end();
  const after = fromNow ? hub.revision : asked;
  const present = fromNow && sendInitialEvents !== false ? cache.list(selection.namespace) : [];
  const endOfInitial =
    sendInitialEvents && allowBookmarks
      ? bookmarkFrame(resource, after, { "k8s.io/initial-events-end": "true" })
      : undefined;
  // What a client knows without a bookmark: where its watch began, and the past events that it has had to begin with.
  let known = after;
  let isPast = true;
  const unsubscribe = cache.subscribe(
    after,
    (event) => {
      if (isPast) known = event.revision;
      // Each version of a custom resource may have to be asked for elsewhere: in its turn, not here.
      if (resource.declaration.converter) {
        queue.push({ event, weight: event.entry.size + FRAME_OVERHEAD });
        return;
      }
      const frame = frameOf(event, selection, resource);
      if (frame) queue.push(frame);
    },
    end,
  );
  isPast = false;
  const bookmark = (): void => {
    if (hub.revision > known) queue.push(bookmarkFrame(resource, hub.revision, undefined));
  };
  const untick = allowBookmarks ? source.ticker.add(bookmark) : undefined;
  const unschedule = scheduleEnd(
    Math.min(timeout_s * 1000, longestTimer_ms),
    allowBookmarks ? bookmark : undefined,
    end,
  );
  signal.addEventListener("abort", end);
  queue.whenEnded(() => {
    unsubscribe();
    untick?.();
    unschedule();
    signal.removeEventListener("abort", end);
  });
  return framesOf(present, endOfInitial, queue, selection, resource);
}

/** Calls `end` after a time, and `beforeEnd` shortly before, where there is enough of it. Gives what takes both back. */
function scheduleEnd(in_ms: number, beforeEnd: (() => void) | undefined, end: () => void): () => void {
  const early_ms = in_ms - BOOKMARK_BEFORE_END_MS;
  if (!beforeEnd || early_ms <= 0) {
    const timer = setTimeout(end, in_ms);
    return () => clearTimeout(timer);
  }
  let timer = setTimeout(() => {
    timer = setTimeout(end, BOOKMARK_BEFORE_END_MS);
    beforeEnd();
  }, early_ms);
  return () => clearTimeout(timer);
}

/** A frame, or what one is made of when its turn comes. */
type Pending = WatchFrame | { readonly event: CacheEvent; readonly weight: number };

/** The present objects are only referred to until their turn comes, however many they are. */
async function* framesOf(
  present: readonly Entry[],
  endOfInitial: WatchFrame | undefined,
  queue: BoundedQueue<Pending>,
  selection: Selection,
  resource: ServedResource,
): AsyncGenerator<WatchFrame> {
  const labels = [resource.gvk.group, resource.gvk.version, resource.declaration.ref.plural];
  const sent = watchEvents.of(labels);
  const sizes = watchEventSizes.of(labels);
  try {
    await resource.ready(present);
    for (const entry of present) {
      if (queue.ended) return;
      if (!selection.matches(entry)) continue;
      sent.count += 1;
      sizes.observe(entry.size);
      yield objectFrame("ADDED", resource, entry);
    }
    if (endOfInitial) yield endOfInitial;
    for await (const pending of queue) {
      sent.count += 1;
      if (!("event" in pending)) {
        yield pending;
        continue;
      }
      const { event } = pending;
      await resource.ready(event.previous ? [event.entry, event.previous] : [event.entry]);
      const frame = frameOf(event, selection, resource);
      if (!frame) continue;
      sizes.observe(event.entry.size);
      yield frame;
    }
  } finally {
    queue.end();
  }
}

/** An object that begins or ceases to match is added or deleted as far as this watcher can see. */
function frameOf(event: CacheEvent, selection: Selection, resource: ServedResource): WatchFrame | undefined {
  const { entry, previous } = event;
  const was = previous !== undefined && selection.matches(previous);
  if (event.type === "DELETED") return was ? objectFrame("DELETED", resource, entry) : undefined;
  const is = selection.matches(entry);
  if (is) return objectFrame(was ? "MODIFIED" : "ADDED", resource, entry);
  // What a converter has made for the entry before serves for its deletion too.
  return was ? objectFrame("DELETED", resource, resource.moved(previous, event.revision)) : undefined;
}

function objectFrame(type: "ADDED" | "MODIFIED" | "DELETED", resource: ServedResource, entry: Entry): WatchFrame {
  const object: CachedObject = resource.serve(entry);
  return {
    type,
    object,
    weight: entry.size + FRAME_OVERHEAD,
    text: () => object.text(),
    view: () => object.view(),
  };
}

function bookmarkFrame(
  resource: ServedResource,
  revision: number,
  annotations: Record<string, string> | undefined,
): WatchFrame {
  const object = {
    apiVersion: resource.apiVersion,
    kind: resource.gvk.kind,
    metadata: { resourceVersion: String(revision), ...(annotations ? { annotations } : {}) },
  } satisfies KubeObject;
  return { type: "BOOKMARK", weight: FRAME_OVERHEAD, text: () => JSON.stringify(object), view: () => object };
}
