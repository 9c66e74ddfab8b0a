import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
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

describe("a card", () => {
  let card: string;
  beforeEach(() => {
    card = mkdtempSync(join(tmpdir(), "brt-checkpoint-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", card]);
  });
  afterEach(() => {
    execFileSync("umount", ["--lazy", card]);
    rmSync(card, { recursive: true });
  });
  const kept = (): string[] => (existsSync(join(card, "pods")) ? readdirSync(join(card, "pods")).toSorted() : []);
  const textOf = (uid: string): string => readFileSync(join(card, "pods", `${uid}.json`), "utf8");

  test("that gets full in the midst of a write keeps what was there, and takes the rest once there is room", async () => {
    const { lines, log } = notedLog();
    const checkpoint = new Checkpoint(card, log, plain);
    const big = (uid: string, nodeName: string): Pod => ({
      ...podCalled(uid),
      spec: { containers: [], nodeName: nodeName.repeat(10_000) },
    });
    await checkpoint.save("pods", "old", big("old", "a"));
    expect(() => writeFileSync(join(card, "filler"), Buffer.alloc(512 * 1024))).toThrow("ENOSPC");
    await checkpoint.save("pods", "old", big("old", "b"));
    await checkpoint.save("pods", "new", big("new", "c"));
    expect([kept(), textOf("old").includes("aaa")]).toEqual([["old.json"], true]);
    await checkpoint.retry();
    expect(lines.filter((line) => line.includes("cannot be written")).length).toBeLessThanOrEqual(5);
    rmSync(join(card, "filler"));
    await checkpoint.retry();
    expect([kept(), textOf("old").includes("bbb")]).toEqual([["new.json", "old.json"], true]);
    expect(lines.at(-1)).toContain("checkpoints are written again");
  });

  test("that is mounted read-only gives up a pod that is gone once it can be written", async () => {
    const checkpoint = new Checkpoint(card, silentLog, plain);
    await checkpoint.save("pods", "gone", podCalled("gone"));
    await checkpoint.save("pods", "back", podCalled("back"));
    execFileSync("mount", ["-o", "remount,ro", card]);
    await checkpoint.remove("pods", "gone");
    await checkpoint.remove("pods", "back");
    await checkpoint.save("pods", "back", { ...podCalled("back"), spec: { containers: [], nodeName: "board" } });
    expect(kept()).toEqual(["back.json", "gone.json"]);
    execFileSync("mount", ["-o", "remount,rw", card]);
    await checkpoint.retry();
    expect([kept(), textOf("back").includes("board")]).toEqual([["back.json"], true]);
  });
});
