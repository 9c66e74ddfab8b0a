import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { Checkpoint } from "./checkpoint.ts";

const plain = { open: (_: string, content: Buffer) => content, close: (_: string, content: Buffer) => content };
const podCalled = (uid: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { uid },
  spec: { containers: [] },
});

test("what the process before has written is not written again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "brt-checkpoint-"));
  const file = join(folder, "pods/u.json");
  const save = (pod: Pod): Promise<void> => new Checkpoint(folder, silentLog, plain).save("pods", "u", pod);
  await save(podCalled("u"));
  const { ino } = statSync(file);
  await save(podCalled("u"));
  expect(statSync(file).ino).toBe(ino);
  await save({ ...podCalled("u"), spec: { containers: [], nodeName: "board" } });
  expect(await Bun.file(file).text()).toContain("board");
  rmSync(folder, { recursive: true });
});

test("of a pod that comes while those that are gone are dropped all is kept", async () => {
  const folder = mkdtempSync(join(tmpdir(), "brt-checkpoint-"));
  const checkpoint = new Checkpoint(folder, silentLog, plain);
  for (const uid of ["here", "gone"]) await checkpoint.save("pods", uid, podCalled(uid));
  await checkpoint.retainPods(() => {
    // Bound to this board a moment after the others were listed.
    void checkpoint.save("pods", "late", podCalled("late"));
    return ["here"];
  });
  await checkpoint.flushed();
  expect(readdirSync(join(folder, "pods")).toSorted()).toEqual(["here.json", "late.json"]);
  rmSync(folder, { recursive: true });
});

test("what a process that was killed had half written goes, and nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "brt-checkpoint-"));
  const checkpoint = new Checkpoint(join(folder, "checkpoint"), silentLog, plain);
  await checkpoint.dropHalfWritten();
  mkdirSync(join(folder, "checkpoint/pods"), { recursive: true });
  for (const name of ["u.json", ".0123456789ab.tmp"]) writeFileSync(join(folder, "checkpoint/pods", name), "{");
  await checkpoint.dropHalfWritten();
  expect(readdirSync(join(folder, "checkpoint/pods"))).toEqual(["u.json"]);
  rmSync(folder, { recursive: true });
});
