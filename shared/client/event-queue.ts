import { hasReason } from "#shared/api/errors.ts";
import { ConnectionError } from "./client.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

const queueLength = 1000;
const attempts = 4;
const longestAway_ms = 30_000;

export interface EventQueueOptions<T> {
  readonly clock: Clock;
  readonly log: Log;
  /** Rejects with what the server or the way to it said. */
  write(item: T): Promise<void>;
  /** For the log. */
  reasonOf(item: T): string | undefined;
}

/** Events on their way to the API server: a bounded queue, written one at a time, with retries. */
export class EventQueue<T> {
  /** In the order in which they came. */
  readonly #waiting = new Map<string, T>();
  #writing: Promise<void> | undefined;
  #dropped = 0;

  constructor(private readonly options: EventQueueOptions<T>) {}

  /** What waits under the key; what is being written waits no more. */
  waitingFor(key: string): T | undefined {
    return this.#waiting.get(key);
  }

  /** Never fails: what does not fit is dropped, and counted in the log. Nothing waits under the key yet. */
  push(key: string, item: T): void {
    if (this.#waiting.size >= queueLength) {
      if (this.#dropped++ === 0) this.options.log.warn("events are dropped: the queue is full");
      return;
    }
    this.#waiting.set(key, item);
    this.#writing ??= this.#write();
  }

  /** All that was pushed is written or dropped. */
  async flushed(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #write(): Promise<void> {
    for (const [key, item] of this.#waiting) {
      this.#waiting.delete(key);
      await this.#writeOne(item);
    }
    this.#writing = undefined;
    if (this.#dropped > 0) {
      this.options.log.warn("events were dropped", { count: this.#dropped });
      this.#dropped = 0;
    }
  }

  async #writeOne(item: T): Promise<void> {
    const { log, write, reasonOf } = this.options;
    for (let attempt = 1, away = 0; attempt <= attempts; attempt++) {
      try {
        return await write(item);
      } catch (error) {
        const reason = reasonOf(item);
        if (isHopeless(error)) return log.debug("an event was refused", { reason, error });
        // What happens while no server can be reached is told when one is back.
        if (error instanceof ConnectionError) {
          attempt--;
          await this.#wait(Math.min(200 * 2 ** away++, longestAway_ms));
          continue;
        }
        if (attempt === attempts) return log.warn("an event could not be written", { reason, error });
        await this.#wait(200 * 4 ** (attempt - 1));
      }
    }
  }

  #wait(delay_ms: number): Promise<void> {
    return new Promise((resolve) => this.options.clock.after(delay_ms, resolve));
  }
}

/** The server has understood and said no: the namespace is going, the event is invalid. */
const isHopeless = (error: unknown): boolean =>
  (["Forbidden", "Invalid", "BadRequest", "AlreadyExists", "NotFound"] as const).some((reason) =>
    hasReason(error, reason),
  );
