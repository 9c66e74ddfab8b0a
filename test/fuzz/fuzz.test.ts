/**
 * Malformed requests against an API server in a process of its own. BRAMBLE_FUZZ_REQUESTS says how many (3,000),
 * BRAMBLE_FUZZ_SEED which (the first of their seeds), BRAMBLE_FUZZ_BINARY which compiled program (else the sources). What
 * fails is printed with its seed; `BRAMBLE_FUZZ_REQUESTS=1` and that seed repeat it. It is kept in regressions.ts once it
 * is mended.
 */

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { until } from "#shared/testing/until.ts";
import { gadgetDefinition, validSamples } from "./bodies.ts";
import { type CaseMaker, caseMaker } from "./cases.ts";
import { converse, type Outcome } from "./conversation.ts";
import type { FuzzCase } from "./fuzz-case.ts";
import { faultOf } from "./judge.ts";
import { regressions } from "./regressions.ts";
import { type Measure, ServerProcess } from "./server-process.ts";
import { smuggledPath } from "./wire-shapes.ts";

setDefaultTimeout(3_600_000);

const requests = Number(process.env["BRAMBLE_FUZZ_REQUESTS"] ?? 3000);
const firstSeed = Number(process.env["BRAMBLE_FUZZ_SEED"] ?? 1);
const AT_ONCE = 12;
const FAULTS_SHOWN = 20;
/** A long run says how far it is. */
const SAID_EACH = 2000;
/** What may stay after any number of requests: caches are bounded, but they fill. */
const HEAP_GROWTH_BYTES = 16 * 1024 * 1024;
const FILES_GROWTH = 20;

const namespaces = ["fuzz-1", "fuzz-2", "fuzz-3"];
const server = new ServerProcess();
let make: CaseMaker;

beforeAll(async () => {
  await server.start();
  make = await caseMaker(namespaces);
  await prepare();
});
afterAll(() => server.remove());

const post = (path: string, body: object): Promise<unknown> => server.client().raw({ method: "POST", path, body });

/** Namespaces, a custom kind, and an object named fixed of each valid sample. */
async function prepare(): Promise<void> {
  await post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", gadgetDefinition);
  for (const name of namespaces) {
    await post("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    await post(`/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: "default" } });
    for (const { collection, value } of validSamples) {
      const create = (): Promise<unknown> => post(collection(name), { ...value, metadata: { name: "fixed" } });
      // A new kind is served a moment after its definition was accepted.
      await until(`an object in ${collection(name)}`, create, { every_ms: 50 });
    }
  }
}

interface Fault {
  readonly fuzzCase: FuzzCase;
  readonly outcome: Outcome | undefined;
  readonly why: string;
}

/** Runs all of these, some at once, until too many have failed. */
async function run(
  cases: Iterable<FuzzCase>,
  atOnce = AT_ONCE,
): Promise<{ faults: Fault[]; counts: Map<string, number> }> {
  const place = server.place();
  const faults: Fault[] = [];
  const counts = new Map<string, number>();
  const waiting = cases[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = waiting.next(); !next.done && faults.length < FAULTS_SHOWN; next = waiting.next()) {
      const fuzzCase = next.value;
      const outcome = await converse(place, fuzzCase);
      const why = server.exitCode === null ? faultOf(fuzzCase, outcome) : "the server has ended";
      if (why) {
        faults.push({ fuzzCase, outcome, why });
        console.log(`seed ${fuzzCase.seed}: ${why}`);
      }
      const result = `${fuzzCase.shape} ${outcome.codes.length > 1 ? "several" : (outcome.codes[0] ?? outcome.end)}`;
      counts.set(result, (counts.get(result) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { faults, counts };
}

function* casesOf(count: number): Generator<FuzzCase> {
  for (let index = 0; index < count; index += 1) {
    if (index % SAID_EACH === 0 && index > 0)
      console.log(`${index} sent after ${Math.round(performance.now() / 1000)} s`);
    yield make(firstSeed + index);
  }
}

const shown = ({ fuzzCase, outcome, why }: Fault): string =>
  [
    `seed ${fuzzCase.seed} (${fuzzCase.shape}, ${fuzzCase.over}, ${fuzzCase.ending}): ${why}`,
    `  sent: ${JSON.stringify(fuzzCase.head.subarray(0, 600).toString("latin1"))}`,
    `  then: ${JSON.stringify(fuzzCase.rest.subarray(0, 600).toString("latin1"))} (${fuzzCase.rest.length} bytes)`,
    `  got: ${outcome?.end} ${JSON.stringify(outcome?.text.slice(0, 600))}`,
  ].join("\n");

function assertWhole(path: string): void {
  const database = new Database(path, { readonly: true });
  try {
    expect(database.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  } finally {
    database.close();
  }
}

test("requests that failed once are answered", async () => {
  const { faults } = await run(regressions, 1);
  expect(faults.map(shown).join("\n")).toBe("");
});

test(`${requests} malformed requests from seed ${firstSeed} on`, async () => {
  await run(casesOf(Math.min(300, requests)));
  const before = await server.measure();
  const { faults, counts } = await run(casesOf(requests));
  for (const [result, count] of [...counts].sort()) console.log(`${String(count).padStart(7)} ${result}`);
  if (faults.length > 0) console.log(server.log.slice(-20_000));
  expect(faults.map(shown).join("\n")).toBe("");
  expect(server.exitCode).toBeNull();
  console.log("just after", await server.measure());
  const most = {
    openFiles: before.openFiles + FILES_GROWTH,
    liveHeap_bytes: before.liveHeap_bytes + HEAP_GROWTH_BYTES,
  };
  const after = await quiet(most);
  console.log("before", before, "after", after);
  expect(after.openFiles).toBeLessThanOrEqual(most.openFiles);
  expect(after.liveHeap_bytes).toBeLessThanOrEqual(most.liveHeap_bytes);
  // Nobody was told of a request that was hidden in another's body.
  expect(server.log).not.toContain(smuggledPath);
  expect(server.log.match(uncaught)).toBeNull();
});

/** How the engine reports an error that nobody caught; where it did not end the process. */
const uncaught = /^\w*Error: .*/m;

/** Measures until connections that were left have been noticed, and what was kept of them is given up. */
async function quiet(most: { readonly openFiles: number; readonly liveHeap_bytes: number }): Promise<Measure> {
  let measured = await server.measure();
  const isMore = (): boolean => measured.openFiles > most.openFiles || measured.liveHeap_bytes > most.liveHeap_bytes;
  for (let left = 100; left > 0 && isMore(); left -= 1) {
    await Bun.sleep(2000);
    measured = await server.measure();
  }
  return measured;
}

test("what is stored afterwards can be read, written again, and is the same after a restart", async () => {
  const before = await everything();
  expect(before.size).toBeGreaterThan(100);
  await server.stop();
  assertWhole(server.database);
  const events = readFileSync(server.auditLog, "utf8").trimEnd().split("\n");
  expect(new Set(events.map((line) => (JSON.parse(line) as { readonly kind: string }).kind))).toEqual(
    new Set(["Event"]),
  );
  await server.start();
  const after = await everything();
  for (const [path, items] of before) expect(`${path} ${after.get(path)}`).toBe(`${path} ${items}`);
});

interface ResourceList {
  readonly groupVersion: string;
  readonly resources: readonly {
    readonly name: string;
    readonly namespaced: boolean;
    readonly verbs: readonly string[];
  }[];
}

/** Each object that any kind lists, as text by its path. Leases and events change by themselves. */
async function everything(): Promise<Map<string, string>> {
  const client = server.client();
  const read = async <T>(path: string): Promise<T> => (await client.raw({ method: "GET", path })) as T;
  const { groups } = await read<{ groups: { versions: { groupVersion: string }[] }[] }>("/apis");
  const roots = [
    "/api/v1",
    ...groups.flatMap(({ versions }) => versions.map(({ groupVersion }) => `/apis/${groupVersion}`)),
  ];
  const objects = new Map<string, string>();
  for (const root of roots) {
    if (/metrics\.k8s\.io|bramble/.test(root)) continue;
    const { resources } = await read<ResourceList>(root);
    for (const { name, verbs } of resources) {
      if (!verbs.includes("list") || ["leases", "events", "componentstatuses"].includes(name)) continue;
      const { items } = await read<{ items: { metadata: { name: string; namespace?: string } }[] | null }>(
        `${root}/${name}`,
      );
      for (const item of items ?? []) {
        objects.set(`${root}/${name} ${item.metadata.namespace ?? ""}/${item.metadata.name}`, JSON.stringify(item));
      }
    }
  }
  return objects;
}
