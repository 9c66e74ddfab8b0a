import { dlopen, FFIType, ptr } from "bun:ffi";
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

/** All mappings of a program's file (pure). @param maps as the kernel gives it, proc_pid_maps(5), or smaps. */
export function programMappings(maps: string, program: string): Mapping[] {
  return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ +(.+)$/gm)].flatMap(([, start, end, path]) => {
    const first = BigInt(`0x${start}`);
    return path === program ? [{ start: first, length_bytes: BigInt(`0x${end}`) - first }] : [];
  });
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

/** From the kernel's headers: userfaultfd(2), ioctl_userfaultfd(2). Only the call's number depends on the architecture. */
const userfaultfd = {
  calls: { x64: 323, arm64: 282 },
  closeOnExec: 0o2000000,
  userModeOnly: 1,
  api: 0xc018_aa3fn,
  version: 0xaan,
  /** The kernel itself settles what a watch for writes finds, since 6.7: nobody has to answer. */
  settledByKernel: 1n << 15n,
  register: 0xc020_aa00n,
  forWrites: 2n,
} as const;

/**
 * From now on the kernel maps the pages of these mappings one by one. By itself it maps the fifteen around one that is needed
 * too, which doubles what an idle process has of its program. It does not where somebody watches for writes; so this process
 * does, and nothing is ever protected from being written. The program's pages stay one by one until it ends.
 * @returns whether the kernel can: since 6.7 (on arm64 6.10), where it was built with userfaultfd.
 */
export function mapOneByOne(mappings: readonly Mapping[]): boolean {
  const number = userfaultfd.calls[process.arch as keyof typeof userfaultfd.calls];
  if (!number) return false;
  const { syscall, ioctl, close } = dlopen("libc.so.6", {
    syscall: { args: [FFIType.i64, FFIType.i64], returns: FFIType.i64 },
    ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  }).symbols;
  const watch = Number(syscall(number, userfaultfd.closeOnExec | userfaultfd.userModeOnly));
  if (watch < 0) return false;
  const ask = (request: bigint, words: readonly bigint[]): boolean =>
    ioctl(watch, request, ptr(BigUint64Array.from(words))) === 0;
  const isWatched =
    ask(userfaultfd.api, [userfaultfd.version, userfaultfd.settledByKernel, 0n]) &&
    mappings.every(({ start, length_bytes }) =>
      ask(userfaultfd.register, [start, length_bytes, userfaultfd.forWrites, 0n]),
    );
  // While it is open the watch lasts.
  if (!isWatched) close(watch);
  return isWatched;
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
 * those that are needed come back by themselves, one by one if the kernel can, and a board that is short of memory has the
 * others at once.
 */
export function letGoOfProgramPages(): void {
  madvise ??= dlopen("libc.so.6", {
    madvise: { args: [FFIType.u64, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  }).symbols.madvise;
  const self = "/proc/self/exe";
  // As the kernel names it also when an upgrade has put another in its place.
  const program = readlinkSync(self);
  const smaps = readFileSync("/proc/self/smaps", "utf8");
  if (!payload) {
    payload = { extent: payloadOf(self) };
    mapOneByOne(programMappings(smaps, program));
  }
  const ofPayload = payload.extent && mappedAt(smaps, program, payload.extent);
  for (const { start, length_bytes } of [...filePages(smaps, program), ...(ofPayload ? [ofPayload] : [])])
    madvise(start, length_bytes, dontNeed);
}
