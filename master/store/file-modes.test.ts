import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteEngine } from "./sqlite-engine.ts";

test("what a cluster keeps is for nobody else on the board to read, in whatever folder it lies", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-modes-"));
  chmodSync(folder, 0o755);
  const path = join(folder, "store.db");
  const umask = process.umask(0o022);
  try {
    const modes = (revision: number): string[] => {
      const engine = SqliteEngine.open(path);
      engine.transaction(() => engine.put(`/registry/${revision}`, "b", revision, undefined));
      const open = readdirSync(folder).filter((name) => (statSync(join(folder, name)).mode & 0o077) !== 0);
      engine.close();
      return open.filter((name) => !name.endsWith(".made"));
    };
    expect(modes(1)).toEqual([]);
    // Older versions left it open.
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o644);
    writeFileSync(`${path}-wal`, "", { mode: 0o644 });
    expect(modes(2)).toEqual([]);
  } finally {
    process.umask(umask);
    rmSync(folder, { recursive: true });
  }
});
