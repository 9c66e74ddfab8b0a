import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { runChild } from "./child-process.ts";

const run = (script: string, more: object = {}) =>
  runChild("sh", ["-c", script], { input: "in", timeout_ms: 60_000, maxOutput_bytes: 1024, ...more });
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await Bun.sleep(20);
};

test("what a program says and how it ends", async () => {
  expect(await run("cat; echo; echo err >&2; exit 3")).toEqual({
    code: 3,
    stdout: "in\n",
    stderr: "err\n",
    timedOut: false,
  });
  const absent = runChild("/no/such/program", [], { input: "", timeout_ms: 60_000, maxOutput_bytes: 1 });
  await expect(absent).rejects.toThrow("ENOENT");
});

test("one that takes too long is ended with what it waits for, which holds its output", async () => {
  const { code, stdout, timedOut } = await run("sleep 98764 & echo $!; wait", { timeout_ms: 300 });
  expect([code, timedOut]).toEqual([null, true]);
  await until(() => !existsSync(`/proc/${Number(stdout)}/fd/1`));
}, 300_000);

test("one that says too much is ended", async () => {
  expect(await run("yes")).toMatchObject({ code: null, timedOut: false });
}, 300_000);

test("one that ends and leaves something behind with its output is not waited for", async () => {
  const { code, stdout } = await run("sleep 98763 & echo $!");
  expect(code).toBe(0);
  process.kill(Number(stdout), "SIGKILL");
}, 300_000);
