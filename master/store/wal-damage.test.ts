import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lostTransactions } from "./wal-damage.ts";

describe("a write-ahead log", () => {
  let log: Buffer;
  const folder = mkdtempSync(join(tmpdir(), "bramble-wal-"));
  beforeAll(() => {
    const db = new Database(join(folder, "db"), { create: true });
    db.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x TEXT)");
    for (let n = 0; n < 10; n++) db.query("INSERT INTO t VALUES (?)").run("x".repeat(1000));
    log = readFileSync(join(folder, "db-wal"));
    db.close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const frame = 4096 + 24;
  const flipped = (at: number): Buffer => Buffer.from(log.with(at, (log[at] ?? 0) ^ 1));

  test("that is whole, empty, or ends in a torn frame, lost nothing", () => {
    expect(lostTransactions(log)).toBe(0);
    expect(lostTransactions(Buffer.alloc(0))).toBe(0);
    expect(lostTransactions(log.subarray(0, log.length - 2000))).toBe(0);
    expect(lostTransactions(Buffer.concat([log, Buffer.alloc(frame)]))).toBe(0);
    // The last transaction is torn, as a power cut tears it.
    expect(lostTransactions(flipped(log.length - 100))).toBe(0);
  });

  test("with a flipped bit in the middle lost what lies behind", () => {
    expect(lostTransactions(flipped(32 + frame + 500))).toBeGreaterThan(5);
    expect(lostTransactions(flipped(32 + frame + 17))).toBeGreaterThan(5);
  });

  test("whose header is damaged lost everything", () => {
    expect(lostTransactions(flipped(17))).toBeGreaterThan(5);
  });
});
