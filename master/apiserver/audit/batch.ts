import { messageOf } from "#shared/api/joined-errors.ts";
import type { TokenBucket } from "#shared/process/token-bucket.ts";

/** How events wait to be written: together, for a while, and never more than so many. */
export interface BatchOptions {
  /** An event waits so long at most; 0: it is written with the next turn. */
  readonly maxWait_ms: number;
  readonly maxEvents: number;
  /** Of events that are written together; a larger one goes alone. No bound unless given. */
  readonly maxBytes?: number | undefined;
  readonly bufferEvents: number;
  readonly bufferBytes: number;
  /** How often is written. */
  readonly throttle?: Pick<TokenBucket, "reserve_ms"> | undefined;
  /** Writes events, in order. What it rejects with is logged, and the events are gone. */
  readonly send: (events: readonly string[]) => Promise<void>;
  readonly onLoss: (loss: Loss) => void;
}

/** Events that could not be recorded. */
export interface Loss {
  readonly events: number;
  readonly why: string;
  /** They found no room to wait in. */
  readonly isForRoom: boolean;
}

interface Waiting {
  readonly text: string;
  readonly bytes: number;
  /** Told whether it was written, where somebody waits for that. */
  readonly settle: ((isWritten: boolean) => void) | undefined;
}

/** Gathers events so that a card is written to, or a collector asked, rarely. No timer runs while there are none. */
export class EventBatch {
  readonly #options: BatchOptions;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #dropped = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | undefined;

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /** Dropped where too many wait already. */
  add(event: string): void {
    if (!this.#take(event)) return;
    if (this.#waiting.length >= this.#options.maxEvents) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), this.#options.maxWait_ms);
  }

  /** Resolves once it is written, or is not to be: then false. Those that come while others are being written go together. */
  write(event: string): Promise<boolean> {
    return new Promise((resolve) => {
      if (!this.#take(event, resolve)) resolve(false);
      this.#begin();
    });
  }

  /** Writes all that waits. */
  async flush(): Promise<void> {
    this.#begin();
    while (this.#sending) await this.#sending;
  }

  #take(text: string, settle?: Waiting["settle"]): boolean {
    const { bufferEvents, bufferBytes } = this.#options;
    const bytes = Buffer.byteLength(text);
    if (this.#waiting.length >= bufferEvents || this.#bytes + bytes > bufferBytes) {
      this.#dropped += 1;
      if (!this.#sending) this.#tellDropped();
      return false;
    }
    this.#waiting.push({ text, bytes, settle });
    this.#bytes += bytes;
    return true;
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
    const { throttle, send, onLoss } = this.#options;
    while (this.#waiting.length > 0) {
      const pause_ms = throttle?.reserve_ms() ?? 0;
      if (pause_ms > 0) await Bun.sleep(pause_ms);
      const batch = this.#next();
      const fault = await send(batch.map(({ text }) => text)).then(() => undefined, messageOf);
      for (const { settle } of batch) settle?.(fault === undefined);
      if (fault !== undefined) onLoss({ events: batch.length, why: fault, isForRoom: false });
      this.#tellDropped();
    }
  }

  /** Once for all that came meanwhile: a line for each would be a flood of its own. */
  #tellDropped(): void {
    if (this.#dropped === 0) return;
    this.#options.onLoss({ events: this.#dropped, why: "more came than could be written", isForRoom: true });
    this.#dropped = 0;
  }

  /** The longest waiting ones that may go together, taken off. */
  #next(): Waiting[] {
    const { maxEvents, maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    let bytes = 0;
    let count = 0;
    for (; count < Math.min(maxEvents, this.#waiting.length); count += 1) {
      const more = this.#waiting[count]?.bytes ?? 0;
      if (count > 0 && bytes + more > maxBytes) break;
      bytes += more;
    }
    this.#bytes -= bytes;
    return this.#waiting.splice(0, count);
  }
}
