import { messageOf } from "../api/joined-errors.ts";
import { pause, systemClock } from "../client/clock.ts";
import { GrpcChannel } from "../grpc/channel.ts";
import { GrpcCode, GrpcError } from "../grpc/grpc-error.ts";
import { type Attributes, encodeSpans, exportPath, type Span } from "./otlp.ts";

/** As OpenTelemetry's batch processor has them; spans that find no room are dropped. */
const MOST_WAITING = 2048;
const MOST_TOGETHER = 512;
const EVERY_MS = 5000;
const WITHIN_MS = 30_000;
/** For what is left at the end: a collector that hangs is not to hold up a server's. */
const LAST_MS = 2000;

/** What may be over when it is tried again, by OTLP's specification. */
const passing: ReadonlySet<number> = new Set([
  GrpcCode.Cancelled,
  GrpcCode.DeadlineExceeded,
  GrpcCode.Aborted,
  GrpcCode.OutOfRange,
  GrpcCode.Unavailable,
  GrpcCode.DataLoss,
]);

/** Sends spans to a collector, many at a time. No timer runs while there are none. */
export class SpanExport {
  readonly #channel: GrpcChannel;
  readonly #resource: Attributes;
  readonly #log: (message: string) => void;
  #waiting: Span[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | undefined;
  /** Since when the spans at the head could not be sent (monotonic). */
  #failingSince_ms: number | undefined;
  #stopped = false;

  /** @param resource what all spans are of. `log` hears of spans that are lost. */
  constructor(endpoint: URL, resource: Attributes, log: (message: string) => void) {
    this.#channel = new GrpcChannel({ endpoint });
    this.#resource = resource;
    this.#log = log;
  }

  add(span: Span): void {
    if (this.#stopped || this.#waiting.length >= MOST_WAITING) return;
    this.#waiting.push(span);
    if (this.#waiting.length >= MOST_TOGETHER && this.#failingSince_ms === undefined) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), EVERY_MS);
  }

  /** Resolves when what waits has been sent, or could not be. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
      if (this.#waiting.length > 0 && !this.#stopped) this.#timer ??= setTimeout(() => void this.flush(), EVERY_MS);
    });
    return this.#sending;
  }

  /** Sends what is left, once, if the collector takes it soon. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const late = new AbortController();
    const sent = this.flush().finally(() => late.abort());
    await Promise.race([sent, pause(systemClock, LAST_MS, late.signal)]);
    this.#channel.close();
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const spans = this.#waiting.splice(0, MOST_TOGETHER);
      try {
        await this.#channel.unary(exportPath, encodeSpans(this.#resource, spans), WITHIN_MS);
        this.#failingSince_ms = undefined;
      } catch (error) {
        if (this.#isToBeTriedAgain(error)) {
          this.#waiting = [...spans, ...this.#waiting].slice(0, MOST_WAITING);
          return;
        }
        this.#failingSince_ms = undefined;
        this.#log(`traces export: ${messageOf(error)}`);
      }
    }
  }

  #isToBeTriedAgain(error: unknown): boolean {
    if (!(error instanceof GrpcError) || !passing.has(error.code)) return false;
    this.#failingSince_ms ??= performance.now();
    return performance.now() - this.#failingSince_ms < WITHIN_MS;
  }
}
