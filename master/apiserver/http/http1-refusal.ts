/** Requests of HTTP/1.1 that go no further than the connection they came by, told of as Go's server tells of them. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

export interface Refusal {
  /** `400 Bad Request` */
  readonly status: string;
  /** What the body says; the status where it says no more. */
  readonly text?: string;
}

const badRequest: Refusal = { status: "400 Bad Request" };
const tooLargeHeaders: Refusal = { status: "431 Request Header Fields Too Large" };
const unsupportedCoding: Refusal = { status: "501 Not Implemented", text: "Unsupported transfer encoding" };
const unsupportedVersion: Refusal = { status: "505 HTTP Version Not Supported: unsupported protocol version" };
/** For what is expected but `100-continue` (RFC 9110, 10.1.1). */
export const expectationFailed = 417;

const badHost = (why: string): Refusal => ({ status: `400 Bad Request: ${why}` });

/** What is wrong with a request whose form can be read; undefined: nothing. */
export function refusalOf({ rawHeaders, headers, httpVersion }: IncomingMessage): Refusal | undefined {
  if (httpVersion !== "1.1" && httpVersion !== "1.0") return unsupportedVersion;
  const coding = headers["transfer-encoding"];
  if (coding !== undefined && coding.toLowerCase() !== "chunked") return unsupportedCoding;
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.length === HOST.length && rawHeaders[at]?.toLowerCase() === HOST) hosts += 1;
  }
  if (hosts > 1) return badRequest;
  if (hosts === 0 && httpVersion === "1.1") return badHost("missing required Host header");
  return hosts === 1 && !hostCharacters.test(headers.host ?? "") ? badHost("malformed Host header") : undefined;
}

const HOST = "host";
/** Go's httpguts.ValidHostHeader. */
const hostCharacters = /^[A-Za-z0-9!$%&'()*+,\-.:;=[\]_~]*$/;

/** For what the parser could not read. */
export function refusalFor(error: Error & { readonly code?: string }): Refusal {
  if (error.code === "HPE_HEADER_OVERFLOW") return tooLargeHeaders;
  return error.code === "HPE_INVALID_TRANSFER_ENCODING" ? unsupportedCoding : badRequest;
}

/** Answers past node:http, which has no such answers, and ends the connection. */
export function refuse(socket: Duplex, { status, text = status }: Refusal): void {
  // Unread data would keep a stream open.
  socket.resume();
  socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${text}`);
}
