/** What happened of late to the objects of one resource, for watches that resume and lists that go on. */
import { cacheBounds } from "#shared/process/cache-bounds.ts";
import type { Entry } from "./entry.ts";

export interface CacheEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly revision: number;
  /** After the change; of a deletion the last state, under the deletion's revision. */
  readonly entry: Entry;
  readonly previous: Entry | undefined;
}

/** What stays, however old it is: who watched something quiet resumes. */
const KEPT_EVENTS = 128;
const MARK_EVERY = 64;

export class EventHistory {
  #events: CacheEvent[] = [];
  /** Of their entries' texts. */
  #text = 0;
  /** When every 64th event came, by its number, oldest first. */
  #marks: { readonly at_ms: number; readonly added: number }[] = [];
  #added = 0;
  #start: number;

  constructor(start: number) {
    this.#start = start;
  }

  /** Events after this revision are all here. */
  get start(): number {
    return this.#start;
  }

  /** Those after a revision in the history, oldest first. */
  after(revision: number): readonly CacheEvent[] {
    let index = this.#events.length;
    while (index > 0 && (this.#events[index - 1]?.revision ?? 0) > revision) index -= 1;
    return this.#events.slice(index);
  }

  add(event: CacheEvent): void {
    this.#events.push(event);
    this.#text += event.entry.size;
    if (this.#added % MARK_EVERY === 0) this.#marks.push({ at_ms: performance.now(), added: this.#added });
    this.#added += 1;
    const { watchEvents, watchText } = cacheBounds();
    if (this.#events.length <= watchEvents && this.#text <= watchText) return;
    // A quarter at a time, so that trimming costs little per event.
    this.#drop(Math.ceil(this.#events.length / 4));
  }

  #drop(count: number): void {
    const dropped = this.#events.splice(0, count);
    for (const event of dropped) this.#text -= event.entry.size;
    this.#start = dropped.at(-1)?.revision ?? this.#start;
    const first = this.#added - this.#events.length;
    this.#marks = this.#marks.filter(({ added }) => added >= first);
  }

  /** Gives up events from before `at_ms` (of performance.now), but for the last ones; says how many. */
  forgetBefore(at_ms: number): number {
    const mark = this.#marks.findLast((each) => each.at_ms < at_ms);
    if (!mark) return 0;
    const old = mark.added + 1 - (this.#added - this.#events.length);
    const count = Math.min(old, this.#events.length - KEPT_EVENTS);
    if (count <= 0) return 0;
    this.#drop(count);
    return count;
  }

  /** Goes on from a revision, without what was before. */
  restart(revision: number): void {
    this.#events = [];
    this.#marks = [];
    this.#text = 0;
    this.#start = revision;
  }
}
