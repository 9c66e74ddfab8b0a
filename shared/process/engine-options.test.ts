import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assertKnown } from "#tools/program.ts";
import { commandLine } from "../../command-line.ts";
import { engineOptions, heapOptions, longRunningCommands, runsLong } from "./engine-options.ts";

const options = JSON.stringify(engineOptions);
const [option = ""] = Object.keys(engineOptions);
const folder = mkdtempSync(join(tmpdir(), "engine-options-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Tells of its start, then what it is and what its children get. */
const program = join(folder, "program.ts");
writeFileSync(
  program,
  `
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { startWithOptions } from "${join(import.meta.dir, "engine-options.ts")}";
process.stdout.write("started " + process.pid + "\\n");
startWithOptions(${options});
const given = readFileSync("/proc/self/environ", "utf8").split("\\0").filter((line) => line.startsWith("${option}="));
const ofChild = spawnSync("env").stdout.toString().split("\\n").filter((line) => line.startsWith("BUN_JSC_") || line.startsWith("KEPT="));
console.log(JSON.stringify({ given, ofChild, own: process.env["${option}"] ?? null, args: process.argv.slice(2), input: readFileSync(0, "utf8") }));
`,
);

interface Told {
  readonly pid: number;
  readonly starts: readonly string[];
  readonly last: Readonly<Record<"given" | "ofChild" | "own" | "args" | "input", unknown>>;
  readonly faults: string;
}

/** @param command what runs it; by itself the engine. */
async function run(env: Record<string, string> = {}, command: string[] = [process.execPath]): Promise<Told> {
  const child = Bun.spawn([...command, program, "an argument", ""], {
    env: { PATH: process.env["PATH"] ?? "", KEPT: "ü=1", ...env },
    stdin: new Blob(["typed"]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, faults] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect(`${faults}${await child.exited}`).toEndWith("0");
  const lines = output.trim().split("\n");
  return { pid: child.pid, starts: lines.slice(0, -1), last: JSON.parse(lines.at(-1) ?? ""), faults };
}

test("a program starts once more in its own place, with the options, and keeps them from its children", async () => {
  const { pid, starts, last, faults } = await run();
  expect(faults).toBe("");
  expect(starts).toEqual([`started ${pid}`, `started ${pid}`]);
  expect(last).toEqual({
    given: [`${option}=${engineOptions[option]}`],
    ofChild: ["KEPT=ü=1"],
    own: null,
    args: ["an argument", ""],
    input: "typed",
  });
});

test("what a person has set stands, and is no reason to start again", async () => {
  const { pid, starts, last } = await run({ [option]: "70000" });
  expect(starts).toEqual([`started ${pid}`]);
  expect(last.given).toEqual([`${option}=70000`]);
  expect(last.ofChild).toEqual(["KEPT=ü=1"]);
});

test("a program whose file is gone, or may no longer be executed, goes on without them", async () => {
  const engine = join(folder, "engine");
  copyFileSync(process.execPath, engine);
  const { starts, last, faults } = await run({}, [
    "sh",
    "-c",
    `exec 3<${engine} && rm ${engine} && exec /proc/self/fd/3 "$@"`,
    "sh",
  ]);
  expect(starts).toHaveLength(1);
  expect(last).toMatchObject({ given: [], ofChild: ["KEPT=ü=1"], own: null, args: ["an argument", ""] });
  expect(faults).toMatch(/^bramble: going on with the engine's own options: .* cannot be executed/);
});

test.each(["first", "second"])("a signal that comes right after the %s start ends it", async (start) => {
  const child = Bun.spawn([process.execPath, program], {
    env: { PATH: "" },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const starts = start === "first" ? 1 : 2;
  let output = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += chunk;
    if (output.split("\n").length > starts) child.kill("SIGTERM");
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGTERM");
});

test("only what runs as long as the board is started twice", () => {
  const commands = commandLine().commands.map((command) => command.name());
  expect(commands).toEqual(expect.arrayContaining([...longRunningCommands]));
  expect(runsLong(["master", "--data-dir", "/data"])).toBe(true);
  expect(runsLong(["worker"])).toBe(true);
  for (const args of [
    [],
    ["--version"],
    ["master", "--data-dir", "/data", "leave"],
    ["kubectl", "get", "nodes"],
    ["etcd"],
  ])
    expect(runsLong(args)).toBe(false);
});

test("the engine reckons with half of what a small board has, and by itself on a large one", () => {
  expect(heapOptions(1_000_000_000)).toEqual({ BUN_JSC_forceRAMSize: "500000000" });
  assertKnown(heapOptions(1_000_000_000));
  expect(heapOptions(8 * 1024 ** 3)).toEqual({});
});

test("a build takes no option that its engine does not know", () => {
  assertKnown(engineOptions);
  expect(() => assertKnown({ BUN_JSC_noSuchOption: "1" })).toThrow("BUN_JSC_noSuchOption");
});
