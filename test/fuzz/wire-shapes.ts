/** Bytes that are no request as HTTP has it, or that end or change what a connection speaks. */
import { createHash } from "node:crypto";
import type { Sample } from "./bodies.ts";
import type { Sent } from "./fuzz-case.ts";
import { bodyCase, readCase } from "./http-shapes.ts";
import { mutateBytes } from "./mutations.ts";
import type { Random } from "./random.ts";
import { headOf } from "./request-parts.ts";

/** The path that a request has which stands hidden in the body of another: nobody may ever be told of it. */
export const smuggledPath = "/healthz/smuggled";

/** Where a body ends is said twice, wrongly, or later than it is. */
export function framingCase(random: Random, _: readonly Sample[], namespace: string): Sent {
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
export function bytesCase(random: Random, samples: readonly Sample[], namespace: string): Sent {
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

export function upgradeCase(random: Random, _: readonly Sample[], namespace: string): Sent {
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
export function garbageCase(random: Random): Sent {
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
export function pipelineCase(random: Random, samples: readonly Sample[], namespace: string): Sent {
  const requests: Buffer[] = [];
  let length = 0;
  for (let left = random.pick([2, 10, 200]); left > 0 && length < PIPELINE_BYTES; left -= 1) {
    const { head, rest } = random.once(3) ? bodyCase(random, samples, namespace) : readCase(random, samples, namespace);
    requests.push(head, rest);
    length += head.length + rest.length;
  }
  return { over: "tls", as: "admin", ending: "leave", head: Buffer.concat(requests), rest: Buffer.alloc(0) };
}
