/** Requests that nobody should send, each decided by its seed alone. */
import { createHash } from "node:crypto";
import { type Body, bodyOf, loadSamples, patchOf, type Sample, validSamples } from "./bodies.ts";
import { mutateBytes, oddTexts } from "./mutations.ts";
import { Random } from "./random.ts";

/**
 * What the client does after it has sent all: waits for a whole answer, waits for the beginning of one that may last (and
 * sends the rest then), or goes away, since the server may rightly wait for more.
 */
export type Ending = "answer" | "begin" | "leave";

export interface FuzzCase {
  readonly seed: number;
  readonly shape: string;
  /** Plain TCP: no TLS is spoken. */
  readonly over: "tls" | "tcp";
  readonly as: "admin" | "anonymous";
  readonly ending: Ending;
  readonly head: Buffer;
  /** Sent when the answer has begun (upgraded connections), else right after. */
  readonly rest: Buffer;
}

type Shape = (random: Random, samples: readonly Sample[], namespace: string) => Omit<FuzzCase, "seed" | "shape">;

/** By how often of a hundred. */
const shapes: Readonly<Record<string, { readonly weight: number; readonly make: Shape }>> = {
  body: { weight: 34, make: bodyCase },
  patch: { weight: 14, make: patchCase },
  read: { weight: 16, make: readCase },
  headers: { weight: 10, make: headerCase },
  framing: { weight: 8, make: framingCase },
  bytes: { weight: 7, make: bytesCase },
  upgrade: { weight: 6, make: upgradeCase },
  garbage: { weight: 3, make: garbageCase },
  pipeline: { weight: 2, make: pipelineCase },
};

export type CaseMaker = (seed: number) => FuzzCase;

/** @param namespaces in which objects are made, in turn. */
export async function caseMaker(namespaces: readonly string[]): Promise<CaseMaker> {
  const samples = [...(await loadSamples())];
  const total = Object.values(shapes).reduce((sum, { weight }) => sum + weight, 0);
  return (seed) => {
    const random = new Random(seed);
    let at = random.below(total);
    const chosen = Object.entries(shapes).find(([, { weight }]) => {
      at -= weight;
      return at < 0;
    });
    if (!chosen) throw new Error("the weights do not add up");
    return { seed, shape: chosen[0], ...chosen[1].make(random, samples, random.pick(namespaces)) };
  };
}

const anySample = (random: Random, samples: readonly Sample[]): Sample =>
  random.pick(random.once(2) ? validSamples : samples);

interface Head {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
}

function headOf({ method, target, headers }: Head): Buffer {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    "Host: localhost",
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

function withBody(head: Head, { contentType, bytes }: Body, random: Random): Omit<FuzzCase, "seed" | "shape"> {
  const isChunked = random.once(6);
  const framed = isChunked ? chunked(bytes, random) : bytes;
  const framing = isChunked
    ? (["Transfer-Encoding", "chunked"] as const)
    : (["Content-Length", String(bytes.length)] as const);
  const headers = [...head.headers, ["Content-Type", Buffer.from(contentType).toString("latin1")], framing] as const;
  const begun = headOf({ ...head, headers });
  const all = { over: "tls", as: "admin", rest: Buffer.alloc(0) } as const;
  const ending = endingOf(head.target);
  // Nobody answers before the body is there.
  return ending === "begin"
    ? { ...all, ending, head: Buffer.concat([begun, framed]) }
    : { ...all, ending, head: begun, rest: framed };
}

/** Watches and logs that are followed last. */
const endingOf = (target: string): Ending => (/watch|follow/.test(target) ? "begin" : "answer");

function chunked(bytes: Buffer, random: Random): Buffer {
  const size = Math.max(random.pick([1, 7, 1000, 100_000]), Math.ceil(bytes.length / 300));
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  return Buffer.concat([...pieces, Buffer.from(random.once(4) ? "0\r\nX-Trailer: a\r\n\r\n" : "0\r\n\r\n")]);
}

function bodyCase(random: Random, samples: readonly Sample[], namespace: string): Omit<FuzzCase, "seed" | "shape"> {
  const sample = anySample(random, samples);
  const collection = sample.collection(namespace);
  const [method, target] = random.pick([
    ["POST", collection],
    ["POST", collection],
    ["POST", collection],
    ["PUT", `${collection}/${random.word(1)}`],
    ["PUT", `${collection}/${random.word(1)}/status`],
    ["PUT", `${collection}/${random.word(1)}/scale`],
    ["POST", `${collection}/${random.word(1)}/eviction`],
    ["POST", `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`],
    ["DELETE", `${collection}/${random.word(1)}`],
  ] as const);
  return withBody(
    { method, target: `${target}${queryOf(random, 3)}`, headers: someHeaders(random, 4) },
    bodyOf(sample, random),
    random,
  );
}

function patchCase(random: Random, samples: readonly Sample[], namespace: string): Omit<FuzzCase, "seed" | "shape"> {
  const sample = anySample(random, samples);
  const place = random.pick(["", "", "", "/status", "/scale", "/ephemeralcontainers", "/resize"]);
  const target = `${sample.collection(namespace)}/${random.pick(["a", "b", "c", "fixed"])}${place}${queryOf(random, 2)}`;
  return withBody({ method: "PATCH", target, headers: someHeaders(random, 4) }, patchOf(sample, random), random);
}

const places = [
  "/",
  "/api",
  "/apis",
  "/apis/apps",
  "/apis/apps/v1",
  "/openapi/v2",
  "/openapi/v3",
  "/openapi/v3/apis/apps/v1",
  "/healthz",
  "/readyz",
  "/livez/ping",
  "/metrics",
  "/version",
  "/debug/api_priority_and_fairness/dump_queues",
  "/.well-known/openid-configuration",
  "/openid/v1/jwks",
  "/dashboard",
  "/dashboard/",
  "/apis/metrics.k8s.io/v1beta1/nodes",
  "/apis/boards.bramble.dev/v1",
  "/api/v1/nodes/none/proxy/x",
  "/bramble/join",
  "/v1/install.sh",
  "/logs",
  "/api/v1/componentstatuses",
];

const oddSegments = [
  "%2e%2e",
  "..",
  ".",
  "%2f",
  "%00",
  "%zz",
  "%",
  "%c0%ae",
  "a%20b",
  "",
  "*",
  "watch",
  "namespaces",
  "proxy",
  "\u00ff",
  ";x=1",
  "a".repeat(3000),
];

function pathOf(random: Random, samples: readonly Sample[], namespace: string): string {
  const known = random.once(3)
    ? random.pick(places)
    : `${anySample(random, samples).collection(namespace)}${random.pick(["", "", "/a", "/fixed", "/fixed/status", "/fixed/scale", "/fixed/log", "/fixed/none"])}`;
  if (random.once(2)) return known;
  const segments = known.split("/");
  for (let left = random.between(1, 3); left > 0; left -= 1)
    segments.splice(random.between(1, segments.length), random.below(2), random.pick(oddSegments));
  return segments.join("/") || "/";
}

const parameters: Readonly<Record<string, readonly string[]>> = {
  limit: ["-1", "0", "1", "9".repeat(30), "a", "1.5"],
  continue: ["x", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiXHUwMDAwIn0", "%ff", "e30", "A".repeat(5000)],
  labelSelector: [
    "a in (",
    "a=b,,c",
    "!",
    "a notin (b),c>1",
    "=".repeat(50),
    "a in (b,c),d",
    `${"a".repeat(300)}=b`,
    "(".repeat(2000),
  ],
  fieldSelector: ["metadata.name=", "a=b", "metadata.name=a\\,b", "==", "spec.nodeName!=x", "metadata.name=%00"],
  resourceVersion: ["-1", "0", "1", "9".repeat(30), "a", "99999999"],
  resourceVersionMatch: ["Exact", "NotOlderThan", "x"],
  timeoutSeconds: ["-5", "0", "1", "9".repeat(30), "x"],
  watch: ["1", "true", "false", "x"],
  allowWatchBookmarks: ["true", "x"],
  sendInitialEvents: ["true", "false", "x"],
  fieldManager: ["a".repeat(200), "é", ""],
  fieldValidation: ["Strict", "Warn", "Ignore", "x"],
  dryRun: ["All", "x", ""],
  force: ["true", "x"],
  pretty: ["true", "1", "x"],
  gracePeriodSeconds: ["-1", "0", "x", "9".repeat(30)],
  propagationPolicy: ["Foreground", "Orphan", "x"],
  orphanDependents: ["x", "true"],
  command: ["ls", "\u0000", ""],
  container: ["web", "none", "../x"],
  tailLines: ["-1", "1", "x"],
  follow: ["true", "x"],
  ports: ["80", "x", "70000"],
  timeout: ["1s", "-1s", "x", "10000h"],
};

/** @param inTimes one request in so many has a query. */
function queryOf(random: Random, inTimes: number): string {
  if (!random.once(inTimes)) return "";
  const parts: string[] = [];
  for (let left = random.pick([1, 1, 2, 3, 6, 300]); left > 0; left -= 1) {
    const name = random.pick(Object.keys(parameters));
    const value = random.once(6) ? random.pick(oddTexts) : random.pick(parameters[name] ?? [""]);
    parts.push(
      random.once(12) ? random.pick(["&", "=", "%", "%zz=%", "a", ";a=b", "=x"]) : `${name}=${encoded(value, random)}`,
    );
  }
  return `?${parts.join("&")}`;
}

/** Percent-encoded, mostly well. */
function encoded(text: string, random: Random): string {
  if (random.once(10)) return "%ff%c0%80";
  return encodeURIComponent(text.toWellFormed()).replaceAll("%25", "%");
}

const oddHeaders: readonly (readonly [string, string])[] = [
  ["Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"],
  ["Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"],
  ["Accept", "application/vnd.kubernetes.protobuf"],
  ["Accept", "application/cbor"],
  ["Accept", "application/yaml"],
  ["Accept", "*/*;q=nan, ;;;, text/html;level=1"],
  ["Accept", ",".repeat(5000)],
  ["Accept", "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io"],
  ["Accept-Encoding", "gzip"],
  ["Accept-Encoding", "gzip;q=0, br, *"],
  ["Authorization", "Bearer"],
  ["Authorization", "Bearer a.b.c"],
  ["Authorization", `Bearer eyJhbGciOiJub25lIn0.${"A".repeat(6000)}.`],
  ["Authorization", "Basic dTpw"],
  ["Authorization", "Bearer abcdef.0123456789abcdef"],
  ["Impersonate-User", "system:anonymous"],
  ["Impersonate-User", "\u00ff\u00fe"],
  ["Impersonate-Group", "system:masters"],
  ["Impersonate-Extra-%zz", "x"],
  ["Impersonate-Uid", "1"],
  ["X-Remote-User", "admin"],
  ["Audit-Id", "x".repeat(3000)],
  ["Audit-Id", "\u00ff"],
  ["User-Agent", "x".repeat(5000)],
  ["User-Agent", "Mozilla/5.0"],
  ["Expect", "100-continue"],
  ["Expect", "200-maybe"],
  ["Upgrade", "h2c"],
  ["Connection", "Upgrade, HTTP2-Settings"],
  ["Connection", "close"],
  ["Range", "bytes=0-1,5-"],
  ["If-None-Match", "*"],
  ["Content-Encoding", "gzip"],
  ["Origin", "https://example.com"],
  ["X-Forwarded-For", "1.2.3.4"],
  ["Cookie", "a=b; ".repeat(200)],
];

function someHeaders(random: Random, inTimes: number): (readonly [string, string])[] {
  if (!random.once(inTimes)) return [];
  // An upgrade is no answer that can be waited for; those have a shape of their own.
  const usable = oddHeaders.filter(([name]) => name !== "Upgrade" && name !== "Connection");
  return Array.from({ length: random.between(1, 3) }, () => random.pick(usable));
}

function readCase(random: Random, samples: readonly Sample[], namespace: string): Omit<FuzzCase, "seed" | "shape"> {
  const method = random.pick([
    "GET",
    "GET",
    "GET",
    "GET",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "DELETE",
    "PROPFIND",
    "get",
    "CONNECT",
  ]);
  const path = pathOf(random, samples, namespace);
  const target = `${path}${queryOf(random, 2)}`;
  const head = headOf({ method, target, headers: someHeaders(random, 3) });
  // An answer to HEAD is a head.
  const ending = method === "CONNECT" ? "leave" : method === "HEAD" ? "begin" : endingOf(target);
  return { over: "tls", as: random.once(10) ? "anonymous" : "admin", ending, head, rest: Buffer.alloc(0) };
}

/** Header sections that are too large, odd, or no header sections. */
function headerCase(random: Random, samples: readonly Sample[], namespace: string): Omit<FuzzCase, "seed" | "shape"> {
  const target = pathOf(random, samples, namespace);
  const lines = random.pick([
    () => Array.from({ length: random.pick([100, 2000, 20_000]) }, (_, index) => `X-${index}: y`),
    () => [`X-Big: ${"y".repeat(random.pick([7000, 20_000, 300_000, 2_000_000]))}`],
    () => ["Host: other", "Host: third"],
    () => ["X-Fold: a\r\n b\r\n\tc"],
    () => ["X-Nul: a\u0000b"],
    () => ["no colon here"],
    () => [": empty name"],
    () => ["X Space: a", "X-Tab\t: b"],
    () => ["X-Bare: a\nX-Next: b"],
    () => ["Content-Length: -1"],
    () => ["Content-Length: 1e3"],
    () => [`Content-Length: ${"9".repeat(30)}`],
    () => ["Content-Length: 4\r\nContent-Length: 5"],
    () => ["Transfer-Encoding: gzip, chunked, chunked"],
    () => [...oddHeaders, ...oddHeaders].filter(() => random.once(4)).map(([name, value]) => `${name}: ${value}`),
  ])();
  const version = random.pick([
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/0.9",
    "HTTP/2.0",
    "HTTP/1.99999",
    "http/1.1",
    "",
  ]);
  const head = Buffer.from(
    `${random.pick(["GET", "GET", "POST"])} ${target} ${version}\r\nHost: localhost\r\n${lines.join("\r\n")}\r\n\r\n`,
    "latin1",
  );
  return { over: "tls", as: random.once(3) ? "anonymous" : "admin", ending: "leave", head, rest: Buffer.alloc(0) };
}

/** The path that a request has which stands hidden in the body of another: nobody may ever be told of it. */
export const smuggledPath = "/healthz/smuggled";

/** Where a body ends is said twice, wrongly, or later than it is. */
function framingCase(random: Random, _: readonly Sample[], namespace: string): Omit<FuzzCase, "seed" | "shape"> {
  const inner = `GET ${smuggledPath} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const target = `/api/v1/namespaces/${namespace}/configmaps`;
  const request = (headers: string, body: string): Buffer =>
    Buffer.from(
      `POST ${target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}\r\n\r\n${body}`,
      "latin1",
    );
  const head = random.pick([
    () => request(`Content-Length: ${inner.length + 5}\r\nTransfer-Encoding: chunked`, `0\r\n\r\n${inner}`),
    () => request(`Transfer-Encoding: chunked\r\nContent-Length: 5`, `0\r\n\r\n${inner}`),
    () => request(`Content-Length: 2\r\nContent-Length: ${2 + inner.length}`, `{}${inner}`),
    () => request(`Content-Length: 2, ${2 + inner.length}`, `{}${inner}`),
    () => request(`Content-Length: +2`, `{}${inner}`),
    () => request(`Content-Length: 0x2`, `{}${inner}`),
    () => request(`Content-Length : ${2 + inner.length}`, `{}${inner}`),
    () => request(`Transfer-Encoding: xchunked`, `0\r\n\r\n${inner}`),
    () => request(`Transfer-Encoding : chunked`, `0\r\n\r\n${inner}`),
    () => request(`Transfer-Encoding: chunked\r\nTransfer-Encoding: identity`, `0\r\n\r\n${inner}`),
    () => request(`Transfer-Encoding:\u000bchunked`, `0\r\n\r\n${inner}`),
    () => request(`Transfer-Encoding: chunked`, `${"0".repeat(random.pick([1, 100, 100_000]))}2\r\n{}\r\n0\r\n\r\n`),
    () => request(`Transfer-Encoding: chunked`, `2;ext="${"x".repeat(random.pick([10, 100_000]))}"\r\n{}\r\n0\r\n\r\n`),
    () => request(`Transfer-Encoding: chunked`, `-2\r\n{}\r\n0\r\n\r\n`),
    () => request(`Transfer-Encoding: chunked`, `ffffffffffffffff\r\n{}\r\n0\r\n\r\n`),
    () => request(`Transfer-Encoding: chunked`, `2\n{}\n0\n\n`),
    () => request(`Transfer-Encoding: chunked`, `2\r\n{}XX0\r\n\r\n`),
    () => request(`Transfer-Encoding: chunked`, `0\r\n${"T: x\r\n".repeat(random.pick([1, 50_000]))}\r\n`),
    () => request(`Content-Length: 10`, `{}`),
    () => request(`Content-Length: ${4 * 1024 * 1024}`, `{"a":"`),
    () =>
      request(
        `Transfer-Encoding: chunked`,
        `${(4 * 1024 * 1024).toString(16)}\r\n${"x".repeat(4 * 1024 * 1024)}\r\n0\r\n\r\n`,
      ),
    () => request(`Expect: 100-continue\r\nContent-Length: 20`, ``),
    () => Buffer.from(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}`),
  ])();
  return { over: "tls", as: "admin", ending: "leave", head, rest: Buffer.alloc(0) };
}

/** A good request with bytes changed anywhere. */
function bytesCase(random: Random, samples: readonly Sample[], namespace: string): Omit<FuzzCase, "seed" | "shape"> {
  const good = random.once(2) ? bodyCase(random, samples, namespace) : readCase(random, samples, namespace);
  const head = mutateBytes(Buffer.concat([good.head, good.rest]), random);
  return { ...good, ending: "leave", head, rest: Buffer.alloc(0) };
}

const upgradeTargets = [
  "pods/fixed/exec?command=ls&stdin=true&stdout=true",
  "pods/fixed/attach?stdout=true",
  "pods/fixed/portforward?ports=80",
  "pods/fixed/log?follow=true",
  "pods/none/exec?command=ls",
  "pods?watch=true",
  "configmaps?watch=true&resourceVersion=1",
  "configmaps",
  "services/fixed/proxy/x",
];

function upgradeCase(random: Random, _: readonly Sample[], namespace: string): Omit<FuzzCase, "seed" | "shape"> {
  const target = `/api/v1/namespaces/${namespace}/${random.pick(upgradeTargets)}`;
  const key = random.once(4) ? random.word(5) : createHash("md5").update(random.word(8)).digest("base64");
  const [protocol, headers] = random.pick<readonly [string, readonly (readonly [string, string])[]]>([
    [
      "websocket",
      [
        ["Sec-WebSocket-Version", "13"],
        ["Sec-WebSocket-Key", key],
      ],
    ],
    [
      "websocket",
      [
        ["Sec-WebSocket-Version", "13"],
        ["Sec-WebSocket-Key", key],
        ["Sec-WebSocket-Protocol", "v5.channel.k8s.io, v4.channel.k8s.io"],
      ],
    ],
    [
      "websocket",
      [
        ["Sec-WebSocket-Version", "13"],
        ["Sec-WebSocket-Key", key],
        ["Sec-WebSocket-Protocol", "SPDY/3.1+portforward.k8s.io"],
      ],
    ],
    [
      "websocket",
      [
        ["Sec-WebSocket-Version", "13"],
        ["Sec-WebSocket-Key", key],
        ["Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=999"],
      ],
    ],
    ["websocket", [["Sec-WebSocket-Version", "99"]]],
    [
      "websocket",
      [
        ["Sec-WebSocket-Version", "13"],
        ["Sec-WebSocket-Key", key],
        ["Sec-WebSocket-Protocol", ",".repeat(500)],
      ],
    ],
    ["SPDY/3.1", [["X-Stream-Protocol-Version", "v4.channel.k8s.io"]]],
    ["SPDY/3.1", [["X-Stream-Protocol-Version", "v9.channel.k8s.io"]]],
    ["h2c", [["HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"]]],
    ["tunnel", []],
    ["\u00ff", []],
  ]);
  const upgrade = random.once(8) ? "/bramble/tunnel" : target;
  const head = headOf({
    method: random.once(8) ? "POST" : "GET",
    target: upgrade,
    headers: [["Connection", "Upgrade"], ["Upgrade", protocol], ...headers],
  });
  return { over: "tls", as: random.once(10) ? "anonymous" : "admin", ending: "begin", head, rest: framesOf(random) };
}

/** WebSocket and SPDY frames that no peer should send. */
function framesOf(random: Random): Buffer {
  const payload = random.bytes(random.between(0, 100));
  return random.pick([
    () => Buffer.from([0x81, 0x05, 1, 2, 3, 4, 5]),
    () => Buffer.from([0x8f, 0x80, 0, 0, 0, 0]),
    () => Buffer.from([0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
    () => Buffer.from([0x89, 0xfe, 0xff, 0xff, 0, 0, 0, 0]),
    () => Buffer.from([0xf1, 0x80, 0, 0, 0, 0]),
    () => Buffer.from([0x88, 0x81, 0, 0, 0, 0, 1]),
    () => Buffer.concat([Buffer.from([0x82, 0x80 | payload.length, 0, 0, 0, 0]), payload]),
    () => Buffer.concat(Array.from({ length: 2000 }, () => Buffer.from([0x02, 0x80, 0, 0, 0, 0]))),
    () => Buffer.concat(Array.from({ length: 2000 }, () => Buffer.from([0x89, 0x80, 0, 0, 0, 0]))),
    () => Buffer.concat([Buffer.from("800300010000000a", "hex"), random.bytes(10)]),
    () => Buffer.concat([Buffer.from("8003000100ffffff", "hex"), random.bytes(2000)]),
    () => random.bytes(random.between(1, 3000)),
    () => Buffer.alloc(0),
  ])();
}

/** What is no HTTP over TLS, or no TLS. */
function garbageCase(random: Random): Omit<FuzzCase, "seed" | "shape"> {
  const over = random.once(2) ? "tcp" : "tls";
  const head = random.pick([
    () => random.bytes(random.between(1, 2000)),
    () => Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1"),
    () => Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    () => Buffer.concat([Buffer.from("1603010200010001fc0303", "hex"), random.bytes(random.between(0, 600))]),
    () => Buffer.from("16030100ff", "hex"),
    () => Buffer.from("8080010301", "hex"),
    () => Buffer.concat([Buffer.from("1703030010", "hex"), random.bytes(16)]),
    () => Buffer.alloc(random.pick([1, 70_000, 1_000_000])),
    () => Buffer.from("\r\n".repeat(random.pick([1, 10_000]))),
    () => Buffer.from("SSH-2.0-x\r\n"),
    () => Buffer.from("GET".repeat(100_000)),
    () => Buffer.alloc(0),
  ])();
  return { over, as: random.once(2) ? "anonymous" : "admin", ending: "leave", head, rest: Buffer.alloc(0) };
}

/** No request follows in a pipeline that is as long as this. */
const PIPELINE_BYTES = 500_000;

/** Many requests at once, before any answer. */
function pipelineCase(random: Random, samples: readonly Sample[], namespace: string): Omit<FuzzCase, "seed" | "shape"> {
  const requests: Buffer[] = [];
  let length = 0;
  for (let left = random.pick([2, 10, 200]); left > 0 && length < PIPELINE_BYTES; left -= 1) {
    const { head, rest } = random.once(3) ? bodyCase(random, samples, namespace) : readCase(random, samples, namespace);
    requests.push(head, rest);
    length += head.length + rest.length;
  }
  return { over: "tls", as: "admin", ending: "leave", head: Buffer.concat(requests), rest: Buffer.alloc(0) };
}
