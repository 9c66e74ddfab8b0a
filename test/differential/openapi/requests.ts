/** How documents are asked for, and what of the answers is compared. */
import type { Fetch } from "./documents.ts";

export interface OpenApiAnswer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly hasBody: boolean;
  /** Of one that says what is wrong with a range. */
  readonly text?: string;
  /** Of a short part. */
  readonly length_bytes?: number;
}

const document = "/openapi/v3/apis/apps/v1";
const v2 = "/openapi/v2";
const v3 = "/openapi/v3";
const protobufOf = (version: string): string => `application/com.github.proto-openapi.spec.${version}+protobuf`;
const mediaTypes = [
  "*/*",
  "application/*",
  "application/json",
  "application/json;as=x",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
  "text/html",
  protobufOf("v2@v1.0"),
  protobufOf("v2.v1.0"),
  protobufOf("v3@v1.0"),
  protobufOf("v3.v1.0"),
  `${protobufOf("v2@v1.0")};q=0.5,application/json`,
  `application/json;q=0.1,${protobufOf("v3@v1.0")}`,
];
const encodings = ["gzip", "gzip, deflate, br", "deflate", "gzip;q=0", "*"];
const otherPaths = ["nope", "", "apis/nope/v1", "apis/apps/v1/", "apis/stable.example.com", "logs"];

interface OpenApiRequest {
  /** `HASH` is the document's own. */
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const conditions = ['"HASH"', 'W/"HASH"', "*", '"other", "HASH"', '"other"'];

const past = "Mon, 02 Jan 2006 15:04:05 GMT";
const future = "Sun, 02 Jan 2101 15:04:05 GMT";
const preconditions: readonly Readonly<Record<string, string>>[] = [
  ...['"HASH"', 'W/"HASH"', "*", '"other"', '"other", "HASH"'].map((tag) => ({ "if-match": tag })),
  ...[past, future, "yesterday"].flatMap((date) => [{ "if-modified-since": date }, { "if-unmodified-since": date }]),
  { "if-none-match": '"other"', "if-modified-since": future },
  { "if-match": '"HASH"', "if-unmodified-since": past },
  { "if-match": '"HASH"', "if-none-match": '"HASH"' },
];
const ranges = [
  ...["bytes=0-9", "bytes=5-", "bytes=-5", "bytes=0-", "bytes=0-0,5-9", "bytes=0-,0-"],
  ...["bytes=99999999-", "bytes=9-0", "bytes=a-b", "bytes=-", "bytes=,", "lines=0-9", "bytes=0-99999999", " bytes=0-9"],
];
const conditionalRanges = ['"HASH"', 'W/"HASH"', '"other"', past, future, "HASH"];
const partly: readonly Readonly<Record<string, string>>[] = [
  ...ranges.map((range) => ({ range })),
  ...conditionalRanges.map((each) => ({ range: "bytes=0-9", "if-range": each })),
  ...["bytes=0-9", "bytes=0-4999", "bytes=0-0,5-9", "bytes=99999999-"].map((range) => ({
    range,
    "accept-encoding": "gzip",
  })),
  { range: "bytes=0-9", accept: protobufOf("v2.v1.0") },
];

const requests: readonly OpenApiRequest[] = [
  ...[document, v2, v3].flatMap((path) => [
    ...mediaTypes.map((accept) => ({ path, headers: { accept } })),
    ...encodings.map((encoding) => ({ path, headers: { "accept-encoding": encoding } })),
    ...["HEAD", "POST", "PUT", "DELETE"].map((method) => ({ path, method })),
    ...["HASH", "OTHER", "", "OTHER&timeout=32s"].map((hash) => ({ path: `${path}?hash=${hash}` })),
    ...conditions.map((condition) => ({ path, headers: { "if-none-match": condition } })),
    ...[...preconditions, ...partly].map((headers) => ({ path, headers })),
    ...["HEAD", "POST"].flatMap((method) =>
      [{ "if-none-match": '"HASH"' }, { "if-modified-since": future }, { range: "bytes=0-9" }].map((headers) => ({
        path,
        method,
        headers,
      })),
    ),
  ]),
  { path: `${document}?hash=HASH`, headers: { range: "bytes=0-9" } },
  { path: `${document}?hash=HASH`, headers: { "if-none-match": '"HASH"' } },
  { path: `${document}?hash=OTHER`, headers: { accept: "text/html" } },
  ...otherPaths.map((name) => ({ path: `${v3}/${name}` })),
];

/** The answers to all requests, by what was asked. */
export async function fetchAnswers(fetched: Fetch): Promise<Record<string, OpenApiAnswer>> {
  const hashes = new Map<string, string>();
  for (const path of [document, v2]) {
    hashes.set(path, (await fetched(path)).headers.get("etag")?.replaceAll('"', "") ?? "");
  }
  const answers: Record<string, OpenApiAnswer> = {};
  for (const { path, method = "GET", headers = {} } of requests) {
    const hash = hashes.get(path.split("?")[0] ?? "") ?? "";
    const own = (text: string): string => text.replace("HASH", hash);
    const response = await fetched(own(path), {
      method,
      redirect: "manual",
      headers: Object.fromEntries(
        Object.entries({ "accept-encoding": "identity", ...headers }).map(([name, value]) => [name, own(value)]),
      ),
    });
    answers[[method, path, ...Object.entries(headers).flat()].join(" ")] = await answerOf(response, hash);
  }
  return answers;
}

const compared = [
  ...["content-type", "content-encoding", "cache-control", "vary", "etag", "location", "expires"],
  ...["accept-ranges", "content-range", "last-modified"],
];
const longestShown_bytes = 100;

async function answerOf(response: Response, hash: string): Promise<OpenApiAnswer> {
  const headers = compared.flatMap((name): [string, string][] => {
    const value = response.headers.get(name);
    if (value === null || value === "") return [];
    return [[name, shown(name, hash === "" ? value : value.replace(hash, "HASH"))]];
  });
  const body = Buffer.from(await response.arrayBuffer());
  return {
    code: response.status,
    headers: Object.fromEntries(headers),
    hasBody: body.length > 0,
    ...(response.status === 416 ? { text: body.toString() } : {}),
    ...(response.status === 206 && body.length <= longestShown_bytes ? { length_bytes: body.length } : {}),
  };
}

/** Without what differs from one server, one moment or one build to another. */
function shown(name: string, value: string): string {
  if (name === "expires" || name === "last-modified") return value.replace(/.* /, "");
  if (name === "content-range") return value.replace(/\d{4,}/g, "SIZE");
  return value.replace(/boundary=\w+/, "boundary=BOUNDARY");
}
