/** Requests whose framing is good and that say something odd. */

import type { Sample } from "./bodies.ts";
import { bodyOf, patchOf } from "./bodies.ts";
import type { Sent } from "./fuzz-case.ts";
import type { Random } from "./random.ts";
import { anySample, endingOf, headOf, oddHeaders, pathOf, queryOf, someHeaders, withBody } from "./request-parts.ts";

export function bodyCase(random: Random, samples: readonly Sample[], namespace: string): Sent {
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

export function patchCase(random: Random, samples: readonly Sample[], namespace: string): Sent {
  const sample = anySample(random, samples);
  const place = random.pick(["", "", "", "/status", "/scale", "/ephemeralcontainers", "/resize"]);
  const target = `${sample.collection(namespace)}/${random.pick(["a", "b", "c", "fixed"])}${place}${queryOf(random, 2)}`;
  return withBody({ method: "PATCH", target, headers: someHeaders(random, 4) }, patchOf(sample, random), random);
}

export function readCase(random: Random, samples: readonly Sample[], namespace: string): Sent {
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
export function headerCase(random: Random, samples: readonly Sample[], namespace: string): Sent {
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
