import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogLimits } from "./checkpoints.ts";
import { SqliteEngine } from "./sqlite-engine.ts";

const folders: string[] = [];
const engines: SqliteEngine[] = [];

afterEach(() => {
  for (const engine of engines.splice(0)) engine.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** An engine, and its log: how often that began anew, and how long it is. */
function open(limits: Partial<LogLimits>) {
  const folder = mkdtempSync(join(tmpdir(), "bramble-checkpoints-"));
  folders.push(folder);
  const path = join(folder, "db");
  const engine = SqliteEngine.open(path, undefined, limits);
  engines.push(engine);
  let revision = 0;
  return {
    write(pages: number) {
      revision += 1;
      engine.transaction(() => engine.put(`/registry/${revision}`, "x".repeat(4_000 * pages), revision, undefined));
    },
    engine,
    beginnings: () => readFileSync(`${path}-wal`).readUInt32BE(12),
    pages: () => Math.floor(statSync(`${path}-wal`).size / 4_120),
    database_bytes: () => statSync(path).size,
  };
}

test("a log is copied while writes go on, and begins anew once the database was synced and nobody wrote meanwhile", async () => {
  const { write, engine, beginnings, pages, database_bytes } = open({ part: 5, batch: 20, longest: 1_000, slow_ms: 0 });
  write(1);
  const first = beginnings();
  for (let n = 0; n < 10; n++) write(10);
  // The thread has not heard yet of any sync's end.
  expect(beginnings()).toBe(first);
  expect(pages()).toBeGreaterThan(100);
  expect(database_bytes()).toBeGreaterThan(80 * 4_096);
  const longest = pages();
  while (beginnings() === first) {
    await Bun.sleep(1);
    write(10);
    engine.tendLog();
  }
  expect(pages()).toBeGreaterThanOrEqual(longest);
  expect(engine.list("/registry/", { now: 1_000 }).items.length).toBe(engine.newest());
});

test("a log that nobody lets begin anew does so at its longest", () => {
  const { write, beginnings, pages, engine } = open({ part: 5, batch: 20, longest: 100 });
  write(1);
  const first = beginnings();
  for (let n = 0; n < 29; n++) write(10);
  expect(beginnings()).toBeGreaterThan(first);
  expect(pages()).toBeLessThan(130);
  expect(engine.list("/registry/", { now: 1_000 }).items.length).toBe(30);
});

test("a fast disk has its log begin anew after each batch, though writes go on", async () => {
  const { write, beginnings } = open({ part: 5, batch: 20, longest: 1_000, slow_ms: Number.POSITIVE_INFINITY });
  write(1);
  const first = beginnings();
  while (beginnings() === first) {
    write(10);
    await new Promise((resolve) => setImmediate(resolve));
    write(10);
  }
});

test("a busy store on a slow disk copies its log in parts", () => {
  const { write, database_bytes } = open({ part: 20, batch: 2_000, longest: 4_000, slow_ms: 0 });
  const before = database_bytes();
  // Busy as soon as two parts follow upon each other within a second.
  for (let n = 0; n < 100 && database_bytes() === before; n++) write(10);
  expect(database_bytes()).toBeGreaterThan(before);
});

test("what is not busy copies a batch of pages at once", async () => {
  const { write, database_bytes } = open({ part: 5, batch: 40, longest: 1_000, slow_ms: 0 });
  const before = database_bytes();
  for (let n = 0; n < 3; n++) {
    await Bun.sleep(1_050);
    write(8);
    expect(database_bytes()).toBe(before);
  }
  await Bun.sleep(1_050);
  for (let n = 0; n < 3; n++) write(8);
  expect(database_bytes()).toBeGreaterThan(before);
});
