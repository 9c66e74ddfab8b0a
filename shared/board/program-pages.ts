import { dlopen, FFIType } from "bun:ffi";
import { readFileSync, readlinkSync } from "node:fs";

/** From the kernel's headers, the same on every architecture: madvise(2). */
const dontNeed = 4;

interface Mapping {
  readonly start: bigint;
  readonly length_bytes: bigint;
}

/**
 * The mappings of a program's file that hold nothing but what the file holds (pure): not writable, and without a page of
 * their own (a relocation that was written would be one).
 * @param smaps as the kernel gives it, proc_pid_smaps(5).
 */
export function filePages(smaps: string, program: string): Mapping[] {
  const found: Mapping[] = [];
  for (const block of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, start, end, path] = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ \d+ +(.+)$/m.exec(block) ?? [];
    if (path !== program || !/^Anonymous: +0 kB$/m.test(block)) continue;
    const first = BigInt(`0x${start}`);
    found.push({ start: first, length_bytes: BigInt(`0x${end}`) - first });
  }
  return found;
}

let madvise: ((start: bigint, length_bytes: bigint, advice: number) => number) | undefined;

/**
 * Gives up the pages of the program itself, most of which ran once at the start: they stay in the page cache, from where
 * those that are needed come back by themselves, and a board that is short of memory has them at once.
 */
export function letGoOfProgramPages(): void {
  madvise ??= dlopen("libc.so.6", {
    madvise: { args: [FFIType.u64, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  }).symbols.madvise;
  // As the kernel names it also when an upgrade has put another in its place.
  const program = readlinkSync("/proc/self/exe");
  for (const { start, length_bytes } of filePages(readFileSync("/proc/self/smaps", "utf8"), program))
    madvise(start, length_bytes, dontNeed);
}
