/** An answer as it came, and what of it is compared. */
import { gunzipSync } from "node:zlib";
import { answerOf, type WireAnswer } from "../wire/answer.ts";
import type { RawRequest } from "./raw-request.ts";

export interface RawAnswer {
  readonly code: number;
  /** Informational ones before it. */
  readonly interim: readonly number[];
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: Uint8Array;
}

export interface Exchanged {
  /** undefined: the connection, or the stream, ended without an answer. */
  readonly answer: RawAnswer | undefined;
  /** Error of HTTP/2 by which the stream or the connection was ended. */
  readonly error?: string | undefined;
  /** Error by which a stream was ended behind its answer. */
  readonly reset?: string | undefined;
  /** What the next request on the connection comes to: a code, or that there is no connection any more. */
  readonly next: number | "closed";
}

export interface ComparedAnswer extends WireAnswer {
  readonly interim?: readonly number[];
  readonly headers: Readonly<Record<string, string>>;
  readonly error?: string;
  readonly reset?: string;
  readonly next: number | "closed";
}

/** Compared by their values. */
const told = [
  "accept-ranges",
  "allow",
  "cache-control",
  "connection",
  "content-encoding",
  "content-range",
  "content-type",
  "location",
  "retry-after",
  "upgrade",
  "vary",
  "www-authenticate",
  "x-content-type-options",
];
/** Their values are each server's own. */
const there = [
  "audit-id",
  "date",
  "etag",
  "last-modified",
  "process-start-time-unix",
  "x-kubernetes-pf-flowschema-uid",
  "x-kubernetes-pf-prioritylevel-uid",
];

export async function comparedAnswer(
  request: RawRequest,
  { answer, error, reset, next }: Exchanged,
): Promise<ComparedAnswer> {
  const failed = error === undefined ? {} : { error };
  if (!answer) return { code: 0, type: "", headers: {}, ...failed, next };
  const { code, interim, headers } = answer;
  const kept = [...headers].flatMap(([name, values]): [string, string][] => {
    if (there.includes(name)) return [[name, "…"]];
    return told.includes(name) ? [[name, values.join(", ")]] : [];
  });
  const body =
    headers.get("content-encoding")?.[0] === "gzip" && answer.body.length > 0 ? gunzipSync(answer.body) : answer.body;
  const plain = new Response(hasBody(code) ? (body as Uint8Array<ArrayBuffer>) : null, {
    status: Math.max(code, 200),
    headers: ["content-type", "warning"].flatMap((name) =>
      (headers.get(name) ?? []).map((value): [string, string] => [name, value]),
    ),
  });
  const { body: text, ...rest } = await answerOf(plain, typeof request.body === "string" ? request.body : "");
  return {
    ...rest,
    code,
    ...(interim.length > 0 && { interim }),
    headers: Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))),
    ...(text !== undefined && { body: request.anyBody && code < 300 ? "…" : text }),
    ...failed,
    ...(reset !== undefined && { reset }),
    next,
  };
}

const hasBody = (code: number): boolean => code !== 204 && code !== 205 && code !== 304;
