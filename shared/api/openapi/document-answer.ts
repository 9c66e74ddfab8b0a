/** A document as it is kept, and how it is sent: in the form a client takes, once it changed, whole or in part. */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { covers, mediaRanges } from "../../http/accept.ts";
import { type ContentRequest, type ContentResponse, serveContent } from "../../http/serve-content.ts";

export interface Document {
  readonly etag: string;
  readonly contentType: string;
  readonly modified_ms: number;
  readonly compressed: Buffer;
}

export interface AskedDocument extends ContentRequest {
  /** The query parameter `hash`. */
  readonly hash?: string | undefined;
}

export const json = "application/json";
export const vary = "Accept-Encoding, Accept";

/** The type with an @ is asked for, but Go cannot parse it in an answer: the last one is what is sent. */
const protobufTypes = (version: "v2" | "v3"): readonly string[] =>
  ["@", "."].map((separator) => `application/com.github.proto-openapi.spec.${version}${separator}v1.0+protobuf`);
export const v2Protobuf = protobufTypes("v2");
export const v3Protobuf = protobufTypes("v3");

const compress = promisify(gzip);
const decompress = promisify(gunzip);

export async function document(etag: string, contentType: string, body: Uint8Array): Promise<Document> {
  return { etag, contentType, modified_ms: Date.now(), compressed: await compress(body) };
}

export const contentOf = ({ compressed }: Document): Promise<Buffer> => decompress(compressed);

export function digest(text: string | Uint8Array): string {
  return createHash("sha512").update(text).digest("hex").toUpperCase();
}

/** Where the document of OpenAPI 3 is, under a name that is of this state alone. */
export function relativeUrl(name: string, etag: string): string {
  return `/openapi/v3/${name}?hash=${etag}`;
}

/** The first of the offered types in the client's order of preference. */
export function accepted({ headers }: ContentRequest, offered: readonly string[]): string | undefined {
  for (const range of mediaRanges(headers["accept"] || "*/*")) {
    const type = offered.find((each) => covers(range, each));
    if (type !== undefined) return type;
  }
  return undefined;
}

/** A document of OpenAPI 3 in JSON or protobuf; whoever asks for another state of it is sent to the present one. */
export async function sendVersioned(
  request: AskedDocument,
  name: string,
  etag: string,
  protobufTypes: readonly string[],
  make: (type: string) => Promise<Document>,
): Promise<ContentResponse> {
  const type = accepted(request, [json, ...protobufTypes]);
  if (type === undefined) return { status: 406, headers: { Vary: "Accept" } };
  const { hash } = request;
  if (hash && hash !== etag) {
    const headers = { Location: relativeUrl(name, etag), Etag: `"${etag}"`, Vary: "Accept" };
    return { status: 301, headers: { ...headers, "Content-Type": json } };
  }
  return sendDocument(await make(type), request, hash ? cacheable() : {});
}

export function sendDocument(
  made: Document,
  request: ContentRequest,
  further: Readonly<Record<string, string>> = {},
): Promise<ContentResponse> {
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(request.headers["accept-encoding"] ?? "");
  return serveContent(request, {
    headers: { Etag: `"${made.etag}"`, Vary: vary, "Content-Type": made.contentType, ...further },
    modified_ms: made.modified_ms,
    bytes: () => contentOf(made),
    whole: async () =>
      takesGzip
        ? { headers: { "Content-Encoding": "gzip" }, body: made.compressed }
        : { headers: {}, body: await contentOf(made) },
  });
}

const year_ms = 365 * 24 * 3600 * 1000;

/** An address with a hash always names the same document. */
function cacheable(): Record<string, string> {
  const expires = new Date(Date.now() + year_ms).toUTCString().replace("GMT", "UTC");
  return { "Cache-Control": "public, immutable", Expires: expires };
}
