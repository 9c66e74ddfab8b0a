import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { Checkpoint } from "./checkpoint.ts";

test("what a process that was killed had half written goes, and nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "brt-checkpoint-"));
  const seal = { open: (_: string, content: Buffer) => content, close: (_: string, content: Buffer) => content };
  const checkpoint = new Checkpoint(join(folder, "checkpoint"), silentLog, seal);
  await checkpoint.dropHalfWritten();
  mkdirSync(join(folder, "checkpoint/pods"), { recursive: true });
  for (const name of ["u.json", ".0123456789ab.tmp"]) writeFileSync(join(folder, "checkpoint/pods", name), "{");
  await checkpoint.dropHalfWritten();
  expect(readdirSync(join(folder, "checkpoint/pods"))).toEqual(["u.json"]);
  rmSync(folder, { recursive: true });
});
