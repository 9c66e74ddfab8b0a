export interface BackOffEntry {
  readonly delay_ms: number;
  /** When the delay last grew. */
  readonly lastUpdate_ms: number;
  /** A failure whose time is yet to come, for the clock was put back since, counts as of when it was first seen so. */
  readonly ahead?: { readonly event_ms: number; readonly as_ms: number } | undefined;
}

const usualInitial_ms = 10_000;

/**
 * Growing delays by key: the first retry is free, then `initial_ms`, doubling up to `max_ms`; forgotten when nothing
 * failed for twice `max_ms`. As client-go's flowcontrol.Backoff, on which upstream's CrashLoopBackOff stands.
 */
export class BackOff {
  /** As usual, but with no pause that is longer. */
  static upTo(longest_ms: number): BackOff {
    return new BackOff(Math.min(usualInitial_ms, longest_ms), longest_ms);
  }

  readonly #entries = new Map<string, BackOffEntry>();

  constructor(
    readonly initial_ms = usualInitial_ms,
    readonly max_ms = 300_000,
  ) {}

  get(key: string): BackOffEntry | undefined {
    return this.#entries.get(key);
  }

  /** Until when a retry of what failed at `event_ms` has to wait; undefined when it may be tried. */
  waitUntil(key: string, event_ms: number, now_ms: number): number | undefined {
    const entry = this.#entries.get(key);
    if (!entry || this.#expired(entry, event_ms)) return undefined;
    let since_ms = entry.ahead?.event_ms === event_ms ? entry.ahead.as_ms : event_ms;
    if (since_ms > now_ms) {
      since_ms = now_ms;
      this.#entries.set(key, { ...entry, ahead: { event_ms, as_ms: now_ms } });
    }
    const until_ms = since_ms + entry.delay_ms;
    return now_ms < until_ms ? until_ms : undefined;
  }

  /** Counts one retry. */
  next(key: string, event_ms: number, now_ms: number): void {
    const entry = this.#entries.get(key);
    const delay_ms =
      !entry || this.#expired(entry, event_ms) ? this.initial_ms : Math.min(entry.delay_ms * 2, this.max_ms);
    this.#entries.set(key, { delay_ms, lastUpdate_ms: now_ms });
  }

  reset(key: string): void {
    this.#entries.delete(key);
  }

  /** Forgets all keys of one owner. */
  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }

  #expired(entry: BackOffEntry, event_ms: number): boolean {
    return event_ms - entry.lastUpdate_ms > this.max_ms * 2;
  }
}
