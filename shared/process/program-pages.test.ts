import { dlopen, FFIType, read } from "bun:ffi";
import { expect, test } from "bun:test";
import { closeSync, existsSync, fsyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { filePages, letGoOfProgramPages, mapOneByOne, mappedAt, programMappings, sectionOf } from "./program-pages.ts";

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

test("all mappings of the program are found, and no others", () => {
  const maps = [
    "1000-3000 r--p 00000000 fe:00 12                         /bin/program",
    "5000-6000 rw-p 00002000 fe:00 12                         /bin/program",
    "8000-9000 r-xp 00000000 fe:00 13                         /bin/program.so",
    "a000-b000 rw-p 00000000 00:00 0",
  ].join("\n");
  expect(programMappings(maps, "/bin/program")).toEqual([
    { start: 0x1000n, length_bytes: 0x2000n },
    { start: 0x5000n, length_bytes: 0x1000n },
  ]);
});

/** The setting is there where the kernel was built with it. */
const hasUserfaultfd = existsSync("/proc/sys/vm/unprivileged_userfaultfd");
const [major = 0, minor = 0] = release().split(".").map(Number);
/** The kernel's own page is the least that it maps. */
const page_kB = Number(/^KernelPageSize: +(\d+) kB$/m.exec(readFileSync("/proc/self/smaps", "utf8"))?.[1]);
const canMapOneByOne = hasUserfaultfd && (major > 6 || (major === 6 && minor >= 10));

test.skipIf(!canMapOneByOne)("of a file that is mapped one by one only the page that is touched is in memory", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-pages-"));
  // Less than what some kernels map by a single entry of two megabytes.
  const content = Buffer.alloc(16 * 65_536, 7);
  const libc = dlopen("libc.so.6", {
    mmap: {
      args: [FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.i32, FFIType.i32, FFIType.i64],
      returns: FFIType.ptr,
    },
    munmap: { args: [FFIType.ptr, FFIType.u64], returns: FFIType.i32 },
  });
  const [nothing, readable] = [0, 1];
  const [isPrivate, isFixed, isAnonymous] = [2, 16, 32];
  /** What one table of pages reaches over, and more; the kernel maps less around a page where a mapping lies in two tables. */
  const table = 32 * 1024 * 1024;
  const path = join(folder, "program");
  writeFileSync(path, content);
  const file = openSync(path, "r");
  // While a file is being written to the disk the kernel leaves out its other pages by itself.
  fsyncSync(file);
  /** Of a fresh mapping of the file, after its first byte was read. */
  const resident_kB = (prepare: (mapped: { start: bigint; length_bytes: bigint }) => void): number => {
    const reserved = libc.symbols.mmap(null, 2 * table, nothing, isPrivate | isAnonymous, -1, 0);
    if (!reserved) throw new Error("no room for a mapping");
    const start = (Math.ceil(Number(reserved) / table) * table) as typeof reserved;
    try {
      libc.symbols.mmap(start, content.length, readable, isPrivate | isFixed, file, 0);
      prepare({ start: BigInt(start), length_bytes: BigInt(content.length) });
      expect(read.u8(start)).toBe(7);
      const [, kB] =
        new RegExp(`${path}\\n(?:.*\\n)*?Rss: +(\\d+) kB`).exec(readFileSync("/proc/self/smaps", "utf8")) ?? [];
      return Number(kB);
    } finally {
      libc.symbols.munmap(reserved, 2 * table);
    }
  };
  try {
    expect(resident_kB(() => undefined)).toBeGreaterThanOrEqual(4 * page_kB);
    expect(resident_kB((mapped) => expect(mapOneByOne([mapped])).toBe(true))).toBe(page_kB);
  } finally {
    closeSync(file);
    libc.close();
    rmSync(folder, { recursive: true });
  }
});

test("what is no mapping cannot be mapped one by one", () => {
  expect(mapOneByOne([{ start: 0n, length_bytes: 65_536n }])).toBe(false);
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
