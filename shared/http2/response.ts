import { EventEmitter } from "node:events";
import { type ErrorCode, errorCodes, flags, frameTypes, nothing, WINDOW_BYTES } from "./frames.ts";
import { encodeHeaders } from "./header-encoder.ts";
import type { StreamPort } from "./stream-port.ts";

/** Of one hop of HTTP/1.1: HTTP/2 has no such headers (RFC 9113, 8.2.2). */
const ofOneHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
/** As node:http has it. */
const badValue = /[^\t\u0020-\u007e\u0080-\u00ff]/;
const badName = /[^!#$%&'*+\-.^_`|~0-9a-z]|^$/;
const withoutBody: ReadonlySet<number> = new Set([204, 304]);

export type HeaderValue = string | number | readonly string[];

/**
 * An answer: the part of node:http's ServerResponse that servers need. Emits `drain` when more can be written after a
 * `write` that gave false, `finish` when all is sent, `close` when the stream is over either way.
 */
export class Http2Response extends EventEmitter {
  readonly writable = true;
  statusCode = 200;
  headersSent = false;
  writableEnded = false;
  writableFinished = false;
  /** The stream is over. */
  closed = false;
  /** What the client takes of this stream, by its window. */
  window_bytes: number;
  readonly stream: number;
  readonly #port: StreamPort;
  readonly #isHead: boolean;
  /** Few enough that looking along them costs less than a map. */
  #names: string[] = [];
  #values: (string | readonly string[])[] = [];
  #hasSentHead = false;
  #waiting: Uint8Array[] = [];
  #waiting_bytes = 0;
  #body_bytes = 0;
  #hasEnded = false;
  #needsDrain = false;

  constructor(stream: number, port: StreamPort, method: string, window_bytes: number = WINDOW_BYTES) {
    super();
    this.stream = stream;
    this.#port = port;
    this.#isHead = method === "HEAD";
    this.window_bytes = window_bytes;
  }

  get destroyed(): boolean {
    return this.closed;
  }

  /** Of the body, as far as it was given. */
  get body_bytes(): number {
    return this.#body_bytes;
  }

  /** Bytes that the client's window or the socket has no room for yet. */
  get writableLength(): number {
    return this.#waiting_bytes;
  }

  get writableNeedDrain(): boolean {
    return this.#needsDrain;
  }

  getHeader(name: string): string | readonly string[] | undefined {
    return this.#values[this.#names.indexOf(name.toLowerCase())];
  }

  hasHeader(name: string): boolean {
    return this.#names.includes(name.toLowerCase());
  }

  setHeader(name: string, value: HeaderValue): this {
    const field = fieldName(name);
    const texts = fieldValue(name, value);
    const known = this.#names.indexOf(field);
    if (known >= 0) this.#values[known] = texts;
    else {
      this.#names.push(field);
      this.#values.push(texts);
    }
    return this;
  }

  appendHeader(name: string, value: HeaderValue): this {
    const known = this.getHeader(fieldName(name));
    return this.setHeader(name, known === undefined ? value : [known, fieldValue(name, value)].flat());
  }

  writeHead(status: number, headers: Readonly<Record<string, HeaderValue>> = {}): this {
    this.statusCode = status;
    for (const name in headers) this.setHeader(name, headers[name] ?? "");
    this.headersSent = true;
    return this;
  }

  flushHeaders(): void {
    this.#sendHead(false);
  }

  /** False where the client or the socket does not take it all now. */
  write(chunk: string | Uint8Array): boolean {
    if (this.closed || this.writableEnded) return false;
    this.#sendHead(false);
    this.#add(chunk);
    this.#port.send(this);
    this.#needsDrain = this.#waiting_bytes > 0;
    return !this.#needsDrain;
  }

  end(chunk?: string | Uint8Array): this {
    if (this.closed || this.writableEnded) return this;
    this.writableEnded = true;
    const hasBody = chunk !== undefined && chunk.length > 0 && !this.#isBodiless;
    if (!hasBody && !this.#hasSentHead) {
      this.#hasEnded = true;
      this.#sendHead(true);
      this.#port.ended(this.stream);
      return this;
    }
    this.#sendHead(false);
    if (hasBody) this.#add(chunk);
    this.#port.send(this);
    return this;
  }

  /** Until the client has taken most of what other answers hold for it, so that this one is worth being made; undefined: now. */
  whenRoom(): Promise<void> | undefined {
    return this.#port.whenRoom();
  }

  /** Cuts the answer off, if it is not sent yet; the client sees an error. */
  destroy(code: ErrorCode = errorCodes.internalError): this {
    if (!this.closed) this.#port.reset(this.stream, code);
    return this;
  }

  /** For the connection: whether there is anything to send. */
  get hasWaiting(): boolean {
    return this.#waiting_bytes > 0 || (this.writableEnded && !this.#hasEnded);
  }

  /** For the connection: sends one frame of at most so many bytes; how many it was. */
  sendFrame(most_bytes: number): number {
    const [first] = this.#waiting;
    const part = first === undefined || first.length <= most_bytes ? first : first.subarray(0, most_bytes);
    if (first !== undefined && part === first) this.#waiting.shift();
    else if (first !== undefined && part !== undefined) this.#waiting[0] = first.subarray(part.length);
    const length = part?.length ?? 0;
    this.#waiting_bytes -= length;
    this.window_bytes -= length;
    const isLast = this.writableEnded && this.#waiting_bytes === 0;
    const { stream } = this;
    this.#port.push({ type: frameTypes.data, flags: isLast ? flags.endStream : 0, stream, payload: part ?? nothing });
    if (isLast) {
      this.#hasEnded = true;
      this.#port.ended(this.stream);
    }
    return length;
  }

  /** For the connection: what waited is sent. */
  drained(): void {
    if (!this.#needsDrain || this.#waiting_bytes > 0 || this.closed) return;
    this.#needsDrain = false;
    this.emit("drain");
  }

  /** For the connection: the stream is over. */
  close(isFinished: boolean): void {
    if (this.closed) return;
    this.closed = true;
    this.writableFinished = isFinished;
    this.#waiting = [];
    this.#waiting_bytes = 0;
    if (isFinished) this.emit("finish");
    this.emit("close");
  }

  get #isBodiless(): boolean {
    return this.#isHead || withoutBody.has(this.statusCode);
  }

  #add(chunk: string | Uint8Array): void {
    if (chunk.length === 0 || this.#isBodiless) return;
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    this.#waiting.push(bytes);
    this.#waiting_bytes += bytes.length;
    this.#body_bytes += bytes.length;
  }

  #sendHead(endsStream: boolean): void {
    if (this.#hasSentHead || this.closed) return;
    this.headersSent = this.#hasSentHead = true;
    this.#port.pushHeaders(this.stream, encodeHeaders(this.statusCode, this.#fields()), endsStream);
    this.#names = [];
    this.#values = [];
  }

  /** Name, value, name, value … */
  #fields(): string[] {
    const names = this.#names;
    const fields = names.includes("date") ? [] : ["date", dateText()];
    for (let index = 0; index < names.length; index += 1) {
      const name = names[index] ?? "";
      const value = this.#values[index] ?? "";
      if (ofOneHop.has(name)) continue;
      if (typeof value === "string") fields.push(name, value);
      else for (const each of value) fields.push(name, each);
    }
    return fields;
  }
}

/** @throws TypeError for what would break a header apart, as node:http does. */
function fieldName(name: string): string {
  const lower = name.toLowerCase();
  if (badName.test(lower)) throw new TypeError(`Header name must be a valid HTTP token [${JSON.stringify(name)}]`);
  return lower;
}

function fieldValue(name: string, value: HeaderValue): string | readonly string[] {
  const texts = typeof value === "object" ? value : String(value);
  const isBad = typeof texts === "string" ? badValue.test(texts) : texts.some((text) => badValue.test(text));
  if (isBad) throw new TypeError(`Invalid character in header content [${JSON.stringify(name)}]`);
  return texts;
}

let date = "";
let dated_s = 0;

function dateText(): string {
  const now_s = Math.floor(Date.now() / 1000);
  if (now_s !== dated_s) {
    dated_s = now_s;
    date = new Date(now_s * 1000).toUTCString();
  }
  return date;
}
