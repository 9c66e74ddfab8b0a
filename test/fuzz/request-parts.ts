/** What requests are put together of: head, body, path, query and headers, each sometimes odd. */
import type { Body, Sample } from "./bodies.ts";
import { validSamples } from "./bodies.ts";
import type { Ending, Sent } from "./fuzz-case.ts";
import { oddTexts } from "./mutations.ts";
import type { Random } from "./random.ts";

export const anySample = (random: Random, samples: readonly Sample[]): Sample =>
  random.pick(random.once(2) ? validSamples : samples);

interface Head {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
}

export function headOf({ method, target, headers }: Head): Buffer {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    "Host: localhost",
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

export function withBody(head: Head, { contentType, bytes }: Body, random: Random): Sent {
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
export const endingOf = (target: string): Ending => (/watch|follow/.test(target) ? "begin" : "answer");

function chunked(bytes: Buffer, random: Random): Buffer {
  const size = Math.max(random.pick([1, 7, 1000, 100_000]), Math.ceil(bytes.length / 300));
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  return Buffer.concat([...pieces, Buffer.from(random.once(4) ? "0\r\nX-Trailer: a\r\n\r\n" : "0\r\n\r\n")]);
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

export function pathOf(random: Random, samples: readonly Sample[], namespace: string): string {
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
export function queryOf(random: Random, inTimes: number): string {
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

export const oddHeaders: readonly (readonly [string, string])[] = [
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

export function someHeaders(random: Random, inTimes: number): (readonly [string, string])[] {
  if (!random.once(inTimes)) return [];
  // An upgrade is no answer that can be waited for; those have a shape of their own.
  const usable = oddHeaders.filter(([name]) => name !== "Upgrade" && name !== "Connection");
  return Array.from({ length: random.between(1, 3) }, () => random.pick(usable));
}
