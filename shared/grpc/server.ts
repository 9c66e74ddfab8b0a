/** A gRPC server for what boards' services need: unary calls and server streams, on a unix socket or a TCP port. */

import { rmSync } from "node:fs";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { messageOf } from "#shared/api/joined-errors.ts";
import { framed, longestTimer_ms, messagesIn } from "./frames.ts";
import { GrpcCode, GrpcError } from "./grpc-error.ts";

export interface ServerCall {
  /** Aborted when the client went away, cancelled, or its deadline passed. */
  readonly signal: AbortSignal;
}

/** Answers one request. What it throws becomes the status: a GrpcError as it is, anything else Unknown. */
export type UnaryMethod = (request: Buffer, call: ServerCall) => Promise<Uint8Array> | Uint8Array;
/** Answers one request many times; held back by a client that does not read. */
export type StreamMethod = (request: Buffer, call: ServerCall) => AsyncIterable<Uint8Array>;

export interface GrpcServerOptions {
  /** By full path, `/package.Service/Method`. */
  readonly unary?: Readonly<Record<string, UnaryMethod>>;
  readonly streams?: Readonly<Record<string, StreamMethod>>;
  /** 4 MiB if absent, gRPC's usual. */
  readonly longestMessage_bytes?: number;
  /** Calls at a time on one connection; 100 if absent. */
  readonly maxConcurrentStreams?: number;
  /** What went wrong in a method; the client is told in any case. */
  readonly onError?: (path: string, error: unknown) => void;
}

const defaultLongest_bytes = 4 * 1024 * 1024;

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  #socketPath: string | undefined;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    const settings = { maxConcurrentStreams: options.maxConcurrentStreams ?? 100 };
    this.#server = createServer({ settings });
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      // A connection that breaks ends its calls; there is nothing else to do about it.
      session.on("error", () => session.destroy());
    });
    this.#server.on(
      "stream",
      (stream, headers) => void this.#serve(stream as ServerHttp2Stream, headers as Record<string, unknown>),
    );
  }

  /** Serves on a unix socket; one that an earlier process left is replaced. Rejects when that cannot be. */
  async listenUnix(path: string): Promise<void> {
    rmSync(path, { force: true });
    await this.#listen((ready) => this.#server.listen(path, ready));
    this.#socketPath = path;
  }

  /** Serves one connection that somebody else has accepted. */
  accept(socket: Socket): void {
    this.#server.emit("connection", socket);
    socket.resume();
  }

  /** Serves on a TCP port; the port, where 0 asks for a free one. */
  async listen(port: number, host: string): Promise<number> {
    await this.#listen((ready) => this.#server.listen(port, host, ready));
    return (this.#server.address() as AddressInfo).port;
  }

  #listen(start: (ready: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      start(() => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /** Ends all calls and removes the socket. */
  async stop(): Promise<void> {
    const closed = this.#server.listening
      ? new Promise<void>((resolve) => this.#server.close(() => resolve()))
      : Promise.resolve();
    for (const session of this.#sessions) session.destroy();
    await closed;
    if (this.#socketPath !== undefined) rmSync(this.#socketPath, { force: true });
  }

  async #serve(stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>): Promise<void> {
    const path = String(headers[":path"]);
    const abort = new AbortController();
    stream.on("error", () => abort.abort());
    stream.once("close", () => abort.abort());
    const timeout_ms = parseTimeout(headers["grpc-timeout"]);
    const timer = timeout_ms === undefined ? undefined : setTimeout(() => abort.abort(expired), timeout_ms);
    const reply = new Reply(stream);
    try {
      await this.#answer(path, stream, reply, abort.signal);
      reply.end(GrpcCode.Ok, "");
    } catch (error) {
      if (abort.signal.reason === expired) reply.end(GrpcCode.DeadlineExceeded, "context deadline exceeded");
      else this.#fail(path, reply, error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #answer(path: string, stream: ServerHttp2Stream, reply: Reply, signal: AbortSignal): Promise<void> {
    const { unary, streams, longestMessage_bytes } = this.#options;
    const [one, many] = [own(unary, path), own(streams, path)];
    if (!one && !many) throw new GrpcError(GrpcCode.Unimplemented, `unknown method ${path}`, true);
    const request = await onlyMessage(stream, longestMessage_bytes ?? defaultLongest_bytes);
    const ended = new Promise<never>((_, reject) => {
      const stop = (): void => reject(new GrpcError(GrpcCode.Cancelled, "context canceled", true));
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
    ended.catch(() => undefined);
    if (one) return await reply.send(await Promise.race([one(request, { signal }), ended]));
    const answers = many?.(request, { signal })[Symbol.asyncIterator]();
    if (!answers) return;
    try {
      for (;;) {
        const next = await Promise.race([answers.next(), ended]);
        if (next.done) return;
        await Promise.race([reply.send(next.value), ended]);
      }
    } finally {
      // Not awaited: a generator that stands at an await of its own ends only after that.
      answers.return?.().catch((error: unknown) => this.#options.onError?.(path, error));
    }
  }

  #fail(path: string, reply: Reply, error: unknown): void {
    if (error instanceof GrpcError) {
      reply.end(error.code, error.message);
      return;
    }
    this.#options.onError?.(path, error);
    reply.end(GrpcCode.Unknown, messageOf(error));
  }
}

const expired = new Error("the deadline passed");

/**
 * Bun 1.4.5's HTTP/2 server can lose sight of what waits for the client's window (65,535 bytes at first), and a long
 * answer then stands still. So no more than half of it is sent before the client has answered a ping.
 */
const pace_bytes = 32 * 1024;
const piece_bytes = 16 * 1024;

/** The answer of one call: headers with the first message, the status as trailers. */
class Reply {
  #unheard_bytes = 0;
  readonly #stream: ServerHttp2Stream;
  #status: Record<string, string> | undefined;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    stream.on("wantTrailers", () => stream.sendTrailers(this.#status ?? {}));
  }

  #begin(): void {
    if (this.#stream.headersSent) return;
    this.#stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  }

  /** Resolves when more can be sent. */
  async send(message: Uint8Array): Promise<void> {
    const frame = framed(message);
    for (let at = 0; at < frame.length && !this.#gone; at += piece_bytes) {
      this.#begin();
      const piece = frame.subarray(at, at + piece_bytes);
      if (!this.#stream.write(piece)) await this.#drained();
      this.#unheard_bytes += piece.length;
      if (this.#unheard_bytes > pace_bytes) await this.#heard();
    }
  }

  #drained(): Promise<void> {
    if (this.#gone) return Promise.resolve();
    return new Promise((resolve) => {
      const ready = (): void => {
        this.#stream.off("drain", ready).off("close", ready);
        resolve();
      };
      this.#stream.on("drain", ready).on("close", ready);
    });
  }

  /** Waits until the client has taken in what was sent, and so has opened its window again. */
  #heard(): Promise<void> {
    this.#unheard_bytes = 0;
    const { session } = this.#stream;
    if (this.#gone || !session) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#stream.off("close", done);
        resolve();
      };
      this.#stream.on("close", done);
      session.ping(done);
    });
  }

  end(code: number, message: string): void {
    if (this.#gone) return;
    this.#status = { "grpc-status": String(code), ...(message === "" ? {} : { "grpc-message": percent(message) }) };
    this.#begin();
    this.#stream.end();
  }

  get #gone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }
}

/** Percent encoding of a status' text (gRPC over HTTP/2): printable ASCII but % stands for itself. */
function percent(text: string): string {
  return text.replace(/[^ -$&-~]+/gu, (rest) =>
    [...Buffer.from(rest)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

const units_ms: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

function parseTimeout(value: unknown): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(String(value ?? ""));
  if (!match) return undefined;
  return Math.min(longestTimer_ms, Number(match[1]) * (units_ms[match[2] ?? ""] ?? 0));
}

async function onlyMessage(stream: ServerHttp2Stream, longest_bytes: number): Promise<Buffer> {
  let first: Buffer | undefined;
  for await (const message of messagesIn(stream, longest_bytes)) {
    if (first) throw new GrpcError(GrpcCode.Internal, "more than one request in a call that takes one", true);
    first = Buffer.from(message);
  }
  if (!first) throw new GrpcError(GrpcCode.Internal, "a call without a request", true);
  return first;
}

const own = <T>(table: Readonly<Record<string, T>> | undefined, key: string): T | undefined =>
  table && Object.hasOwn(table, key) ? table[key] : undefined;
