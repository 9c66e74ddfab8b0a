import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { filePages, letGoOfProgramPages, mappedAt, sectionOf } from "./program-pages.ts";

const mapping = (range: string, rights: string, anonymous_kB: number, path: string): string =>
  `${range} ${rights} 00000000 fe:00 12 ${path}\nSize: 100 kB\nRss: 50 kB\nAnonymous: ${anonymous_kB} kB\nVmFlags: rd ex\n`;

test("only what the file holds too is given up", () => {
  const smaps = [
    mapping("1000-3000", "r--p", 0, "/bin/program"),
    mapping("3000-4000", "r-xp", 0, "/bin/program"),
    mapping("5000-6000", "r--p", 4, "/bin/program"),
    mapping("6000-7000", "rw-p", 0, "/bin/program"),
    mapping("8000-9000", "r-xp", 0, "/lib/other"),
    "a000-b000 r-xp 00000000 00:00 0\nSize: 4 kB\nAnonymous: 0 kB\n",
  ].join("");
  expect(filePages(smaps, "/bin/program")).toEqual([
    { start: 0x1000n, length_bytes: 0x2000n },
    { start: 0x3000n, length_bytes: 0x1000n },
  ]);
});

test("a part of the file is found where it is mapped, in whole pages of any kernel", () => {
  const smaps = [
    "10000-30000 r--p 00000000 fe:00 12 /bin/program\nSize: 128 kB\n",
    "50000-90000 rw-p 00020000 fe:00 12 /bin/program\nSize: 256 kB\n",
  ].join("");
  const at = (offset_bytes: number, length_bytes: number) =>
    mappedAt(smaps, "/bin/program", { offset_bytes, length_bytes });
  expect(at(0x38000, 0x20000)).toEqual({ start: 0x70000n, length_bytes: 0x10000n });
  expect(at(0x30000, 0x30000)).toEqual({ start: 0x60000n, length_bytes: 0x30000n });
  expect(at(0x38000, 0x9000)).toBeUndefined();
  expect(at(0x50000, 0x20000)).toBeUndefined();
});

test("a section of a program is found by its name", () => {
  const program = readFileSync("/bin/sh");
  const read = ({ offset_bytes, length_bytes }: { offset_bytes: number; length_bytes: number }): Buffer =>
    program.subarray(offset_bytes, offset_bytes + length_bytes);
  const loader = sectionOf(".interp", read);
  expect(loader && read(loader).toString("latin1")).toMatch(/^\/lib.*\/ld-linux.*\0$/);
  expect(sectionOf(".not-there", read)).toBeUndefined();
});

test("the program goes on with less of itself in memory", () => {
  const ofFile_kB = (): number => Number(/^RssFile:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const before_kB = ofFile_kB();
  letGoOfProgramPages();
  expect(ofFile_kB()).toBeLessThan(before_kB);
  expect(JSON.parse(JSON.stringify({ still: ["here"] }))).toEqual({ still: ["here"] });
});
