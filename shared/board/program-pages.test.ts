import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { filePages, letGoOfProgramPages } from "./program-pages.ts";

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

test("the program goes on with less of itself in memory", () => {
  const ofFile_kB = (): number => Number(/^RssFile:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const before_kB = ofFile_kB();
  letGoOfProgramPages();
  expect(ofFile_kB()).toBeLessThan(before_kB);
  expect(JSON.parse(JSON.stringify({ still: ["here"] }))).toEqual({ still: ["here"] });
});
