import { expect, test } from "bun:test";
import { getPriority } from "node:os";
import { join } from "node:path";
import type { Scheduling } from "./prompt-thread.ts";

type Shown = { readonly [key in keyof Scheduling]: number };

interface Report {
  readonly before: Shown;
  readonly taken: boolean;
  readonly after: Shown;
  readonly ofChild: Shown;
  readonly ofWorker: readonly [before: Shown, taken: boolean, after: Shown];
}

const program = `
import { promptThread, schedulingOf } from "${join(import.meta.dir, "prompt-thread.ts")}";
const before = schedulingOf();
const taken = promptThread();
const child = Bun.spawn(["sleep", "60"]);
const ofChild = schedulingOf(child.pid);
child.kill();
const worker = new Worker(URL.createObjectURL(new Blob([
  'import { promptThread, schedulingOf } from "${join(import.meta.dir, "prompt-thread.ts")}";' +
  'const before = schedulingOf(); const taken = promptThread(); postMessage([before, taken, schedulingOf()]);'
], { type: "application/typescript" })));
const ofWorker = await new Promise((resolve) => { worker.onmessage = (event) => resolve(event.data); });
const text = (_, value) => typeof value === "bigint" ? Number(value) : value;
console.log(JSON.stringify({ before, taken, after: schedulingOf(), ofChild, ofWorker }, text));
process.exit();
`;

/** The program in a process that is favoured, as the service is, however the tests themselves are run. */
async function run(): Promise<Report> {
  const child = Bun.spawn(["nice", "-n", String(-5 - getPriority()), process.execPath, "-e", program], {
    stdout: "pipe",
    stderr: "inherit",
  });
  return JSON.parse(await new Response(child.stdout).text()) as Report;
}

test("a prompt thread asks for short turns and keeps its niceness; what it starts asks for nothing", async () => {
  const { before, taken, after, ofChild, ofWorker } = await run();
  const { niceness, slice_ns: usual_ns } = before;
  // Before Linux 6.12 the kernel takes the length of a turn and forgets it.
  const short_ns = usual_ns === 0 ? 0 : 100_000;
  expect(taken).toBe(true);
  expect(after).toEqual({ niceness, slice_ns: short_ns });
  expect(ofChild).toEqual({ niceness: 0, slice_ns: usual_ns });
  expect(ofWorker).toEqual([{ niceness: 0, slice_ns: usual_ns }, true, { niceness, slice_ns: short_ns }]);
  expect(niceness).toBeLessThan(0);
});
