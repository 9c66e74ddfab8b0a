import type { IncomingHttpHeaders } from "node:http";

/** What a request's header block says (RFC 9113, 8.3). */
export interface RequestHead {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** As node:http has them: lower-case names; `host` is what the client called the server. */
  readonly headers: IncomingHttpHeaders;
  /** Name, value, name, value …, without those that begin with a colon. */
  readonly rawHeaders: readonly string[];
  /** As the client announced it. */
  readonly contentLength: number | undefined;
}

/** Names as RFC 9110, 5.6.2 has them, without capitals. */
const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be in a value.
const badValue = /[\u0000\r\n]/;
const surrounded = /^[ \t]|[ \t]$/;
const ofOneHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
/** Of these the first one counts, as node:http has it; others are joined. */
const single: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "content-length",
  "content-type",
  "etag",
  "expires",
  "from",
  "host",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "referer",
  "retry-after",
  "server",
  "user-agent",
]);
const schemes: ReadonlySet<string> = new Set(["http", "https"]);
const pseudoNames: ReadonlySet<string> = new Set([":method", ":scheme", ":path", ":authority"]);

/** The request of a header block; undefined for one that is malformed (RFC 9113, 8.1.1). */
export function requestHeadOf(fields: readonly string[]): RequestHead | undefined {
  let from = 0;
  while (from < fields.length && fields[from]?.startsWith(":")) from += 2;
  const pseudo = pseudoOf(fields, from);
  const rawHeaders = fields.slice(from);
  const headers = pseudo && headersOf(rawHeaders);
  if (!headers) return undefined;
  const { ":method": method = "", ":scheme": scheme = "", ":path": url = "", ":authority": authority = "" } = pseudo;
  // CONNECT, which has neither path nor scheme, is for proxies, and malformed with them (RFC 9113, 8.5).
  if (method === "" || method === "CONNECT" || !schemes.has(scheme) || !isPath(url, method)) return undefined;
  const contentLength = lengthOf(headers["content-length"]);
  if (contentLength === null) return undefined;
  if (authority !== "") {
    if (headers["host"] === undefined) rawHeaders.unshift("host", authority);
    headers["host"] = authority;
  }
  return { method, url, headers, rawHeaders, contentLength };
}

/** Of the fields before `end`. */
function pseudoOf(fields: readonly string[], end: number): Record<string, string> | undefined {
  const pseudo: Record<string, string> = {};
  for (let at = 0; at < end; at += 2) {
    const name = fields[at] ?? "";
    const value = fields[at + 1] ?? "";
    if (!pseudoNames.has(name) || pseudo[name] !== undefined || badValue.test(value) || surrounded.test(value))
      return undefined;
    pseudo[name] = value;
  }
  return pseudo;
}

function headersOf(fields: readonly string[]): Record<string, string> | undefined {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? "";
    const value = fields[at + 1] ?? "";
    if (!isField(name, value) || (name === "te" && value.toLowerCase() !== "trailers")) return undefined;
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else if (name === "content-length" && known !== value) return undefined;
    else if (!single.has(name)) headers[name] = `${known}${name === "cookie" ? "; " : ", "}${value}`;
  }
  return headers;
}

/** What may stand in a header block or in trailers. */
export const isField = (name: string, value: string): boolean =>
  namePattern.test(name) && !ofOneHop.has(name) && !badValue.test(value);

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be in a path.
const controls = /[\u0000-\u001f\u007f]/;

const isPath = (url: string, method: string): boolean =>
  (url.startsWith("/") && !controls.test(url)) || (url === "*" && method === "OPTIONS");

/** Null for what is no length. */
function lengthOf(text: string | undefined): number | undefined | null {
  if (text === undefined) return undefined;
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}
