/**
 * One key space over the disk and memory, with one sequence of revisions, so that a board's card is written only for what
 * must outlive a restart. Where a key rests follows from its prefix:
 * - durable: in SQLite, on the disk before the write is answered;
 * - volatile: in memory, gone after a restart;
 * - batched: in memory, written in rare batches (Events);
 * - quiet: in memory, and written at once when anything but the fields that tick changes (Leases: renewTime).
 */

import { messageOf } from "#shared/api/joined-errors.ts";
import { isDiskFull, StoreSyncError } from "./database-file.ts";
import { applyWrite, type Engine, type Outcome, type Write } from "./engine.ts";
import { compareKeys } from "./key-order.ts";
import { MemoryEngine } from "./memory-engine.ts";
import { RevisionSequence } from "./revision-sequence.ts";
import type { SqliteEngine } from "./sqlite-engine.ts";
import type { ListRange, ListResult, Revision, StoredValue, StoreEvent } from "./store.ts";

export interface Routes {
  readonly volatile: readonly string[];
  readonly batched: readonly string[];
  readonly quiet: readonly string[];
}

type Rest = "durable" | keyof Routes;

const RESERVED = "reserved";

export class RoutedEngine implements Engine {
  readonly #durable: SqliteEngine;
  readonly #memory: MemoryEngine;
  readonly #routes: Routes;
  readonly #sequence: RevisionSequence;
  /** Keys in memory whose rest on the disk is older. */
  readonly #dirty = new Set<string>();

  /** `after` is a revision that must not be given again, whatever the file says. */
  constructor(durable: SqliteEngine, routes: Routes, after: Revision = 0) {
    this.#durable = durable;
    this.#routes = routes;
    const start = Math.max(durable.newest(), durable.number(RESERVED) ?? 0, after);
    // Who knows a revision from before must list again: this file cannot show what has changed since.
    if (start === after) durable.beginAfter(after);
    this.#sequence = new RevisionSequence(start, (upTo) => durable.setNumber(RESERVED, upTo));
    this.#memory = new MemoryEngine(start);
    for (const value of durable.batched()) {
      if (this.#restOf(value.key) !== "durable") this.#memory.restore(value);
    }
  }

  get now(): Revision {
    return this.#sequence.current;
  }

  get hasDirty(): boolean {
    return this.#dirty.size > 0;
  }

  #restOf(key: string): Rest {
    const { volatile, batched, quiet } = this.#routes;
    if (isUnder(volatile, key)) return "volatile";
    if (isUnder(batched, key)) return "batched";
    if (isUnder(quiet, key)) return "quiet";
    return "durable";
  }

  #engineOf(key: string): Engine {
    return this.#restOf(key) === "durable" ? this.#durable : this.#memory;
  }

  /**
   * Applies a group of writes as one transaction of the disk; one comparison that fails does not undo the others. When
   * the disk refuses, every write that needed it fails and what rests in memory stands. Throws StoreSyncError.
   */
  commit(writes: readonly Write[]): Outcome[] {
    const needsDisk = (write: Write): boolean => {
      const rest = this.#restOf(write.key);
      return rest === "durable" || rest === "quiet";
    };
    const outcomes: Outcome[] = [];
    const run = (): void => {
      for (const write of writes) outcomes.push(applyWrite(this, write, () => this.#sequence.next()));
    };
    if (!writes.some(needsDisk) && !this.#sequence.mustReserveWithin(writes.length)) {
      run();
      return outcomes;
    }
    const before = this.#sequence.state;
    try {
      this.#durable.transaction(run);
      return outcomes;
    } catch (error) {
      if (error instanceof StoreSyncError) throw error;
      const said = messageOf(error);
      const kept = this.#keptOf(writes, outcomes);
      const used = [...kept.values()].flatMap((each) => (each.kind === "committed" ? [each.revision] : []));
      this.#sequence.rollBack(before, Math.max(before.current, ...used));
      for (const { key } of writes) if (this.#restOf(key) === "quiet") this.#dirty.add(key);
      const message = isDiskFull(error) ? "the store's disk is full: free some of it" : said;
      return writes.map(({ id }) => kept.get(id) ?? { id, kind: "failed", message });
    }
  }

  /** Outcomes of those writes of a group that stand although the disk refused it: what rests in memory, as far as it came to that. */
  #keptOf(writes: readonly Write[], outcomes: readonly Outcome[]): Map<number, Outcome> {
    const inMemory = writes.filter(({ key }) => this.#restOf(key) !== "durable");
    const ids = new Set(inMemory.map(({ id }) => id));
    return new Map(outcomes.filter(({ id }) => ids.has(id)).map((outcome) => [outcome.id, outcome]));
  }

  get(key: string): StoredValue | undefined {
    return this.#engineOf(key).get(key);
  }

  revisionOf(key: string): Revision | undefined {
    return this.#engineOf(key).revisionOf(key);
  }

  list(prefix: string, range: ListRange & { readonly now: Revision }): ListResult {
    if (this.#memoryOnly(prefix)) return this.#memory.list(prefix, range);
    const durable = this.#durable.list(prefix, range);
    if (!this.#memoryToo(prefix)) return durable;
    // Before this start nothing is known of what rests in memory: a list of everything at such a revision shows it as it was then, empty.
    const { revision = range.now } = range;
    if (revision < this.#memory.oldest()) return durable;
    const memory = this.#memory.list(prefix, range);
    const items = [...durable.items, ...memory.items].sort((a, b) => compareKeys(a.key, b.key));
    const more = durable.more || memory.more || (range.limit !== undefined && items.length > range.limit);
    return { items: range.limit === undefined ? items : items.slice(0, range.limit), revision, more };
  }

  #memoryPrefixes(): string[] {
    return [...this.#routes.volatile, ...this.#routes.batched, ...this.#routes.quiet];
  }

  #memoryOnly(prefix: string): boolean {
    return this.#memoryPrefixes().some((inMemory) => prefix.startsWith(inMemory));
  }

  #memoryToo(prefix: string): boolean {
    return this.#memoryPrefixes().some((inMemory) => inMemory.startsWith(prefix));
  }

  put(key: string, value: string, revision: Revision, replaces: Revision | undefined): void {
    const rest = this.#restOf(key);
    if (rest === "durable") {
      this.#durable.put(key, value, revision, replaces);
      return;
    }
    if (rest === "batched") this.#dirty.add(key);
    else if (rest === "quiet") {
      const previous = this.#memory.get(key);
      if (previous && withoutTicks(previous.value) === withoutTicks(value)) this.#dirty.add(key);
      // The disk may refuse it: then it is not in memory either.
      else this.#durable.writeBatched({ key, value, revision });
    }
    this.#memory.put(key, value, revision);
  }

  remove(key: string, revision: Revision, replaces: Revision): void {
    const rest = this.#restOf(key);
    if (rest === "durable") {
      this.#durable.remove(key, revision, replaces);
      return;
    }
    if (rest === "batched") this.#dirty.add(key);
    else if (rest === "quiet") this.#durable.removeBatched(key);
    this.#memory.remove(key, revision);
  }

  /** Writes what waits in memory to the disk, in one transaction. */
  flush(): void {
    if (this.#dirty.size === 0) return;
    this.#durable.transaction(() => {
      for (const key of this.#dirty) {
        const value = this.#memory.get(key);
        if (value) this.#durable.writeBatched(value);
        else this.#durable.removeBatched(key);
      }
    });
    this.#dirty.clear();
  }

  /** On a prefix over both, changes in memory from before this start are simply not there. */
  changesSince(prefix: string, after: Revision): StoreEvent[] {
    if (this.#memoryOnly(prefix)) return this.#memory.changesSince(prefix, after);
    const durable = this.#durable.changesSince(prefix, after);
    if (!this.#memoryToo(prefix)) return durable;
    const memory = this.#memory.changesSince(prefix, Math.max(after, this.#memory.oldest()));
    return [...durable, ...memory].sort((a, b) => a.revision - b.revision);
  }

  /** Moves a long log of the disk to its database: for when nobody waits. Throws StoreSyncError. */
  tendLog(): void {
    this.#durable.tendLog();
  }

  /** As the engine of the disk does it. */
  compact(revision: Revision, mayStay = 0): void {
    this.#durable.compact(revision, mayStay);
    this.#memory.compact(revision);
  }

  /** As the engine of the disk does it. Throws StoreSyncError. */
  scrub(): void {
    this.#durable.scrub();
  }

  oldest(within?: number): Revision {
    return this.#durable.oldest(within);
  }

  /** What rests in memory is lost if the disk is full, as in a power cut. */
  close(): void {
    try {
      this.flush();
      this.#durable.transaction(() => this.#durable.setNumber(RESERVED, this.#sequence.current));
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
    this.#durable.close();
  }
}

function isUnder(prefixes: readonly string[], key: string): boolean {
  for (const prefix of prefixes) if (key.startsWith(prefix)) return true;
  return false;
}

/** A Lease's text without what every renewal changes. Only compared, never parsed. */
function withoutTicks(value: string): string {
  return value
    .replace(/"renewTime":"[^"]*"/, "")
    .replace(/"time":"[^"]*"/g, "")
    .replace(/"resourceVersion":"[^"]*"/, "");
}
