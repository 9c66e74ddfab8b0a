/** How documents are asked for, and what of the answers is compared. */
import type { Fetch } from "./documents.ts";

export interface OpenApiAnswer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly hasBody: boolean;
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

const requests: readonly OpenApiRequest[] = [
  ...[document, v2, v3].flatMap((path) => [
    ...mediaTypes.map((accept) => ({ path, headers: { accept } })),
    ...encodings.map((encoding) => ({ path, headers: { "accept-encoding": encoding } })),
    ...["HEAD", "POST", "PUT", "DELETE"].map((method) => ({ path, method })),
    ...["HASH", "OTHER", "", "OTHER&timeout=32s"].map((hash) => ({ path: `${path}?hash=${hash}` })),
    ...conditions.map((condition) => ({ path, headers: { "if-none-match": condition } })),
  ]),
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

const compared = ["content-type", "content-encoding", "cache-control", "vary", "etag", "location", "expires"];

async function answerOf(response: Response, hash: string): Promise<OpenApiAnswer> {
  const headers = compared.flatMap((name): [string, string][] => {
    const value = response.headers.get(name);
    if (value === null || value === "") return [];
    if (name === "expires") return [[name, value.replace(/.* /, "")]];
    return [[name, hash === "" ? value : value.replace(hash, "HASH")]];
  });
  return {
    code: response.status,
    headers: Object.fromEntries(headers),
    hasBody: (await response.arrayBuffer()).byteLength > 0,
  };
}
