import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "./sqlite-store.ts";

setDefaultTimeout(300_000);

describe.skipIf(process.getuid?.() !== 0)("a full disk", () => {
  let dir: string;
  let disk: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "bramble-full-disk-"));
    disk = join(dir, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
  });
  afterAll(() => {
    execFileSync("umount", ["--lazy", disk]);
    rmSync(dir, { recursive: true });
  });

  function fill(): void {
    const file = openSync(join(disk, "filler"), "w");
    try {
      for (;;) writeSync(file, new Uint8Array(4096));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
    } finally {
      closeSync(file);
    }
  }
  const makeRoom = (): void => rmSync(join(disk, "filler"));

  /** Keys that were written in a batch, as a power cut would leave them. */
  function batched(): string[] {
    const copy = join(dir, "copy");
    rmSync(copy, { recursive: true, force: true });
    cpSync(disk, copy, { recursive: true, filter: (path) => !path.endsWith("filler") });
    const db = new Database(join(copy, "store.db"));
    try {
      return db
        .query<{ key: string }, []>("SELECT key FROM batched ORDER BY key")
        .all()
        .map(({ key }) => key);
    } finally {
      db.close();
    }
  }

  test("fails what needs it and says why; what nobody waits for is put off until there is room", async () => {
    const path = join(disk, "store.db");
    // Every write cuts all history before it.
    const open = () => openSqliteStore({ path, batchEvery_ms: 50, historyFor_ms: 0, mayStay: 0 });
    const store = await open();
    const revision = await store.create("/registry/pods/a/x", "before");
    fill();
    const update = (): Promise<string> =>
      store.update("/registry/pods/a/x", "x".repeat(50_000), revision).then(
        () => "done",
        (error: Error) => error.message,
      );
    expect(await update()).toContain("disk is full");
    await store.create("/registry/events/a/one", "y".repeat(20_000));
    // Long enough for a batch that fails, or none.
    await Bun.sleep(500);
    expect((await store.get("/registry/events/a/one"))?.value.length).toBe(20_000);
    expect(await update()).toContain("disk is full");
    makeRoom();
    while (!batched().includes("/registry/events/a/one")) await Bun.sleep(50);
    expect(await update()).toBe("done");

    fill();
    await store.create("/registry/events/a/two", "z".repeat(20_000));
    await store.close();
    makeRoom();
    const next = await open();
    expect((await next.get("/registry/pods/a/x"))?.value.length).toBe(50_000);
    expect(await next.get("/registry/events/a/one")).toBeDefined();
    await next.close();
  });
});
