/** Of all streams that share it: some hundred of a tunnel whose readers rest. */
const usualMost_bytes = 32 * 1024 * 1024;
/** One that holds less is not worth ending. */
const much_bytes = 64 * 1024;

export interface UnreadStream {
  /** When its reader took something last, by `performance.now()`. */
  readonly readAt_ms: number;
  destroy(reason: Error): unknown;
}

/**
 * What streams hold for readers that are behind. Each is bounded by itself, but there may be thousands, opened by clients
 * who read nothing; beyond a bound for all, those go whose readers have rested for longest.
 */
export class UnreadBytes {
  readonly #counted = new Map<UnreadStream, number>();
  #sum_bytes = 0;

  constructor(private readonly most_bytes = usualMost_bytes) {}

  /** @param bytes of what arrived, those that its reader has not taken yet; 0: also of a stream that is over. */
  count(stream: UnreadStream, bytes: number): void {
    this.#sum_bytes += bytes - (this.#counted.get(stream) ?? 0);
    if (bytes > 0) this.#counted.set(stream, bytes);
    else this.#counted.delete(stream);
    while (this.#sum_bytes > this.most_bytes && this.#makeRoom());
  }

  #makeRoom(): boolean {
    let slowest: UnreadStream | undefined;
    for (const [stream, bytes] of this.#counted) {
      if (bytes >= much_bytes && (!slowest || stream.readAt_ms < slowest.readAt_ms)) slowest = stream;
    }
    if (!slowest) return false;
    this.count(slowest, 0);
    slowest.destroy(new Error("too much waits for readers that are slow"));
    return true;
  }
}
