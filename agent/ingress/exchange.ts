import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";

/** One request and its answer, whichever HTTP the client speaks. Headers are name, value, name, value …. */
export interface Exchange {
  readonly method: string;
  /** With port, as the client wrote it. */
  readonly host: string;
  /** With query. */
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: Readable | undefined;
  readonly isSecure: boolean;
  readonly remoteAddress: string;
  /** Sends the head of the answer; what is written then is its body. */
  begin(status: number, headers: readonly string[]): Writable;
  /** Sent behind the body; before the body's end. */
  addTrailers(headers: readonly string[]): void;
  /** Ends the answer with an error: as a status where nothing was sent yet, else by breaking it off. */
  fail(status: number, text: string): void;
  /** Calls back when the client has gone before the end. */
  onGone(gone: () => void): void;
}

/** One of HTTP/1.1, whose answer is chunked or counted as its headers say. */
export function http1Exchange(request: IncomingMessage, response: ServerResponse): Exchange {
  const hasBody =
    request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
  return {
    method: request.method ?? "GET",
    host: request.headers.host ?? "",
    target: request.url ?? "/",
    headers: request.rawHeaders,
    body: hasBody ? request : undefined,
    isSecure: isSecure(request.socket),
    remoteAddress: plainAddress(request.socket.remoteAddress),
    begin(status, headers) {
      for (const [name, values] of grouped(headers))
        response.setHeader(name, values.length === 1 ? (values[0] ?? "") : values);
      response.writeHead(status);
      response.flushHeaders();
      return response;
    },
    addTrailers: (headers) => response.addTrailers(Object.fromEntries(pairs(headers))),
    fail(status, text) {
      if (response.headersSent) {
        response.destroy();
        return;
      }
      // What is left of a body that nobody reads would be taken for the next request.
      const ending = hasBody && !request.complete ? { connection: "close" } : {};
      response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...ending });
      response.end(`${text}\n`);
    },
    onGone(gone) {
      response.on("close", () => response.writableFinished || gone());
    },
  };
}

export function http2Exchange(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number): Exchange {
  const text = (name: string): string => String(headers[name] ?? "");
  const socket = stream.session?.socket;
  let trailers: Record<string, string | string[]> = {};
  return {
    method: text(":method"),
    host: text(":authority") || text("host"),
    target: text(":path"),
    headers: rawHeaders(headers),
    body: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0 ? undefined : stream,
    isSecure: true,
    remoteAddress: plainAddress(socket?.remoteAddress),
    begin(status, answer) {
      stream.on("wantTrailers", () => stream.sendTrailers(trailers));
      stream.respond({ ":status": status, ...lowered(answer) }, { waitForTrailers: true });
      return stream;
    },
    addTrailers(answer) {
      trailers = lowered(answer);
    },
    fail(status, message) {
      if (stream.headersSent || stream.destroyed) {
        stream.close(constants.NGHTTP2_INTERNAL_ERROR);
        return;
      }
      stream.respond({ ":status": status, "content-type": "text/plain; charset=utf-8" });
      stream.end(`${message}\n`);
    },
    onGone(gone) {
      stream.on("close", () => stream.writableFinished || gone());
    },
  };
}

/** HTTP/2 headers in the other form, without those that begin with a colon. */
export function rawHeaders(headers: IncomingHttpHeaders): string[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    if (name.startsWith(":") || value === undefined) return [];
    return (Array.isArray(value) ? value : [String(value)]).flatMap((one) => [name, one]);
  });
}

/** For HTTP/2, where names are in lower case. */
export function lowered(headers: readonly string[]): Record<string, string | string[]> {
  return Object.fromEntries(
    [...grouped(headers)].map(([name, values]) => [
      name.toLowerCase(),
      values.length === 1 ? (values[0] ?? "") : values,
    ]),
  );
}

/** Whether the client speaks TLS. */
export function isSecure(socket: Socket): boolean {
  return "encrypted" in socket && socket.encrypted === true;
}

/** An IPv4 client of a dual stack socket is written as IPv4. */
export function plainAddress(address: string | undefined): string {
  return (address ?? "").replace(/^::ffff:/, "");
}

function grouped(headers: readonly string[]): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs(headers)) {
    const key = [...values.keys()].find((known) => known.toLowerCase() === name.toLowerCase()) ?? name;
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  return values;
}

function* pairs(headers: readonly string[]): Generator<[string, string]> {
  for (let index = 0; index + 1 < headers.length; index += 2) yield [headers[index] ?? "", headers[index + 1] ?? ""];
}
