/** What mutating policies make of what is written is what upstream's make of it, in its words (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { settings } from "../mutating-policies/settings.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { answersFile } from "./answers-file.ts";
import { cases } from "./cases.ts";
import { type Answers, answersOf } from "./conversation.ts";
import { differences } from "./differences.ts";

setDefaultTimeout(300_000);

let server: WireServer;
let own: Answers;
beforeAll(async () => {
  server = await startWireServer(settings);
  const { url, headers, tls } = server.target;
  own = await answersOf(
    (path, init) => fetch(url + path, { ...init, headers: { ...headers, ...init?.headers }, tls } as RequestInit),
    () => Promise.resolve(),
  );
});
afterAll(() => server.stop());

const recorded = JSON.parse(brotliDecompressSync(readFileSync(answersFile)).toString()) as Answers;
const upstream = recorded.answers;

for (const { name } of cases) {
  test(name, () => {
    if (differences[name]) expect(own.answers[name]).not.toEqual(upstream[name]);
    else expect(own.answers[name]).toEqual(upstream[name]);
  });
}

test("what is counted is upstream's", () => {
  const isAlike = (series: string): boolean => !Object.keys(differences).some((name) => series.includes(`"${name}"`));
  expect(own.metrics.filter(isAlike)).toEqual(recorded.metrics.filter(isAlike));
});
