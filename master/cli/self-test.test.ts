import { expect, test } from "bun:test";
import { join } from "node:path";

test("a processor that is well is told in four lines, and nothing else", async () => {
  const program = join(import.meta.dir, "../../bramble.ts");
  const run = Bun.spawn({ cmd: [process.execPath, program, "self-test"], stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
    run.exited,
  ]);
  expect(stderr).toBe("");
  expect(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.slice(0, 6)),
  ).toEqual(Array(4).fill("ok    "));
  expect(code).toBe(0);
});
