import { isNotFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { events as eventResource } from "#shared/api/resources.ts";
import type { Event, ObjectReference } from "#shared/api/types/core-v1.generated.ts";
import { BoundedMap } from "../compact/bounded-map.ts";
import type { Client } from "./client.ts";
import { type Clock, systemClock, timestamp } from "./clock.ts";
import { EventQueue } from "./event-queue.ts";
import { type Log, silentLog } from "./log.ts";

export interface EventToRecord {
  readonly type: "Normal" | "Warning";
  /** CamelCase, for machines. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  /** A part of the object: `spec.containers{web}`. */
  readonly fieldPath?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** What was being done, and another object that it has to do with: only events of events.k8s.io tell them. */
  readonly action?: string | undefined;
  readonly related?: KubeObject | ObjectReference | undefined;
}

export interface EventRecorder {
  /** Records that something happened to the object. Never waits and never fails: an event waits for a server that is away;
   *  one that cannot be written is dropped, and counted in the log. */
  record(about: KubeObject | ObjectReference, event: EventToRecord): void;
}

export interface EventRecorderOptions {
  /** Who reports: `kubelet`, `deployment-controller`. */
  readonly component: string;
  /** The node that reports, where one does. */
  readonly host?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  /** Waited for before each is written. */
  readonly pace?: (() => Promise<void>) | undefined;
}

interface Known {
  name: string;
  namespace: string;
  count: number;
  firstTimestamp: string;
}
interface Similar {
  readonly messages: Set<string>;
  last_ms: number;
}
interface Bucket {
  tokens: number;
  filled_ms: number;
}
interface Pending {
  event: Event;
  readonly key: string;
}

/** As client-go's event correlator. */
const cacheEntries = 4096;
const similarBeforeCombining = 10;
const similarWindow_ms = 600_000;
const spamBurst = 25;
const spamRefill_perMs = 1 / 300_000;

/**
 * Writes core/v1 Events without flooding the API server: of one source and object at most 25 at once and then one in five
 * minutes; the same event again only raises its count; from the tenth on, those that differ by their message alone are combined.
 * A bounded queue is written one at a time; what happens again while it waits only raises its count.
 */
export class ApiEventRecorder implements EventRecorder {
  readonly #client: Client;
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #known = new BoundedMap<Known>(cacheEntries);
  readonly #similar = new BoundedMap<Similar>(cacheEntries);
  readonly #buckets = new BoundedMap<Bucket>(cacheEntries);
  readonly #queue: EventQueue<Pending>;

  constructor(client: Client, options: EventRecorderOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#queue = new EventQueue({
      clock: this.#clock,
      log: options.log ?? silentLog,
      write: (pending) => this.#write(pending),
      reasonOf: ({ event }) => event.reason,
    });
  }

  record(about: KubeObject | ObjectReference, given: EventToRecord): void {
    const reference = referenceTo(about, given.fieldPath);
    if (!this.#takeToken(`${reference.kind}/${reference.namespace}/${reference.name}/${reference.uid}`)) return;
    const { key, message, isCombined } = this.#combine(reference, given);
    const waiting = this.#queue.waitingFor(key);
    if (waiting) {
      const { count = 1 } = waiting.event;
      waiting.event = { ...waiting.event, count: count + 1, lastTimestamp: timestamp(this.#clock) };
      return;
    }
    this.#queue.push(key, { key, event: this.#render(reference, { ...given, message }, isCombined) });
  }

  /** All that was recorded is written or dropped. */
  flushed(): Promise<void> {
    return this.#queue.flushed();
  }

  #takeToken(key: string): boolean {
    const now_ms = this.#clock.now_ms();
    const bucket = this.#buckets.get(key) ?? { tokens: spamBurst, filled_ms: now_ms };
    bucket.tokens = Math.min(spamBurst, bucket.tokens + (now_ms - bucket.filled_ms) * spamRefill_perMs);
    bucket.filled_ms = now_ms;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  #combine(
    reference: ObjectReference,
    { type, reason, message }: EventToRecord,
  ): { key: string; message: string; isCombined: boolean } {
    const about = [
      reference.kind,
      reference.namespace,
      reference.name,
      reference.uid,
      reference.apiVersion,
      reference.fieldPath,
      type,
      reason,
    ].join("|");
    const now_ms = this.#clock.now_ms();
    let similar = this.#similar.get(about);
    if (!similar || now_ms - similar.last_ms > similarWindow_ms) similar = { messages: new Set(), last_ms: now_ms };
    similar.last_ms = now_ms;
    similar.messages.add(message);
    this.#similar.set(about, similar);
    if (similar.messages.size < similarBeforeCombining)
      return { key: `${about}|${message}`, message, isCombined: false };
    similar.messages.delete(message);
    return { key: about, message: `(combined from similar events): ${message}`, isCombined: true };
  }

  /** @param isCombined such an event names its source alone, and is annotated by none of those that it stands for */
  #render(involvedObject: ObjectReference, given: EventToRecord, isCombined: boolean): Event {
    const now = timestamp(this.#clock);
    const { component, host } = this.#options;
    const namespace = involvedObject.namespace || "default";
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: {
        name: eventName(involvedObject.name ?? "", this.#clock),
        namespace,
        ...(given.annotations && !isCombined ? { annotations: { ...given.annotations } } : {}),
      },
      involvedObject,
      reason: given.reason,
      message: given.message.slice(0, 1024),
      source: { component, ...(host ? { host } : {}) },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      type: given.type,
      reportingComponent: isCombined ? "" : component,
      reportingInstance: isCombined ? "" : (host ?? ""),
    };
  }

  async #write({ key, event }: Pending): Promise<void> {
    await this.#options.pace?.();
    if (await this.#raiseCount(key, event)) return;
    const created = await this.#client.create(eventResource, event, { namespace: event.metadata.namespace });
    const { name = "", namespace = "" } = created.metadata;
    this.#known.set(key, { name, namespace, count: event.count ?? 1, firstTimestamp: event.firstTimestamp ?? "" });
  }

  /** False when the event is not known yet, or no longer. */
  async #raiseCount(key: string, event: Event): Promise<boolean> {
    const known = this.#known.get(key);
    if (!known) return false;
    const count = known.count + (event.count ?? 1);
    const body = { count, lastTimestamp: event.lastTimestamp, message: event.message };
    try {
      await this.#client.patch(eventResource, known, { type: "merge", body });
      known.count = count;
      return true;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#known.delete(key);
      return false;
    }
  }
}

/** The reference that an event or another object holds to this one. */
export function referenceTo(about: KubeObject | ObjectReference, fieldPath?: string): ObjectReference {
  const reference: ObjectReference =
    "metadata" in about
      ? {
          kind: about.kind,
          apiVersion: about.apiVersion,
          namespace: about.metadata.namespace,
          name: about.metadata.name,
          uid: about.metadata.uid,
          resourceVersion: about.metadata.resourceVersion,
        }
      : about;
  return fieldPath ? { ...reference, fieldPath } : reference;
}

let sequence = 0;
/** `name.hex`: unlike in two events of one process, and hardly in two processes. */
export function eventName(about: string, clock: Clock): string {
  const nanos = BigInt(Math.floor(clock.wall_ms())) * 1_000_000n + BigInt(sequence++ % 1_000_000);
  return `${about.slice(0, 230)}.${nanos.toString(16)}`;
}
