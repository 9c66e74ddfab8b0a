/** Keys ordered by the time at which each falls due: a binary heap with one entry a key that counts. Setting a key anew
 *  keeps the earlier time. Superseded entries are skipped when they surface, and cannot outnumber the calls of `set`. */
export class DeadlineHeap {
  readonly #due = new Map<string, number>();
  readonly #heap: { readonly key: string; readonly at_ms: number }[] = [];

  get size(): number {
    return this.#due.size;
  }

  /** When the first key falls due; infinity when there is none. */
  get earliest_ms(): number {
    this.#dropSuperseded();
    return this.#heap[0]?.at_ms ?? Number.POSITIVE_INFINITY;
  }

  set(key: string, at_ms: number): void {
    const present_ms = this.#due.get(key);
    if (present_ms !== undefined && present_ms <= at_ms) return;
    this.#due.set(key, at_ms);
    this.#push({ key, at_ms });
  }

  delete(key: string): void {
    this.#due.delete(key);
    if (this.#due.size === 0) this.#heap.length = 0;
  }

  clear(): void {
    this.#due.clear();
    this.#heap.length = 0;
  }

  /** Removes and gives the keys due by `now_ms`, earliest first. */
  takeUntil(now_ms: number): string[] {
    const taken: string[] = [];
    while (this.earliest_ms <= now_ms) {
      const entry = this.#pop();
      if (!entry) break;
      this.#due.delete(entry.key);
      taken.push(entry.key);
    }
    return taken;
  }

  #dropSuperseded(): void {
    for (let top = this.#heap[0]; top && this.#due.get(top.key) !== top.at_ms; top = this.#heap[0]) this.#pop();
  }

  #push(entry: { key: string; at_ms: number }): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (!above || above.at_ms <= entry.at_ms) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): { key: string; at_ms: number } | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const leftEntry = heap[left];
      const rightEntry = heap[right];
      if (!leftEntry) break;
      const [child, entry] =
        rightEntry && rightEntry.at_ms < leftEntry.at_ms
          ? ([right, rightEntry] as const)
          : ([left, leftEntry] as const);
      if (entry.at_ms >= last.at_ms) break;
      heap[at] = entry;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
