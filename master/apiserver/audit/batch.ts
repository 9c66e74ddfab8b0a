/** How events wait to be written: together, for a while, and never more than so many. */
export interface BatchOptions {
  /** An event waits so long at most; 0: it is written with the next turn. */
  readonly maxWait_ms: number;
  readonly maxEvents: number;
  readonly bufferEvents: number;
  readonly bufferBytes: number;
  /** Writes events, in order. What it rejects with is logged, and the events are gone. */
  readonly send: (events: readonly string[]) => Promise<void>;
  /** Told of what could not be recorded. */
  readonly onLoss: (message: string, events: number) => void;
}

/** Gathers events so that a card is written to, or a collector asked, rarely. No timer runs while there are none. */
export class EventBatch {
  readonly #options: BatchOptions;
  #waiting: string[] = [];
  #bytes = 0;
  #dropped = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | undefined;

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /** Dropped where too many wait already. */
  add(event: string): void {
    const { bufferEvents, bufferBytes, maxEvents, maxWait_ms } = this.#options;
    if (this.#waiting.length >= bufferEvents || this.#bytes + event.length > bufferBytes) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push(event);
    this.#bytes += event.length;
    if (this.#waiting.length >= maxEvents) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), maxWait_ms);
  }

  /** Writes all that waits. */
  async flush(): Promise<void> {
    this.#begin();
    while (this.#sending) await this.#sending;
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0 || this.#sending) return;
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#options.maxEvents);
      for (const event of batch) this.#bytes -= event.length;
      await this.#options.send(batch).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        this.#options.onLoss(`${batch.length} audit events are lost: ${why}`, batch.length);
      });
      if (this.#dropped === 0) continue;
      this.#options.onLoss(`${this.#dropped} audit events are lost: more came than could be written`, this.#dropped);
      this.#dropped = 0;
    }
  }
}
