/** One resource's objects and its recent history, fed from the store, read synchronously. */

import { expired } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { CompactMap } from "#shared/compact/compact-map.ts";
import { compareKeys } from "../../store/key-order.ts";
import type { StoredValue, StoreEvent } from "../../store/store.ts";
import { Entry, type Indexed } from "./entry.ts";
import { type CacheEvent, EventHistory } from "./event-history.ts";
import { type LooseTexts, Packer } from "./packed-text.ts";
import { SealedValues, type Unreadable } from "./sealed-values.ts";
import { lowerBound, rangeOf } from "./sorted-entries.ts";
import { deepFreeze, isAtRest, parseLossless, toStoredText } from "./stored-text.ts";

export type CacheListener = (event: CacheEvent) => void;

export type Indexer = (view: KubeObject) => Indexed;

/** Gives what a value of the store is read as, where that is another than it says itself; throws where it is no object of its kind. */
export type Decoder = (value: KubeObject, key: string) => KubeObject | undefined;

/** Hands over the object that a text was made from, so that it need not be parsed again. It lacks the revision. */
export type ViewSource = (key: string, stored: string) => KubeObject | undefined;

export class ResourceCache {
  readonly #entries = new CompactMap<Entry>();
  /** The same in the order of their keys, so that a list is a copy of a piece of it. */
  #sorted: Entry[] = [];
  readonly #history: EventHistory;
  /** What was filled in shows every change up to here. */
  #filledAt: number;
  readonly #listeners = new Set<CacheListener>();
  readonly #closers = new Set<() => void>();
  readonly #packer = new Packer();
  readonly #unreadable = new Map<string, Unreadable>();
  /** What cannot be read for now. An entry from before is kept, so that listeners hear what becomes of it. */
  readonly #sealed = new SealedValues();

  constructor(
    /** `/registry/pods/` */
    readonly prefix: string,
    start: number,
    private readonly indexer: Indexer,
    private readonly viewOf: ViewSource,
    private readonly loose: LooseTexts,
    private readonly report: (message: string) => void,
    private readonly decode: Decoder,
  ) {
    this.#history = new EventHistory(start);
    this.#filledAt = start;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Events after this revision can be had. */
  get historyStart(): number {
    return this.#history.start;
  }

  get(key: string): Entry | undefined {
    return this.#sealed.has(key) ? undefined : this.#entries.get(key);
  }

  /** What is there under a key, but is no object that can be read. */
  unreadable(key: string): Unreadable | undefined {
    return this.#unreadable.get(key);
  }

  /** What is there, but cannot be read for now. */
  get sealed(): Pick<SealedValues, "at" | "first"> {
    return this.#sealed;
  }

  /** Keys of all such values, in one namespace or in all. */
  unreadableKeys(namespace?: string): string[] {
    const begin = namespace ? `${namespace}/` : "";
    return [...this.#unreadable.keys()].filter((key) => key.startsWith(begin)).sort();
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** Entries in key order, of one namespace or of all. The array is the caller's. */
  list(namespace?: string): Entry[] {
    return namespace ? this.#sorted.slice(...rangeOf(this.#sorted, namespace)) : this.#sorted.slice();
  }

  /** Entries as of a revision in the history; undefined when it lies before that. */
  listAt(revision: number, namespace?: string): Entry[] | undefined {
    if (revision < this.#history.start) return undefined;
    const undone = new Map<string, Entry | undefined>();
    for (const { entry, previous } of this.#history.after(revision)) {
      if (!undone.has(entry.key)) undone.set(entry.key, previous);
    }
    if (undone.size === 0) return this.list(namespace);
    const kept = this.list(namespace).filter((entry) => !undone.has(entry.key));
    for (const entry of undone.values()) {
      if (entry && (!namespace || entry.namespace === namespace)) kept.push(entry);
    }
    return kept.sort((a, b) => compareKeys(a.key, b.key));
  }

  /** Takes over some of what was there when the cache began; all of it before `begin`. */
  fill(items: readonly StoredValue[]): void {
    for (const item of items) {
      const { key, value, revision } = item;
      if (item.sealed !== undefined) {
        this.#seal(item, item.sealed);
        continue;
      }
      // Parsed for the index alone: most of what a store holds nobody asks for soon.
      const entry = this.#readable({ key, value, revision }, () => {
        const own = key.slice(this.prefix.length);
        const { text, object } = this.#read(own, value);
        return new Entry(own, revision, text, this.indexer(object), undefined);
      });
      if (!entry) continue;
      this.#entries.set(entry.key, entry);
      this.loose.add(entry, this.#packer);
    }
  }

  /** What was filled in is all that there was at `revision`. */
  begin(revision: number): void {
    this.#history.restart(revision);
    this.#filledAt = revision;
    this.#sorted = [...this.#entries.values()].sort((a, b) => compareKeys(a.key, b.key));
  }

  /** Nothing more will come: what it holds is for those alone who still have it. */
  end(): void {
    this.close();
    for (const entry of this.#entries.values()) this.loose.leave(entry);
  }

  /** Forgets all that it holds and has heard. */
  clear(): void {
    for (const entry of this.#entries.values()) this.loose.leave(entry);
    this.#entries.clear();
    this.#unreadable.clear();
    this.#sealed.clear();
    this.#sorted = [];
    this.#history.restart(this.#history.start);
  }

  /** Gives what `read` makes of a value, or reports that it is no object of this kind: one bad value, which only a hand in the
   *  store itself writes, must not keep all others from their readers. */
  #readable<T>({ key, revision }: StoredValue, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      const why = messageOf(error);
      this.#unreadable.set(key.slice(this.prefix.length), { revision, why });
      this.report(`${key} in the store is no object that can be read, and is left out: ${why}`);
      return undefined;
    }
  }

  /** What a value is read as, and the text of that as it would rest. Throws where it is no object of this kind. */
  #read(key: string, stored: string): { readonly text: string; readonly object: KubeObject } {
    const parsed = parseLossless(stored) as KubeObject;
    const decoded = this.decode(parsed, key);
    if (!decoded && isAtRest(stored, parsed)) return { text: stored, object: parsed };
    const object = decoded ?? parsed;
    return { text: toStoredText(object), object };
  }

  /** The entries of those values of the store that can be read, of whatever time. */
  entriesOf(items: readonly StoredValue[]): Entry[] {
    return items.flatMap(({ key, value, revision }) => {
      try {
        return [this.entryOf(key, value, revision)];
      } catch {
        // It was reported when it came.
        return [];
      }
    });
  }

  /** An entry from a value of the store, which need not be the present one. Throws if that is no object of this kind. */
  entryOf(storeKey: string, stored: string, revision: number): Entry {
    const key = storeKey.slice(this.prefix.length);
    const own = this.viewOf(storeKey, stored);
    const { text, object } = own ? { text: stored, object: own } : this.#read(key, stored);
    object.metadata.resourceVersion = String(revision);
    return new Entry(key, revision, text, this.indexer(object), deepFreeze(object));
  }

  apply(event: StoreEvent): void {
    if (event.revision <= this.#filledAt) return;
    const key = event.key.slice(this.prefix.length);
    const previous = this.#entries.get(key);
    this.#unreadable.delete(key);
    this.#sealed.delete(key);
    if (event.type === "put" && event.sealed !== undefined) {
      this.#seal(event, event.sealed);
      // Who watches would miss what has changed.
      this.close();
      return;
    }
    const entry =
      event.type === "delete"
        ? undefined
        : this.#readable(event, () => this.entryOf(event.key, event.value, event.revision));
    if (!entry) {
      if (!previous) return;
      this.#entries.delete(key);
      this.loose.leave(previous);
      this.#sorted.splice(lowerBound(this.#sorted, key), 1);
      this.#publish({ type: "DELETED", revision: event.revision, entry: previous.at(event.revision), previous });
      return;
    }
    this.#entries.set(key, entry);
    if (previous) this.loose.leave(previous);
    this.loose.add(entry, this.#packer);
    this.#place(entry, previous);
    this.#publish({ type: previous ? "MODIFIED" : "ADDED", revision: event.revision, entry, previous });
  }

  #seal({ key, revision }: StoredValue, why: string): void {
    this.#sealed.set(key.slice(this.prefix.length), { revision, why });
  }

  /** What could not be read, now that some of it can: of its present values, those that have not changed since. Watches begin anew once
   *  all of it can. @param now the revision that all entries show. */
  unseal(items: readonly StoredValue[], now: number): void {
    if (this.#sealed.size === 0) return;
    for (const { key: storeKey, value, revision, sealed } of items) {
      const key = storeKey.slice(this.prefix.length);
      if (sealed !== undefined || this.#sealed.at(key)?.revision !== revision) continue;
      this.#sealed.delete(key);
      this.#takeUnsealed(key, { key: storeKey, value, revision });
    }
    if (this.#sealed.size > 0) return;
    this.#history.restart(Math.max(this.#history.start, now));
    this.close();
  }

  /** Told to listeners, but not part of history, which is past its revision. */
  #takeUnsealed(key: string, stored: StoredValue): void {
    const previous = this.#entries.get(key);
    const entry = this.#readable(stored, () => this.entryOf(stored.key, stored.value, stored.revision));
    if (previous) this.loose.leave(previous);
    if (!entry) {
      if (previous) this.#sorted.splice(lowerBound(this.#sorted, key), 1);
      this.#entries.delete(key);
      return;
    }
    this.#entries.set(key, entry);
    this.loose.add(entry, this.#packer);
    this.#place(entry, previous);
    this.#tell({ type: previous ? "MODIFIED" : "ADDED", revision: stored.revision, entry, previous });
  }

  #place(entry: Entry, previous: Entry | undefined): void {
    const last = this.#sorted.at(-1);
    if (last === undefined || compareKeys(last.key, entry.key) < 0) this.#sorted.push(entry);
    else this.#sorted.splice(lowerBound(this.#sorted, entry.key), previous ? 1 : 0, entry);
  }

  #publish(event: CacheEvent): void {
    this.#history.add(event);
    this.#tell(event);
  }

  /** Gives up events from before `at_ms` (of performance.now), but for the last ones; says how many. */
  forgetBefore(at_ms: number): number {
    return this.#history.forgetBefore(at_ms);
  }

  /**
   * Gives every event after `after`, the past ones before this returns. `onClose` is called when the cache can no longer
   * promise that, also when the listener has thrown. Throws Expired when the history does not reach back so far.
   */
  subscribe(after: number, listener: CacheListener, onClose: () => void): () => void {
    const { start } = this.#history;
    if (after < start) throw expired(`too old resource version: ${after} (${start})`);
    for (const event of this.#history.after(after)) listener(event);
    // A revision that is yet to come may be asked for.
    const leave = (): void => {
      this.#listeners.delete(later);
      this.#closers.delete(onClose);
    };
    const later: CacheListener = (event) => {
      if (event.revision <= after) return;
      try {
        listener(event);
      } catch (error) {
        leave();
        onClose();
        throw error;
      }
    };
    this.#listeners.add(later);
    this.#closers.add(onClose);
    return leave;
  }

  /** For readers inside the server: every event from now on, over gaps too. What they throw is reported. */
  listen(listener: CacheListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins anew after a gap: who watches must list again. */
  reset(items: readonly StoredValue[], revision: number): void {
    const before = new Map(this.#entries);
    this.clear();
    this.fill(items);
    this.begin(revision);
    this.close();
    this.#announceDifferences(before, revision);
  }

  /** Listeners that stay over a reset (readers inside the server) hear what changed in the gap. */
  #announceDifferences(before: ReadonlyMap<string, Entry>, revision: number): void {
    for (const [key, previous] of before) {
      if (!this.#entries.has(key)) {
        this.#tell({ type: "DELETED", revision, entry: previous.at(revision), previous });
      }
    }
    for (const [key, entry] of this.#entries) {
      const previous = before.get(key);
      if (previous?.revision === entry.revision) continue;
      // Deleted and made anew in the gap: two events, so that no listener mixes the two up.
      if (previous && previous.view().metadata.uid !== entry.view().metadata.uid) {
        this.#tell({ type: "DELETED", revision: entry.revision, entry: previous.at(entry.revision), previous });
        this.#tell({ type: "ADDED", revision: entry.revision, entry, previous: undefined });
        continue;
      }
      this.#tell({ type: previous ? "MODIFIED" : "ADDED", revision: entry.revision, entry, previous });
    }
  }

  /** A listener that fails keeps no other from the event. */
  #tell(event: CacheEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.report(`${this.prefix}${event.entry.key} at ${event.revision}: a reader failed (${error})`);
      }
    }
  }

  /** Ends all watches. */
  close(): void {
    for (const closer of [...this.#closers]) closer();
  }
}
