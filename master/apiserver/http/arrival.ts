/** Requests and answers as the pipeline has them, by whichever version of HTTP they travel. */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { TLSSocket } from "node:tls";

export interface HttpRequest {
  readonly method: string;
  /** Path and query, as the client wrote them. */
  readonly url: string;
  /** Lower-case names; `host` is what the client called the server. */
  readonly headers: IncomingHttpHeaders;
  /** Name, value, name, value … */
  readonly rawHeaders: readonly string[];
  /** Whether a body was announced. */
  readonly hasBody: boolean;
  /** The body as it arrives; `close` without `end` where it does not come whole. */
  readonly body: Readable;
  /** The body at once, where all of it is here and nobody reads it otherwise. */
  takeWhole?(): Uint8Array | undefined;
}

type HeaderValue = string | number | readonly string[];

/** What node:http's ServerResponse is of it. */
export interface HttpResponse {
  readonly statusCode: number;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly closed: boolean;
  readonly destroyed: boolean;
  getHeader(name: string): HeaderValue | undefined;
  hasHeader(name: string): boolean;
  setHeader(name: string, value: HeaderValue): unknown;
  appendHeader(name: string, value: string | readonly string[]): unknown;
  writeHead(status: number, headers?: Record<string, string>): unknown;
  flushHeaders(): void;
  /** False where the client does not take it all now: `drain` follows. */
  write(chunk: string | Uint8Array): boolean;
  end(chunk?: string | Uint8Array): unknown;
  /** HTTP/2: of the body as far as it was given. */
  readonly body_bytes?: number;
  /** HTTP/2: until other answers of its connection leave room for this one to be made; undefined: they do. */
  whenRoom?(): Promise<void> | undefined;
  /** Cuts the answer off. */
  destroy(): unknown;
  on(event: "close" | "drain" | "finish", listener: () => void): unknown;
  once(event: "close" | "drain" | "finish", listener: () => void): unknown;
  removeListener(event: "close" | "drain" | "finish", listener: () => void): unknown;
  /** Where head and body would leave in writes of their own unless they are corked. */
  readonly socket?: { cork(): void; uncork(): void } | null;
}

/** A request as it came, and the way back to its client. */
export interface Arrival {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly connection: TLSSocket;
  /** Of what was answered, the bytes that the client has not taken yet. */
  untaken_bytes(): number;
  /** Leaves a client that takes nothing. */
  leave(): void;
  /** Has the client make no more requests by this connection, where many may be under way on it at once. */
  retire?(): void;
}

/** Answers one request. Resolves when nothing of it goes on any more; never rejects. */
export type ServeArrival = (arrival: Arrival) => Promise<void>;

/** Sends what a stream gives as an answer's body; where it breaks, the answer is cut off, and where the client has gone, it ends. */
export function pour(body: Readable, response: HttpResponse): void {
  response.on("close", () => body.destroy());
  response.on("drain", () => body.resume());
  body.on("error", () => response.destroy());
  body.on("data", (chunk: Uint8Array) => {
    if (!response.write(chunk)) body.pause();
  });
  body.on("end", () => response.end());
}
