import { afterAll, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "#shared/testing/until.ts";
import type { LogOptions } from "../runtime.ts";
import { parseEntry, readLogFile } from "./log-file.ts";

const folder = mkdtempSync(join(tmpdir(), "brt-log-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const stamp = (second: number): string => `2026-01-02T03:04:${String(second).padStart(2, "0")}.123456789Z`;
const plain: LogOptions = { follow: false, timestamps: false };
const ended = () => Promise.resolve(false);

function logOf(...entries: readonly string[]): string {
  const path = join(folder, `${Math.random()}.log`);
  writeFileSync(path, entries.map((entry) => `${entry}\n`).join(""));
  return path;
}

async function read(path: string, options: Partial<LogOptions> = {}): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await readLogFile(path, { ...plain, ...options }, ended)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

test("entries of both streams, whole and in parts", async () => {
  const path = logOf(`${stamp(1)} stdout P ab`, `${stamp(2)} stderr F err`, `${stamp(3)} stdout F cd`, "nonsense");
  expect(await read(path)).toBe("aberr\ncd\n");
  expect(await read(path, { stream: "stdout", timestamps: true })).toBe(`${stamp(1)} abcd\n`);
  expect(await read(path, { since_ms: Date.parse(stamp(2)) })).toBe("err\ncd\n");
  expect(await read(path, { limit_bytes: 4 })).toBe("aber");
  const short = logOf("2026-01-02T03:04:05.12Z stdout F a", "2026-01-02T03:04:05+01:00 stdout F b");
  expect(await read(short, { timestamps: true })).toBe(
    "2026-01-02T03:04:05.120000000Z a\n2026-01-02T03:04:05.000000000+01:00 b\n",
  );
  expect(parseEntry(Buffer.from(`${stamp(1)} stdout F`))?.text.toString()).toBe("\n");
});

test("the last lines, however long the file and its lines are", async () => {
  const long = "x".repeat(16_000);
  const path = logOf(
    ...Array.from({ length: 40 }, (_, index) => `${stamp(1)} stdout F ${index} ${long}`),
    ...Array.from({ length: 10 }, () => `${stamp(2)} stdout P ${long}`),
    `${stamp(2)} stdout F end`,
    `${stamp(3)} stdout F last`,
  );
  expect(await read(path, { tailLines: 1 })).toBe("last\n");
  expect(await read(path, { tailLines: 2 })).toBe(`${long.repeat(10)}end\nlast\n`);
  expect((await read(path, { tailLines: 12 })).split("\n")[0]).toStartWith("30 x");
  expect(await read(path, { tailLines: 0 })).toBe("");
  expect(await read(path, { tailLines: 99 })).toBe(await read(path));
});

test("as many lines as are asked for, wherever the file is cut to be read from its end", async () => {
  // Of 85 bytes: each piece of 64 KiB from the end begins with a line end.
  const path = logOf(...Array.from({ length: 2000 }, (_, index) => `${stamp(1)} stdout F ${String(index).padEnd(44)}`));
  const lines = (await read(path, { tailLines: 1000 })).trimEnd().split("\n");
  expect([lines.length, Number(lines[0]), Number(lines.at(-1))]).toEqual([1000, 1000, 1999]);
});

test("no more is looked through than is asked for, though no line ends", async () => {
  const part = "x".repeat(16_000);
  const path = logOf(...Array.from({ length: 100 }, (_, index) => `${stamp(1)} stdout P ${index} ${part}`));
  const text = await read(path, { tailLines: 80, tail_bytes: 40_000 });
  expect(text).toStartWith("98 x");
  expect(text.length).toBe(2 * (part.length + 3));
  expect(await read(logOf(`${stamp(1)} stdout F all`), { tailLines: 80, tail_bytes: 40_000 })).toBe("all\n");
  expect((await read(path, { tail_bytes: 40_000 })).length).toBe(text.length);
});

test("following goes over a rotation and ends with the container", async () => {
  const path = logOf(`${stamp(1)} stdout F first`);
  let running = true;
  const stream = await readLogFile(path, { ...plain, follow: true }, () => Promise.resolve(running));
  const seen: string[] = [];
  for await (const chunk of stream) {
    seen.push(String(chunk));
    if (seen.length === 1) {
      appendFileSync(path, `${stamp(2)} stdout F second\n`);
      renameSync(path, `${path}.1`);
      writeFileSync(path, `${stamp(3)} stdout F third\n`);
    }
    if (seen.length === 3) running = false;
  }
  expect(seen).toEqual(["first\n", "second\n", "third\n"]);
});

test("following leaves out no file, however many rotations there were since the last look", async () => {
  const path = logOf(`${stamp(1)} stdout F 1`);
  let running = true;
  const stream = await readLogFile(path, { ...plain, follow: true }, () => Promise.resolve(running));
  const seen: string[] = [];
  for await (const chunk of stream) {
    seen.push(String(chunk));
    if (seen.length === 1) {
      for (const round of [2, 3, 4]) {
        renameSync(path, `${path}.20260102-03040${round}`);
        writeFileSync(path, `${stamp(round)} stdout F ${round}\n`);
      }
      // The oldest go, that which is being read too.
      rmSync(`${path}.20260102-030402`);
    }
    if (seen.length === 4) running = false;
  }
  expect(seen).toEqual(["1\n", "2\n", "3\n", "4\n"]);
});

test("following waits for the first entry of a new file: until then the one before may get more", async () => {
  const path = logOf(`${stamp(1)} stdout F 1`);
  let running = true;
  const stream = await readLogFile(path, { ...plain, follow: true }, () => Promise.resolve(running));
  const seen: string[] = [];
  const reading = (async () => {
    for await (const chunk of stream) seen.push(String(chunk));
  })();
  await until("the first", () => seen.length === 1);
  renameSync(path, `${path}.20260102-030402`);
  writeFileSync(path, "");
  await Bun.sleep(100);
  appendFileSync(`${path}.20260102-030402`, `${stamp(2)} stdout F 2\n`);
  await until("what came late", () => seen.length === 2);
  appendFileSync(path, `${stamp(3)} stdout F 3\n`);
  await until("the new file's first", () => seen.length === 3);
  running = false;
  await reading;
  expect(seen).toEqual(["1\n", "2\n", "3\n"]);
});

test("a log that is being rotated is there a moment later", async () => {
  const path = logOf(`${stamp(1)} stdout F before`);
  renameSync(path, `${path}.20260102-030402`);
  const reading = read(path);
  await Bun.sleep(20);
  writeFileSync(path, `${stamp(2)} stdout F after\n`);
  expect(await reading).toBe("after\n");
});

test("a log that is not there is told", async () => {
  await expect(readLogFile(join(folder, "absent"), plain, ended)).rejects.toMatchObject({ code: "ENOENT" });
});
