import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerStatus } from "../runtime.ts";
import { rotateLogs } from "./log-rotation.ts";

const root = mkdtempSync(join(tmpdir(), "brt-rotate-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const warnings: string[] = [];
const warn = (message: string): void => void warnings.push(message);
let count = 0;
/** A folder with one log in use, and a container that writes it. */
function container(content: string, state: ContainerStatus["state"] = "running") {
  const folder = join(root, String(++count));
  mkdirSync(folder);
  const logPath = join(folder, "0.log");
  writeFileSync(logPath, content);
  const status = { id: `id-${count}`, state, logPath } as ContainerStatus;
  return { folder, logPath, status };
}

const limits = { maxSize_bytes: 10, maxFiles: 3 };
const at = (second: number): Date => new Date(Date.UTC(2026, 0, 2, 3, 4, second));

test("a log that is too long is set aside, and the oldest of those go", async () => {
  const { folder, logPath, status } = container("more than ten bytes");
  const reopened: string[] = [];
  for (let second = 1; second <= 4; second++) {
    writeFileSync(logPath, `more than ten bytes ${second}`);
    const reopen = (id: string) => Promise.resolve(reopened.push(id));
    await rotateLogs([status], limits, { reopen, warn, now: at(second) });
  }
  expect(readdirSync(folder).sort()).toEqual(["0.log.20260102-030403", "0.log.20260102-030404"]);
  expect(reopened).toEqual(Array(4).fill(status.id));
});

test("twice within a second nothing is set aside in the place of what was just before", async () => {
  const { folder, logPath, status } = container("more than ten bytes");
  const reopen = () => Promise.resolve(writeFileSync(logPath, "and more than ten again"));
  const rotate = () => rotateLogs([status], limits, { reopen, warn, now: at(1) });
  expect([await rotate(), await rotate()]).toEqual([1, 0]);
  expect(readFileSync(join(folder, "0.log.20260102-030401"), "utf8")).toBe("more than ten bytes");
  expect(readFileSync(logPath, "utf8")).toBe("and more than ten again");
});

test("short logs, and those of containers that have ended, stay", async () => {
  const all = [container("short"), container("more than ten bytes", "exited")];
  const reopen = () => Promise.reject(new Error("not asked"));
  await rotateLogs(
    all.map(({ status }) => status),
    limits,
    { reopen, warn },
  );
  expect(all.map(({ folder }) => readdirSync(folder))).toEqual([["0.log"], ["0.log"]]);
});

test("a runtime that cannot open another file goes on with the one it has", async () => {
  const { folder, logPath, status } = container("more than ten bytes");
  await rotateLogs([status], limits, { reopen: () => Promise.reject(new Error("no")), warn, now: at(1) });
  expect(warnings).toEqual([expect.stringContaining(logPath)]);
  expect(readdirSync(folder)).toEqual(["0.log"]);
  expect(readFileSync(logPath, "utf8")).toBe("more than ten bytes");
});
