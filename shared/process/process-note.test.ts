import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noteProcess, runningProcess } from "./process-note.ts";

test("a program is found by its note, and no other process that got its id", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-pid-"));
  try {
    expect(runningProcess(folder, "worker")).toBeUndefined();
    const forget = noteProcess(folder, "worker");
    expect(runningProcess(folder, "worker")).toBe(process.pid);
    const note = join(folder, "worker.pid");
    writeFileSync(note, `${readFileSync(note, "utf8").trim()}1\n`);
    expect(runningProcess(folder, "worker")).toBeUndefined();
    forget();
    expect(runningProcess(folder, "worker")).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
