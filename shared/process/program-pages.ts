import { dlopen, FFIType } from "bun:ffi";
import { closeSync, openSync, readFileSync, readlinkSync, readSync } from "node:fs";

/** From the kernel's headers, the same on every architecture: madvise(2). */
const dontNeed = 4;

interface Mapping {
  readonly start: bigint;
  readonly length_bytes: bigint;
}

/** A part of a file. */
interface Extent {
  readonly offset_bytes: number;
  readonly length_bytes: number;
}

/** The largest that kernels of these boards have. */
const page_bytes = 65_536;

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

/**
 * A section of an ELF file of 64 bits, little-endian: elf(5).
 * @param read gives that part of the file.
 */
export function sectionOf(name: string, read: (extent: Extent) => Buffer): Extent | undefined {
  const header = read({ offset_bytes: 0, length_bytes: 64 });
  const [size, count, namesAt] = [0x3a, 0x3c, 0x3e].map((at) => header.readUInt16LE(at)) as [number, number, number];
  const table = read({ offset_bytes: Number(header.readBigUInt64LE(0x28)), length_bytes: size * count });
  const extentOf = (index: number): Extent => ({
    offset_bytes: Number(table.readBigUInt64LE(index * size + 0x18)),
    length_bytes: Number(table.readBigUInt64LE(index * size + 0x20)),
  });
  const names = read(extentOf(namesAt));
  for (let index = 0; index < count; index++) {
    const at = table.readUInt32LE(index * size);
    if (names.toString("latin1", at, names.indexOf(0, at)) === name) return extentOf(index);
  }
  return undefined;
}

/** Where whole pages of an extent of a program's file are mapped (pure). */
export function mappedAt(smaps: string, program: string, { offset_bytes, length_bytes }: Extent): Mapping | undefined {
  for (const [, start, end, offset, path] of smaps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) r\S+ (\S+) \S+ \d+ +(.+)$/gm)) {
    const [first, last, from] = [start, end, offset].map((text) => Number.parseInt(text ?? "", 16)) as [
      number,
      number,
      number,
    ];
    if (path !== program || offset_bytes < from || offset_bytes + length_bytes > from + last - first) continue;
    const begin = Math.ceil((first + offset_bytes - from) / page_bytes) * page_bytes;
    const stop = Math.floor((first + offset_bytes + length_bytes - from) / page_bytes) * page_bytes;
    if (stop > begin) return { start: BigInt(begin), length_bytes: BigInt(stop - begin) };
  }
  return undefined;
}

let madvise: ((start: bigint, length_bytes: bigint, advice: number) => number) | undefined;

/** What `bun build --compile` added to the program: its code in bytecode and text, and its files. Mapped for writing with what
 *  surrounds it, but nothing writes there. */
const payloadName = ".bun";
let payload: { readonly extent: Extent | undefined } | undefined;

function payloadOf(program: string): Extent | undefined {
  const file = openSync(program, "r");
  try {
    return sectionOf(payloadName, ({ offset_bytes, length_bytes }) => {
      const bytes = Buffer.alloc(length_bytes);
      readSync(file, bytes, 0, length_bytes, offset_bytes);
      return bytes;
    });
  } finally {
    closeSync(file);
  }
}

/**
 * Gives up the pages of the program itself, most of which ran once at the start: they stay in the page cache, from where
 * those that are needed come back by themselves, and a board that is short of memory has them at once.
 */
export function letGoOfProgramPages(): void {
  madvise ??= dlopen("libc.so.6", {
    madvise: { args: [FFIType.u64, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  }).symbols.madvise;
  const self = "/proc/self/exe";
  // As the kernel names it also when an upgrade has put another in its place.
  const program = readlinkSync(self);
  const smaps = readFileSync("/proc/self/smaps", "utf8");
  payload ??= { extent: payloadOf(self) };
  const ofPayload = payload.extent && mappedAt(smaps, program, payload.extent);
  for (const { start, length_bytes } of [...filePages(smaps, program), ...(ofPayload ? [ofPayload] : [])])
    madvise(start, length_bytes, dontNeed);
}
