/** Reads what a watch sends while it is sent. */
export class EventStream {
  readonly values: unknown[] = [];
  /** Of a watch in protobuf. */
  readonly messages: Uint8Array[] = [];
  ended = false;
  isStopped = false;
  #lastCame_ms = performance.now();
  #rest: Buffer = Buffer.alloc(0);
  readonly #changed = new Set<() => void>();

  constructor(
    readonly response: Response,
    private readonly abort: AbortController,
  ) {
    this.#read().catch((error: unknown) => {
      if (!this.isStopped) this.values.push({ broken: String(error) });
      this.#tell();
    });
  }

  get code(): number {
    return this.response.status;
  }

  get isBinary(): boolean {
    return /protobuf|cbor/.test(this.response.headers.get("content-type") ?? "");
  }

  async #read(): Promise<void> {
    for await (const chunk of this.response.body as unknown as AsyncIterable<Uint8Array>) {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      this.#lastCame_ms = performance.now();
      if (this.isBinary) this.#takeMessages();
      else this.#takeLines();
      this.#tell();
    }
    if (this.#rest.length > 0 && !this.isBinary) this.values.push(parsedOr(this.#rest.toString()));
    this.ended = true;
    this.#tell();
  }

  #takeLines(): void {
    // A refusal is one document, over several lines.
    if (this.code !== 200) return;
    for (let end = this.#rest.indexOf(10); end >= 0; end = this.#rest.indexOf(10)) {
      this.values.push(JSON.parse(this.#rest.subarray(0, end).toString()));
      this.#rest = this.#rest.subarray(end + 1);
    }
  }

  /** Each behind its length. */
  #takeMessages(): void {
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readUInt32BE(0)) {
      const length = this.#rest.readUInt32BE(0);
      this.messages.push(new Uint8Array(this.#rest.subarray(4, 4 + length)));
      this.#rest = this.#rest.subarray(4 + length);
    }
  }

  /** What has come so far, but for bookmarks within a stream: when these come is nobody's business. The one after the initial
   *  events counts, and the last one of a watch that has ended. */
  get events(): readonly unknown[] {
    const all = this.isBinary ? this.messages : this.values;
    const texts = all.map((each) =>
      each instanceof Uint8Array ? Buffer.from(each).toString("latin1") : JSON.stringify(each),
    );
    return all.filter((_, index) => {
      const text = texts[index] ?? "";
      const isLast = this.ended && index === all.length - 1;
      return isLast || !text.includes("BOOKMARK") || text.includes("k8s.io/initial-events-end");
    });
  }

  #tell(): void {
    for (const each of [...this.#changed]) each();
  }

  /** Resolves when it holds, the stream has ended, or it has taken too long: what is missing then is seen. */
  #until(holds: () => boolean, patience_ms: number): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!holds() && !this.ended) return;
        done();
      };
      const timer = setTimeout(() => done(), patience_ms);
      const done = (): void => {
        clearTimeout(timer);
        this.#changed.delete(check);
        resolve();
      };
      this.#changed.add(check);
      check();
    });
  }

  untilCount(count: number, patience_ms: number): Promise<void> {
    return this.#until(() => this.events.length >= count, patience_ms);
  }

  untilEnded(patience_ms: number): Promise<void> {
    return this.#until(() => this.ended, patience_ms);
  }

  async untilQuiet(quiet_ms: number): Promise<void> {
    this.#lastCame_ms = Math.max(this.#lastCame_ms, performance.now());
    while (!this.ended && performance.now() - this.#lastCame_ms < quiet_ms) await Bun.sleep(100);
  }

  /** @param ends whether it was to end by itself: one that did not is seen. */
  stop(ends: boolean): void {
    if (!ends && this.code === 200) this.ended = false;
    this.isStopped = true;
    this.abort.abort();
  }
}

export function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
