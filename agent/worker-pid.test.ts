import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noteWorker, runningWorker } from "./worker-pid.ts";

test("a worker is found by its note, and no other process that got its id", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-pid-"));
  try {
    expect(runningWorker(folder)).toBeUndefined();
    const forget = noteWorker(folder);
    expect(runningWorker(folder)).toBe(process.pid);
    const note = join(folder, "worker.pid");
    writeFileSync(note, `${readFileSync(note, "utf8").trim()}1\n`);
    expect(runningWorker(folder)).toBeUndefined();
    forget();
    expect(runningWorker(folder)).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
