/**
 * Answers to requests for content that is there whole: only if it changed, or only parts of it (RFC 9110, 13 and 14).
 * What is left open there, and what is said of wrong ranges, is as Go's http.ServeContent has it, which upstream answers by.
 */
import { randomBytes } from "node:crypto";

export interface ContentRequest {
  readonly method: string;
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, string | undefined>>;
}

export interface Content {
  /** The type, the `Etag` in its quotes if there is one, and what else goes with every answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** A type that is told only with content. */
  readonly guessedType?: string | undefined;
  readonly modified_ms: number;
  /** Told as `Last-Modified`, where that is not `modified_ms`. */
  readonly told_ms?: number | undefined;
  whole(): Promise<Pick<ContentResponse, "headers" | "body">>;
  /** What ranges are of. */
  bytes(): Promise<Uint8Array>;
}

export interface ContentResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

export async function serveContent(request: ContentRequest, content: Content): Promise<ContentResponse> {
  const modified = { "Last-Modified": new Date(content.told_ms ?? content.modified_ms).toUTCString() };
  const headers = { ...content.headers, ...modified };
  const judgement = judged(request, content);
  if (judgement === "failed") return { status: 412, headers };
  if (judgement === "unchanged") return { status: 304, headers: unchanged(headers) };
  const guessed = content.guessedType === undefined ? {} : { "Content-Type": content.guessedType };
  const acceptsRanges = { ...headers, ...guessed, "Accept-Ranges": "bytes" };
  const range = request.headers["range"];
  if (range && isRangeMeant(request, content)) {
    const bytes = await content.bytes();
    const parts = partsOf(range, bytes.length);
    if (typeof parts === "string") return unsatisfiable(headers, parts, bytes.length);
    const [first, ...others] = parts;
    if (first && others.length === 0) {
      const which = { "Content-Range": contentRange(first, bytes.length) };
      return { status: 206, headers: { ...acceptsRanges, ...which }, body: bytes.subarray(first.from, first.to) };
    }
    if (first) return { status: 206, ...severalParts(acceptsRanges, parts, bytes) };
  }
  const whole = await content.whole();
  return { status: 200, headers: { ...acceptsRanges, ...whole.headers }, body: whole.body };
}

/** What a part has no use for is left out. */
function unchanged(headers: Readonly<Record<string, string>>): Record<string, string> {
  const { "Content-Type": _, "Last-Modified": modified = "", ...rest } = headers;
  return "Etag" in rest ? rest : { ...rest, "Last-Modified": modified };
}

function judged({ method, headers }: ContentRequest, { headers: own, modified_ms }: Content): Judgement {
  const etag = own["Etag"] ?? "";
  const isRead = method === "GET" || method === "HEAD";
  const modified_s = Math.floor(modified_ms / 1000);
  const ifMatch = headers["if-match"];
  if (ifMatch) {
    if (!names(ifMatch, (tag) => tag === etag && !tag.startsWith("W/"))) return "failed";
  } else if (modified_s > (secondsOf(headers["if-unmodified-since"]) ?? Number.POSITIVE_INFINITY)) return "failed";
  const ifNoneMatch = headers["if-none-match"];
  if (ifNoneMatch) {
    const isKnown = names(ifNoneMatch, (tag) => weak(tag) === weak(etag));
    if (isKnown) return isRead ? "unchanged" : "failed";
  } else if (isRead && modified_s <= (secondsOf(headers["if-modified-since"]) ?? Number.NEGATIVE_INFINITY)) {
    return "unchanged";
  }
  return "wanted";
}

type Judgement = "failed" | "unchanged" | "wanted";

const weak = (tag: string): string => tag.replace(/^W\//, "");

/** Whether a list of entity tags has one that matches, or names them all. What comes after a malformed one is not read. */
function names(list: string, matches: (tag: string) => boolean): boolean {
  for (let rest = list.trim(); rest !== ""; rest = rest.trim()) {
    if (rest.startsWith("*")) return true;
    if (rest.startsWith(",")) rest = rest.slice(1);
    else {
      const [tag] = /^(W\/)?"[\x21\x23-\x7e\x80-\xff]*"/.exec(rest) ?? [];
      if (tag === undefined) return false;
      if (matches(tag)) return true;
      rest = rest.slice(tag.length);
    }
  }
  return false;
}

const dateForms = [
  /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/,
  /^\w+day, \d\d-\w{3}-\d\d \d\d:\d\d:\d\d GMT$/,
  /^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/,
];

/** The second that a date of RFC 9110 tells; undefined: it is none. */
function secondsOf(date: string | undefined): number | undefined {
  if (date === undefined || !dateForms.some((form) => form.test(date))) return undefined;
  const time_ms = Date.parse(date.endsWith("GMT") ? date : `${date} GMT`);
  return Number.isNaN(time_ms) ? undefined : time_ms / 1000;
}

/** If-Range: the client has a part of this very content, and wants another. */
function isRangeMeant({ method, headers }: ContentRequest, { headers: own, modified_ms }: Content): boolean {
  const ifRange = headers["if-range"];
  if (!ifRange || (method !== "GET" && method !== "HEAD")) return true;
  if (/^(W\/)?"/.test(ifRange)) return ifRange === own["Etag"];
  return secondsOf(ifRange) === Math.floor(modified_ms / 1000);
}

/** Bytes `from` up to, and without, `to`. */
interface Part {
  readonly from: number;
  readonly to: number;
}

type RangeFault = "invalid range" | "invalid range: failed to overlap";

/** None: the whole is meant, or parts that come to more than it. */
function partsOf(range: string, size_bytes: number): readonly Part[] | RangeFault {
  if (!range.startsWith("bytes=")) return "invalid range";
  const parts: Part[] = [];
  let liesBeyond = false;
  for (const text of range.slice("bytes=".length).split(",")) {
    if (text.trim() === "") continue;
    const [, first = "", last = ""] = /^(\d*)\s*-\s*(\d*)$/.exec(text.trim()) ?? [];
    const from = first === "" ? Math.max(0, size_bytes - Number(last)) : Number(first);
    const to = first === "" || last === "" ? size_bytes : Math.min(size_bytes, Number(last) + 1);
    if (first === "" && last === "") return "invalid range";
    if (first !== "" && from >= size_bytes) liesBeyond = true;
    else if (to <= from && first !== "") return "invalid range";
    else parts.push({ from, to });
  }
  if (parts.length === 0 && liesBeyond) return size_bytes === 0 ? [] : "invalid range: failed to overlap";
  const total_bytes = parts.reduce((sum, { from, to }) => sum + to - from, 0);
  return total_bytes > size_bytes ? [] : parts;
}

const contentRange = ({ from, to }: Part, size_bytes: number): string => `bytes ${from}-${to - 1}/${size_bytes}`;

/** RFC 9110, 14.6. */
function severalParts(
  headers: Readonly<Record<string, string>>,
  parts: readonly Part[],
  bytes: Uint8Array,
): Pick<ContentResponse, "headers" | "body"> {
  const boundary = randomBytes(30).toString("hex");
  const pieces = parts.flatMap((part, index) => {
    const head = [
      `${index === 0 ? "" : "\r\n"}--${boundary}`,
      `Content-Range: ${contentRange(part, bytes.length)}`,
      ...("Content-Type" in headers ? [`Content-Type: ${headers["Content-Type"]}`] : []),
      "\r\n",
    ];
    return [Buffer.from(head.join("\r\n")), bytes.subarray(part.from, part.to)];
  });
  return {
    headers: { ...headers, "Content-Type": `multipart/byteranges; boundary=${boundary}` },
    body: Buffer.concat([...pieces, Buffer.from(`\r\n--${boundary}--\r\n`)]),
  };
}

const ofTheContent = new Set(["Cache-Control", "Content-Encoding", "Etag", "Last-Modified"]);

function unsatisfiable(
  headers: Readonly<Record<string, string>>,
  fault: RangeFault,
  size_bytes: number,
): ContentResponse {
  const isBeyond = fault !== "invalid range";
  const kept = Object.entries(headers).filter(([name]) => !ofTheContent.has(name));
  return {
    status: 416,
    headers: {
      ...Object.fromEntries(kept),
      ...(isBeyond ? { "Content-Range": `bytes */${size_bytes}` } : {}),
      "Content-Type": "text/plain; charset=utf-8",
      "X-Content-Type-Options": "nosniff",
    },
    body: Buffer.from(`${fault}\n`),
  };
}
