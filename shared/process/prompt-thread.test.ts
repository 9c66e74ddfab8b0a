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

async function run(...as: readonly string[]): Promise<Report> {
  const child = Bun.spawn([...as, process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
  return JSON.parse(await new Response(child.stdout).text()) as Report;
}

/** However the tests themselves are run. */
const withNiceness = (niceness: number): readonly string[] => ["nice", "-n", String(niceness - getPriority())];

/** Before Linux 6.12 the kernel takes the length of a turn and forgets it. */
const shortOf = (usual_ns: number): number => (usual_ns === 0 ? 0 : 100_000);

test("a prompt thread asks for short turns and is favoured; what it starts is neither", async () => {
  const { before, taken, after, ofChild, ofWorker } = await run(...withNiceness(0));
  const { slice_ns: usual_ns } = before;
  const prompt = { niceness: -5, slice_ns: shortOf(usual_ns) };
  const usual = { niceness: 0, slice_ns: usual_ns };
  expect(before).toEqual(usual);
  expect(taken).toBe(true);
  expect(after).toEqual(prompt);
  expect(ofChild).toEqual(usual);
  expect(ofWorker).toEqual([usual, true, prompt]);
});

test("who favours the program more is heeded", async () => {
  const { after, ofWorker } = await run(...withNiceness(-11));
  expect(after.niceness).toBe(-11);
  expect(ofWorker[2].niceness).toBe(-11);
});

test("where it may not be favoured it still asks for short turns", async () => {
  const unprivileged = ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice"];
  const { before, taken, after } = await run(...withNiceness(0), ...unprivileged);
  expect(taken).toBe(true);
  expect(after).toEqual({ niceness: 0, slice_ns: shortOf(before.slice_ns) });
});
