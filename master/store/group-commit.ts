/**
 * When a group of writes goes to the disk: at once on a fast one. Where a sync takes long, as on a card, a group that began at once
 * would leave out the writers that were answered a moment ago and are about to write again. They would wait for its sync, the others
 * for theirs, and each sync would carry half of what it could. So it waits for as many writes as were under way before, no longer
 * than they keep coming.
 */

/** A disk that syncs in less is not waited for. */
export const SLOW_MS = 4;
/** Parts of the last sync: between one write and the next, and in all. */
const GAP = 1 / 4;
const LONGEST = 1 / 2;

export interface GroupTimes {
  now_ms(): number;
  /** Calls back after what has arrived already was taken in. */
  soon(call: () => void): void;
  later(call: () => void, after_ms: number): { cancel(): void };
}

const realTimes: GroupTimes = {
  now_ms: () => performance.now(),
  soon: (call) => void setImmediate(call),
  later(call, after_ms) {
    const timer = setTimeout(call, after_ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

export class GroupCommit<T> {
  readonly #commit: (group: readonly T[]) => void;
  readonly #times: GroupTimes;
  #group: T[] = [];
  #isSoon = false;
  #gap: { cancel(): void } | undefined;
  /** The group waits no longer than until then. */
  #until_ms = 0;
  #took_ms = 0;
  /** Writes under way at once: while the last group was gathered and synced, and since. */
  #before = 0;
  #since = 0;

  /** @param commit returns when the group rests on the disk. */
  constructor(commit: (group: readonly T[]) => void, times: GroupTimes = realTimes) {
    this.#commit = commit;
    this.#times = times;
  }

  /** @param underWay writes that nobody has an answer to, these among them. */
  add(writes: readonly T[], underWay: number): void {
    const now_ms = this.#times.now_ms();
    if (this.#group.length === 0) this.#until_ms = now_ms + this.#took_ms * LONGEST;
    this.#group.push(...writes);
    this.#since = Math.max(this.#since, underWay);
    if (this.#isSoon) return;
    this.#gap?.cancel();
    this.#gap = undefined;
    const mayCome = this.#group.length < Math.max(this.#before, this.#since);
    const isWorthIt = mayCome && this.#took_ms >= SLOW_MS && now_ms < this.#until_ms;
    if (isWorthIt) this.#gap = this.#times.later(() => this.flush(), this.#took_ms * GAP);
    else {
      this.#isSoon = true;
      this.#times.soon(() => this.flush());
    }
  }

  flush(): void {
    this.#gap?.cancel();
    this.#gap = undefined;
    this.#isSoon = false;
    const group = this.#group;
    if (group.length === 0) return;
    this.#group = [];
    this.#before = this.#since;
    this.#since = 0;
    const begun_ms = this.#times.now_ms();
    this.#commit(group);
    this.#took_ms = this.#times.now_ms() - begun_ms;
  }
}
