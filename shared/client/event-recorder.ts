import { hasReason, isNotFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { events as eventResource } from "#shared/api/resources.ts";
import { isSubdomain } from "#shared/api/selector/label-syntax.ts";
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

/** What was seen of one event, told or not. */
interface Observed {
  readonly name: string;
  readonly firstTimestamp: string | undefined;
  readonly count: number;
  /** Whether the server has it, as far as is known. */
  isWritten: boolean;
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
 * Writes core/v1 Events without flooding the API server: the same event again only raises its count; from the tenth on, those
 * of an object that differ by their message or the part that they are about are combined. Of one source, object and type at
 * most 25 are written at once and then one in five minutes; what is not written counts all the same.
 * A bounded queue is written one at a time; what happens again while it waits only raises its count.
 */
export class ApiEventRecorder implements EventRecorder {
  readonly #client: Client;
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #observed = new BoundedMap<Observed>(cacheEntries);
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
    const { key, message, isCombined } = this.#combine(reference, given);
    const event = this.#observe(key, this.#render(reference, { ...given, message }, isCombined));
    const { kind, namespace, name, uid, apiVersion } = reference;
    if (!this.#takeToken([kind, namespace, name, uid, apiVersion, given.type].join("|"))) return;
    const waiting = this.#queue.waitingFor(key);
    if (!waiting) this.#queue.push(key, { key, event });
    else waiting.event = { ...waiting.event, ...changing(event) };
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
    const { kind, namespace, name, uid, apiVersion, fieldPath } = reference;
    const about = [kind, namespace, name, uid, apiVersion, type, reason].join("|");
    const now_ms = this.#clock.now_ms();
    let similar = this.#similar.get(about);
    if (!similar || now_ms - similar.last_ms > similarWindow_ms) similar = { messages: new Set(), last_ms: now_ms };
    similar.last_ms = now_ms;
    similar.messages.add(message);
    this.#similar.set(about, similar);
    if (similar.messages.size < similarBeforeCombining)
      return { key: `${about}|${fieldPath}|${message}`, message, isCombined: false };
    similar.messages.delete(message);
    return { key: about, message: `(combined from similar events): ${message}`, isCombined: true };
  }

  /** The event as what has happened before makes it: under the first one's name, counted. */
  #observe(key: string, event: Event): Event {
    const before = this.#observed.get(key);
    const name = before?.name ?? event.metadata.name ?? "";
    const firstTimestamp = before ? before.firstTimestamp : event.firstTimestamp;
    const count = (before?.count ?? 0) + 1;
    this.#observed.set(key, { name, firstTimestamp, count, isWritten: before?.isWritten ?? false });
    return { ...event, metadata: { ...event.metadata, name }, firstTimestamp, count };
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
      message: given.message,
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
    if (this.#observed.get(key)?.isWritten && (await this.#update(event))) return;
    try {
      await this.#client.create(eventResource, event, { namespace: event.metadata.namespace });
    } catch (error) {
      // It came through the last time, though no answer came back.
      if (!hasReason(error, "AlreadyExists")) throw error;
    }
    const observed = this.#observed.get(key);
    if (observed) observed.isWritten = true;
  }

  /** False when the server has it no longer: events do not live long. */
  async #update(event: Event): Promise<boolean> {
    const { name = "", namespace } = event.metadata;
    try {
      await this.#client.patch(eventResource, { name, namespace }, { type: "merge", body: changing(event) });
      return true;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return false;
    }
  }
}

/** What changes of an event as it happens again. */
const changing = ({ count, lastTimestamp, message }: Event): Pick<Event, "count" | "lastTimestamp" | "message"> => ({
  count,
  lastTimestamp,
  message,
});

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
/** `name.hex`: unlike in two events of one process, and hardly in two processes. Where that cannot be a name, one of chance. */
export function eventName(about: string, clock: Clock): string {
  const nanos = BigInt(Math.floor(clock.wall_ms())) * 1_000_000n + BigInt(sequence++ % 1_000_000);
  const name = `${about}.${nanos.toString(16)}`;
  return isSubdomain(name) ? name : crypto.randomUUID();
}
