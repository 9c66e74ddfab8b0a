import { hostname } from "node:os";
import { isNotFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { eventsV1 } from "#shared/api/resources.ts";
import type { ObjectReference } from "#shared/api/types/core-v1.generated.ts";
import type { Event } from "#shared/api/types/events-v1.generated.ts";
import { BoundedMap } from "../compact/bounded-map.ts";
import type { Client } from "./client.ts";
import { type Clock, microTimestamp, systemClock } from "./clock.ts";
import { EventQueue } from "./event-queue.ts";
import {
  type EventRecorder,
  type EventRecorderOptions,
  type EventToRecord,
  eventName,
  referenceTo,
} from "./event-recorder.ts";
import { silentLog } from "./log.ts";

const cacheEntries = 4096;
/** What has not happened again for so long is over: its count is written, and the next time it is another event. */
const finish_ms = 6 * 60_000;
/** How often the count of a series that goes on is written: events live no longer than an hour after they were. */
const refresh_ms = 30 * 60_000;
const longestNote = 1024;
const cutNote = " ...";

interface Known {
  readonly event: Event;
  /** How often, with the first time. */
  count: number;
  lastObserved: string;
  last_ms: number;
  /** What the server knows. */
  written: number;
  written_ms: number;
}

/**
 * Writes Events of events.k8s.io/v1, for components that upstream has moved there: the scheduler first of all. They have an
 * action and say who reports instead of a source. The same thing again makes a series of one event; the second time is
 * written at once, then the count of one that goes on every half hour, and once it is over (KEP-383).
 */
export class SeriesEventRecorder implements EventRecorder {
  readonly #client: Client;
  readonly #component: string;
  readonly #instance: string;
  readonly #clock: Clock;
  readonly #known = new BoundedMap<Known>(cacheEntries);
  readonly #queue: EventQueue<Event>;
  #isArmed = false;

  constructor(client: Client, { component, host, clock = systemClock, log = silentLog }: EventRecorderOptions) {
    this.#client = client;
    this.#component = component;
    this.#instance = `${component}-${host ?? hostname()}`;
    this.#clock = clock;
    this.#queue = new EventQueue({
      clock,
      log,
      write: (event) => this.#write(event),
      reasonOf: ({ reason }) => reason,
    });
  }

  record(about: KubeObject | ObjectReference, given: EventToRecord): void {
    const regarding = referenceTo(about, given.fieldPath);
    const related = given.related && referenceTo(given.related);
    const { type, reason, action = reason } = given;
    const key = JSON.stringify([type, action, reason, identityOf(regarding), related && identityOf(related)]);
    const now = microTimestamp(this.#clock);
    const now_ms = this.#clock.now_ms();
    const known = this.#known.get(key);
    if (known && now_ms - known.last_ms < finish_ms) {
      Object.assign(known, { count: known.count + 1, lastObserved: now, last_ms: now_ms });
      if (known.written < 2) this.#tell(known);
      return;
    }
    const event: Event = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: eventName(regarding.name ?? "", this.#clock), namespace: regarding.namespace || "default" },
      eventTime: now,
      reportingController: this.#component,
      reportingInstance: this.#instance.slice(0, 128),
      action,
      reason,
      regarding,
      ...(related ? { related } : {}),
      note: noteOf(given.message),
      type,
    };
    this.#known.set(key, { event, count: 1, lastObserved: now, last_ms: now_ms, written: 1, written_ms: now_ms });
    this.#queue.push(queueKey(event), event);
    this.#arm();
  }

  /** All that was recorded is written or dropped, but for the counts of series that go on. */
  flushed(): Promise<void> {
    return this.#queue.flushed();
  }

  #tell(known: Known): void {
    Object.assign(known, { written: known.count, written_ms: this.#clock.now_ms() });
    const series = { count: known.count, lastObservedTime: known.lastObserved };
    const event = { ...known.event, series };
    this.#queue.push(queueKey(event), event);
  }

  async #write(event: Event): Promise<void> {
    const { name = "", namespace = "" } = event.metadata;
    if (event.series) {
      try {
        await this.#client.patch(eventsV1, { namespace, name }, { type: "merge", body: { series: event.series } });
        return;
      } catch (error) {
        // Events do not live long.
        if (!isNotFound(error)) throw error;
      }
    }
    await this.#client.create(eventsV1, event, { namespace });
  }

  /** One timer while something is known, for series that are over and those that go on for long. */
  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#clock.after(finish_ms, () => {
      this.#isArmed = false;
      const now_ms = this.#clock.now_ms();
      let isAnyLeft = false;
      for (const [key, known] of [...this.#known.entries()]) {
        const isOver = now_ms - known.last_ms >= finish_ms;
        if (known.count > known.written && (isOver || now_ms - known.written_ms >= refresh_ms)) this.#tell(known);
        if (isOver) this.#known.delete(key);
        else isAnyLeft = true;
      }
      if (isAnyLeft) this.#arm();
    });
  }
}

/** An event and each state of its series wait one after the other. */
const queueKey = ({ metadata, series }: Event): string =>
  `${metadata.namespace}/${metadata.name} ${series?.count ?? 1}`;

const identityOf = ({
  apiVersion,
  kind,
  namespace,
  name,
  uid,
  resourceVersion,
  fieldPath,
}: ObjectReference): unknown => [apiVersion, kind, namespace, name, uid, resourceVersion, fieldPath];

const noteOf = (message: string): string =>
  message.length <= longestNote ? message : message.slice(0, longestNote - cutNote.length) + cutNote;
