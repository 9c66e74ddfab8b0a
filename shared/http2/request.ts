import { Readable } from "node:stream";
import { GatheredBytes } from "#shared/http/gathered-bytes.ts";
import { type ErrorCode, errorCodes, WINDOW_BYTES, windowUpdateFrame } from "./frames.ts";
import { encodeHeaders } from "./header-encoder.ts";
import type { RequestHead } from "./request-head.ts";
import type { StreamPort } from "./stream-port.ts";

/** How much of a large body may wait to be read, once somebody reads it; before, a stream holds what the protocol begins with. */
const READ_AHEAD_BYTES = 256 * 1024;
/** Fewer bytes are not worth telling the client that they were read. */
const CREDIT_BYTES = 16 * 1024;
const CONTINUE = 100;

/** A request, and what arrives of its body. */
export class Http2Request {
  readonly method: string;
  readonly url: string;
  readonly headers: RequestHead["headers"];
  readonly rawHeaders: RequestHead["rawHeaders"];
  /** Whether a body was announced; it may still be empty. */
  readonly hasBody: boolean;
  readonly #stream: number;
  readonly #port: StreamPort;
  readonly #contentLength: number | undefined;
  #body: Body | undefined;
  readonly #arrived = new GatheredBytes();
  #received_bytes = 0;
  /** What the client may still send, and what of the rest was read without the client knowing. */
  #window_bytes = WINDOW_BYTES;
  #credit_bytes = 0;
  #isWhole: boolean;
  #isTaken = false;
  #isServed = false;
  /** Nobody wants the rest. */
  #isLeft = false;
  #isOver = false;

  constructor(stream: number, port: StreamPort, head: RequestHead, isWhole: boolean) {
    this.method = head.method;
    this.url = head.url;
    this.headers = head.headers;
    this.rawHeaders = head.rawHeaders;
    this.hasBody = !isWhole;
    this.#stream = stream;
    this.#port = port;
    this.#contentLength = head.contentLength;
    this.#isWhole = isWhole;
  }

  /** The client has sent all of it. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** The body as it arrives; `close` without `end` where it did not come whole. */
  get body(): Readable {
    if (this.#body) return this.#body;
    this.#body = new Body(
      () => this.#read(),
      () => this.#leaveRest(),
    );
    if (this.#isLeft) this.#body.destroy();
    return this.#body;
  }

  /** Whether anything of it waits to be read. */
  get hasUnread(): boolean {
    return this.#arrived.length > 0;
  }

  /** Somebody reads the body, or has read it. */
  get isRead(): boolean {
    return this.#isTaken || this.#body !== undefined;
  }

  /** The body, where all of it is here already and nobody has begun to read it: most are small, and come with their head. */
  takeWhole(): Uint8Array | undefined {
    if (!this.#isWhole || this.#body || this.#isLeft) return undefined;
    this.#isTaken = true;
    this.#port.unread(-this.#arrived.length);
    return this.#arrived.takeAll();
  }

  /** @param counted_bytes what the client counts, padding included. The error that the stream ends with, if any. */
  receive(data: Buffer, counted_bytes: number, isLast: boolean): ErrorCode | undefined {
    if (this.#isWhole) return errorCodes.streamClosed;
    this.#window_bytes -= counted_bytes;
    if (this.#window_bytes < 0) return errorCodes.flowControlError;
    this.#received_bytes += data.length;
    if (this.#received_bytes > (this.#contentLength ?? Number.POSITIVE_INFINITY)) return errorCodes.protocolError;
    const unread_bytes = this.#isLeft ? 0 : data.length;
    if (unread_bytes > 0) {
      this.#arrived.push(data);
      this.#port.unread(unread_bytes);
    }
    this.#credit(counted_bytes - unread_bytes);
    if (isLast) return this.end();
    this.#hand();
    return undefined;
  }

  /** No more follows. */
  end(): ErrorCode | undefined {
    if (this.#isWhole) return errorCodes.streamClosed;
    if (this.#contentLength !== undefined && this.#received_bytes !== this.#contentLength)
      return errorCodes.protocolError;
    this.#isWhole = true;
    this.#hand();
    return undefined;
  }

  /** The stream is over. What has arrived whole may still be read. */
  close(): void {
    this.#isOver = true;
    if (!this.#isWhole || this.#isServed) this.discard();
  }

  /** Whoever answers it has come to an end; what has begun to read it may go on for as long as the stream is there. */
  served(): void {
    this.#isServed = true;
    if (this.#isOver || !this.isRead) this.discard();
  }

  /** Nobody will read the rest: it is let go, and whoever would read it all the same finds that it did not come whole. */
  discard(): void {
    this.#leaveRest();
    this.#body?.destroy();
  }

  #read(): void {
    if (this.#body?.isWanted === false) {
      const isLong = (this.#contentLength ?? Number.POSITIVE_INFINITY) > WINDOW_BYTES;
      if (!this.#isWhole && this.#received_bytes === 0 && /^100-continue$/i.test(this.headers.expect ?? ""))
        this.#port.pushHeaders(this.#stream, encodeHeaders(CONTINUE, []), false);
      if (!this.#isWhole && isLong) this.#credit(READ_AHEAD_BYTES - WINDOW_BYTES);
      this.#body.isWanted = true;
    }
    this.#hand();
  }

  /** Hands over what has arrived, as far as it is wanted. */
  #hand(): void {
    const body = this.#body;
    if (!body?.isWanted || body.isFull) return;
    for (let data = this.#arrived.shift(); data; data = this.#arrived.shift()) {
      this.#port.unread(-data.length);
      this.#credit(data.length);
      body.isFull = !body.push(data);
      if (body.isFull) return;
    }
    if (this.#isWhole && !body.isEnded) {
      body.isEnded = true;
      body.push(null);
    }
  }

  #credit(bytes: number): void {
    this.#credit_bytes += bytes;
    if (this.#isWhole || this.#isOver || this.#credit_bytes < CREDIT_BYTES) return;
    this.#port.push(windowUpdateFrame(this.#stream, this.#credit_bytes));
    this.#window_bytes += this.#credit_bytes;
    this.#credit_bytes = 0;
  }

  #leaveRest(): void {
    this.#isLeft = true;
    const rest_bytes = this.#arrived.length;
    if (rest_bytes === 0) return;
    this.#arrived.clear();
    this.#port.unread(-rest_bytes);
    this.#credit(rest_bytes);
  }
}

class Body extends Readable {
  isWanted = false;
  isFull = false;
  isEnded = false;
  readonly #want: () => void;
  readonly #leave: () => void;

  constructor(want: () => void, leave: () => void) {
    super();
    this.#want = want;
    this.#leave = leave;
    // Whoever reads learns of the end by `close`; an error that nobody listens for must harm nobody.
    this.on("error", () => undefined);
  }

  override _read(): void {
    this.isFull = false;
    this.#want();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#leave();
    done(error);
  }
}
