/** HTTP/2 as nobody should speak it: frames with bytes changed, out of order, of wrong sizes, or very many. */
import { flags, frameTypes, preface } from "#shared/http2/frames.ts";
import { frame, headerBlock, requestFields, settings, uint32 } from "../support/http2-client.ts";
import type { Sample } from "./bodies.ts";
import type { Sent } from "./fuzz-case.ts";
import { mutateBytes } from "./mutations.ts";
import type { Random } from "./random.ts";

const targets = [
  "/version",
  "/api/v1/configmaps?watch=true",
  "/openapi/v2",
  "/api/v1/pods?limit=1",
  "/healthz",
  "/%zz",
];
const MANY = 2000;

export function http2Case(random: Random, _: readonly Sample[], namespace: string): Sent {
  const frames: Buffer[] = [];
  let stream = 1;
  for (let left = random.between(1, 6); left > 0; left -= 1) {
    const some = random.once(3) ? oddFrames(random, stream) : requestFrames(random, stream, namespace);
    frames.push(...(random.once(4) ? some.map((each) => mutateBytes(each, random)) : some));
    if (!random.once(5)) stream += 2;
  }
  const first = random.once(10) ? Buffer.alloc(0) : settings([4, random.pick([0, 1, 65_535, 2 ** 31 - 1, 2 ** 31])]);
  const start = random.once(20) ? mutateBytes(preface, random) : preface;
  const head = Buffer.concat([start, first, ...frames]);
  const as = random.once(5) ? "anonymous" : "admin";
  return { over: "h2", as, ending: "leave", head, rest: Buffer.alloc(0) };
}

function requestFrames(random: Random, stream: number, namespace: string): Buffer[] {
  if (!random.once(2)) {
    const block = headerBlock([...requestFields("GET", random.pick(targets)), ...oddHeaders(random)]);
    const cut = random.once(4) ? random.below(block.length) : block.length;
    const end = cut === block.length ? flags.endHeaders : 0;
    const rest =
      cut === block.length ? [] : [frame(frameTypes.continuation, flags.endHeaders, stream, block.subarray(cut))];
    return [frame(frameTypes.headers, flags.endStream | end, stream, block.subarray(0, cut)), ...rest];
  }
  const body = Buffer.from(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${random.word(6)}"}}`);
  const length = random.pick([body.length, body.length + 1, 0, -1, 2 ** 53]);
  const fields = requestFields("POST", `/api/v1/namespaces/${namespace}/configmaps`);
  const block = headerBlock([...fields, ["content-type", "application/json"], ["content-length", String(length)]]);
  const parts = random.once(3) ? [...body].map((_, at) => body.subarray(at, at + 1)) : [body];
  return [
    frame(frameTypes.headers, flags.endHeaders, stream, block),
    ...parts.map((part, at) => frame(frameTypes.data, at === parts.length - 1 ? flags.endStream : 0, stream, part)),
  ];
}

const oddHeaders = (random: Random): [string, string][] =>
  random.pick<[string, string][]>([
    [],
    [],
    [["connection", "close"]],
    [["X-A", "b"]],
    [["x-a", "\u0000"]],
    [[":path", "/"]],
    [["te", "gzip"]],
    [
      ["cookie", "a=b"],
      ["cookie", "c=d"],
    ],
    [["expect", "100-continue"]],
    [["host", "elsewhere"]],
    [["x-a", "a".repeat(60_000)]],
    [["", ""]],
  ]);

function oddFrames(random: Random, stream: number): Buffer[] {
  const id = random.pick([0, 1, 2, stream, stream + 100, 2 ** 31 - 1]);
  const payload = random.bytes(random.pick([0, 1, 3, 4, 5, 6, 8, 9, 100]));
  return random.pick<() => Buffer[]>([
    () => [frame(random.below(12), random.below(256), id, payload)],
    () => [frame(frameTypes.headers, flags.endHeaders | flags.endStream, stream, random.bytes(random.between(1, 200)))],
    () => [frame(frameTypes.windowUpdate, 0, id, uint32(random.pick([0, 1, 2 ** 31 - 1])))],
    () => [settings([random.below(10), random.pick([0, 1, 2, 16_383, 2 ** 24, 2 ** 32 - 1])])],
    () => [frame(frameTypes.reset, 0, id, uint32(random.below(20)))],
    () => [frame(frameTypes.headers, 0, stream, headerBlock(requestFields("GET", "/version")))],
    () => [frame(frameTypes.goAway, 0, 0, Buffer.concat([uint32(0), uint32(0)]))],
    () => Array.from({ length: MANY }, () => frame(frameTypes.ping, 0, 0, Buffer.alloc(8))),
    () => Array.from({ length: MANY }, () => settings([1, 0])),
    () => Array.from({ length: MANY }, () => frame(frameTypes.data, 0, stream, Buffer.alloc(0))),
    () => Array.from({ length: MANY }, () => frame(frameTypes.priority, 0, stream, Buffer.alloc(5))),
    () => resets(stream),
  ])();
}

const resets = (stream: number): Buffer[] =>
  Array.from({ length: 500 }, (_, index) => stream + 2 * index).flatMap((each) => [
    frame(frameTypes.headers, flags.endHeaders | flags.endStream, each, headerBlock(requestFields("GET", "/version"))),
    frame(frameTypes.reset, 0, each, uint32(8)),
  ]);
