import { type Duplex, Readable, Transform } from "node:stream";
import { HTTPParser } from "http-parser-js";

/** An HTTP/1.1 request over a stream that is already connected, with one answer: the stream closes behind it. */
export interface StreamRequest {
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  /** Name, value, name, value … as in IncomingMessage.rawHeaders. */
  readonly headers: readonly string[];
  readonly body?: Readable | Uint8Array | undefined;
}

export interface StreamResponse {
  readonly status: number;
  /** As in IncomingMessage.rawHeaders, without those that concern only this connection. */
  readonly headers: readonly string[];
  readonly body: Readable;
}

/** The connection ended, and no answer had come, or not the whole of it. */
export class AnswerMissing extends Error {
  override readonly name = "AnswerMissing";
}

/** The server answered by leaving HTTP, which nobody had asked for. */
export class UnaskedSwitch extends Error {
  override readonly name = "UnaskedSwitch";
}

/** A request's head cannot be written. */
export class UnfitHead extends Error {
  override readonly name = "UnfitHead";
}

const SWITCHED = 101;

/** Of what is no part of a body, in a row. The parser bounds heads alone, and would keep the lengths of chunks and trailers without end. */
const mostFraming_bytes = 256 * 1024;

/** Headers of one hop only (RFC 9110, 7.6.1). */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Sends the request and resolves with the head of the answer; the body follows as it arrives. */
export function requestOver(stream: Duplex, request: StreamRequest): Promise<StreamResponse> {
  return answerOver(stream, request.method, (fail) => send(stream, request, fail));
}

/**
 * Resolves with the head of the one answer that the stream brings to a request of that method; the body follows as it arrives.
 * @param ask called once the answer is waited for; told how to give it up.
 */
export function answerOver(
  stream: Duplex,
  method: string,
  ask: (fail: (error: Error) => void) => void = () => undefined,
): Promise<StreamResponse> {
  return new Promise((resolve, reject) => {
    const parser = new HTTPParser(HTTPParser.RESPONSE);
    const body = new Readable({
      read: () => void stream.resume(),
      destroy: (error, done) => {
        stream.destroy();
        done(error);
      },
    });
    // Whoever reads learns of an error by reading; when the client has gone, nobody does, and that must harm nobody.
    body.on("error", () => undefined);
    let isAnswered = false;
    let isComplete = false;
    const fail = (error: Error): void => {
      stream.destroy();
      // What has arrived whole may still be unread: an error of the connection behind it takes nothing away.
      if (isComplete) return;
      if (isAnswered) body.destroy(error);
      else reject(error);
    };
    parser[HTTPParser.kOnHeadersComplete] = (info) => {
      if (info.statusCode === SWITCHED) {
        const to = info.headers.find((_, index) => info.headers[index - 1]?.toLowerCase() === "upgrade") ?? "";
        fail(new UnaskedSwitch(`backend tried to switch protocol ${JSON.stringify(to)} when "" was requested`));
        return;
      }
      // 100 Continue and its like come before the answer.
      if (info.statusCode < 200) return;
      isAnswered = true;
      resolve({ status: info.statusCode, headers: endToEnd(info.headers), body });
      // The parser must not wait for a body that these never have.
      return method === "HEAD" ? 1 : 0;
    };
    parser[HTTPParser.kOnBody] = (chunk, offset, length) => {
      framing_bytes = 0;
      if (!body.push(Buffer.from(chunk.subarray(offset, offset + length)))) stream.pause();
    };
    parser[HTTPParser.kOnMessageComplete] = () => {
      if (!isAnswered) return;
      isComplete = true;
      body.push(null);
      stream.destroy();
    };
    let framing_bytes = 0;
    stream.on("data", (chunk: Buffer) => {
      framing_bytes += chunk.length;
      const result = parser.execute(chunk);
      if (result instanceof Error) fail(result);
      else if (framing_bytes > mostFraming_bytes) fail(new Error("what frames the answer is too long"));
    });
    stream.on("error", fail);
    stream.once("end", () => {
      // A body without a length ends with the connection.
      if (!isComplete) parser.finish();
      if (!isComplete) fail(new AnswerMissing("the connection ended before the answer"));
    });
    stream.once("close", () => {
      if (!isComplete) fail(new AnswerMissing("the connection closed before the answer"));
    });
    ask(fail);
  });
}

/**
 * Writes a request's head; what follows on the stream, the answer's head included, is the caller's.
 * @throws UnfitHead for what would be more than one line, or other parts of the first one, and ends the stream: a user's name may
 *   come from a certificate or from somebody else's token, and must not become a header of its own.
 */
export function writeHead(stream: Duplex, method: string, path: string, headers: readonly string[]): void {
  const lines = [`${method} ${path} HTTP/1.1`];
  for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
  const isParted = !token.test(method) || blank.test(path);
  const unfit = isParted ? lines[0] : lines.find((line) => control.test(line));
  if (unfit === undefined) {
    stream.write(`${lines.join("\r\n")}\r\n\r\n`);
    return;
  }
  stream.destroy();
  throw new UnfitHead(`invalid header field value for ${JSON.stringify(unfit.split(":")[0])}`);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in a line.
const control = /[\u0000-\u0008\u000a-\u001f\u007f]/;

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// A request line is parted by blanks: whoever reads it might take a part of the path for all of it.
const blank = /[\t ]/;

/** The headers of a client's request as they may be passed on: nothing of this hop, and no credentials for this server. */
export function forwardedHeaders(rawHeaders: readonly string[]): string[] {
  return endToEnd(withoutCredentials(rawHeaders));
}

/** Methods whose requests say that they have no body. */
const bodied = new Set(["PATCH", "POST", "PUT"]);

function send(stream: Duplex, request: StreamRequest, fail: (error: Error) => void): void {
  const { body } = request;
  const isFramed = request.headers.some((name, index) => index % 2 === 0 && name.toLowerCase() === "content-length");
  const framing = isFramed ? [] : framingOf(request);
  writeHead(stream, request.method, request.path, [...request.headers, ...framing, "Connection", "close"]);
  if (body === undefined) return;
  if (body instanceof Uint8Array) {
    stream.write(body);
  } else if (isFramed) {
    body.on("error", fail).pipe(stream, { end: false });
  } else {
    // Piped, so that a slow receiver holds up the sender and nothing gathers here.
    body.on("error", fail).pipe(chunked()).pipe(stream, { end: false });
  }
}

/** Headers that say how long the body is. */
function framingOf({ method, body }: StreamRequest): string[] {
  if (body === undefined) return bodied.has(method) ? ["Content-Length", "0"] : [];
  return body instanceof Uint8Array ? ["Content-Length", String(body.length)] : ["Transfer-Encoding", "chunked"];
}

/** The chunked coding of RFC 9112, 7.1. */
function chunked(): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (chunk.length === 0) done();
      else done(null, Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]));
    },
    flush: (done) => done(null, "0\r\n\r\n"),
  });
}

/** Headers without those of this hop: those that always are, and what `Connection` names. */
export function endToEnd(headers: readonly string[]): string[] {
  const named = new Set<string>();
  // A length beside a coding is none (RFC 9112, 6.3): who believed it would take a part of the body for the next message.
  if (headerOf(headers, "transfer-encoding") !== undefined) named.add("content-length");
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() !== "connection") continue;
    for (const name of headers[index + 1]?.split(",") ?? []) named.add(name.trim().toLowerCase());
  }
  return without(headers, (name) => hopByHop.has(name) || named.has(name));
}

/** A browser's WebSocket can bring its token only as a subprotocol. */
const bearerProtocol = "base64url.bearer.authorization.k8s.io.";

/** Headers without what proves to this server who asks, and as whom. */
export function withoutCredentials(headers: readonly string[]): string[] {
  const kept = without(headers, (name) => name === "authorization" || name.startsWith("impersonate-"));
  return kept.flatMap((text, index) => {
    if (index % 2 === 1) return [];
    const value = kept[index + 1] ?? "";
    if (text.toLowerCase() !== "sec-websocket-protocol") return [text, value];
    const protocols = value.split(",").map((each) => each.trim());
    const others = protocols.filter((each) => !each.startsWith(bearerProtocol));
    return others.length > 0 ? [text, others.join(", ")] : [];
  });
}

function without(headers: readonly string[], isUnwanted: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (!isUnwanted(name.toLowerCase())) kept.push(name, headers[index + 1] ?? "");
  }
  return kept;
}

/** The first header of that name; undefined without one. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  const index = headers.findIndex((each, position) => position % 2 === 0 && each.toLowerCase() === name);
  return index < 0 ? undefined : headers[index + 1];
}
