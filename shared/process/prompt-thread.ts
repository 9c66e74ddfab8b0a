/**
 * Threads that the kernel lets run soon after they are woken. Since Linux 6.12 a thread says how long it wants to run at a time
 * (sched_setattr(2), `sched_runtime` of a thread of the usual policy), and one that is woken and asks for less goes before one
 * that runs and asks for more. Where the process may, they are also favoured over its other threads: a thread that was woken for
 * little has, as the kernel counts, had more than its share, and would wait for a compiler's turn to end.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";

/** What the kernel's headers number them on each architecture that Bramble runs on. */
const calls = { x64: { set: 314, get: 315 }, arm64: { set: 274, get: 275 } } as const;

/** `struct sched_attr` in its first form; little-endian like every board. */
const attributes = { size_bytes: 48, sizeAt: 0, policyAt: 4, flagsAt: 8, nicenessAt: 16, runtimeAt: 24 } as const;
const usualPolicy = 0;
/** Threads and programs that this one starts ask for nothing, and are not favoured by its niceness. */
const resetOnFork = 1n;
/** The least that the kernel takes. What it gives unasked is some milliseconds, which it ends only at a tick, 100 to 250 of
 *  them a second. */
const slice_ns = 100_000n;

/** Of threads that answer. Not of the service: what its first thread starts before it asks for more - the engine's compilers, which
 *  stay - would have it as well. */
const favoured = -5;

export interface Scheduling {
  readonly niceness: number;
  /** How long the thread runs at a time; 0 where the kernel does not tell. */
  readonly slice_ns: bigint;
}

type Syscall = (number: number, thread: number, attributes: Buffer, third: number) => number;

/**
 * Makes the calling thread one that answers: while others compute on every core - pods, or this program's own compilers and
 * collectors - it does not wait for the end of their turns. Gives whether the kernel took it; before 6.12 it does and nothing
 * comes of it.
 */
export function promptThread(): boolean {
  return withCalls((numbers, syscall) => {
    // Those of the first thread, whose niceness is the program's: threads that it starts have none of it.
    const wanted = readAttributes(numbers.get, syscall, process.pid);
    if (wanted?.readUInt32LE(attributes.policyAt) !== usualPolicy) return false;
    const given = wanted.readInt32LE(attributes.nicenessAt);
    wanted.writeUInt32LE(attributes.size_bytes, attributes.sizeAt);
    wanted.writeBigUInt64LE(wanted.readBigUInt64LE(attributes.flagsAt) | resetOnFork, attributes.flagsAt);
    wanted.writeBigUInt64LE(slice_ns, attributes.runtimeAt);
    // In a container, say, it may not be favoured.
    return [Math.min(given, favoured), given].some((niceness) => {
      wanted.writeInt32LE(niceness, attributes.nicenessAt);
      return syscall(numbers.set, 0, wanted, 0) === 0;
    });
  }, false);
}

/** @param thread its id; 0 is the calling one. Undefined where it is not known. */
export function schedulingOf(thread = 0): Scheduling | undefined {
  return withCalls((numbers, syscall) => {
    const found = readAttributes(numbers.get, syscall, thread);
    return (
      found && {
        niceness: found.readInt32LE(attributes.nicenessAt),
        slice_ns: found.readBigUInt64LE(attributes.runtimeAt),
      }
    );
  }, undefined);
}

function readAttributes(number: number, syscall: Syscall, thread: number): Buffer | undefined {
  const found = Buffer.alloc(attributes.size_bytes);
  return syscall(number, thread, found, attributes.size_bytes) === 0 ? found : undefined;
}

function withCalls<T>(use: (numbers: { get: number; set: number }, syscall: Syscall) => T, unknown: T): T {
  const numbers = calls[process.arch as keyof typeof calls];
  if (!numbers) return unknown;
  // Older glibc has no name for the calls. The fourth argument is that of the reading one: no flags.
  const libc = dlopen("libc.so.6", {
    syscall: { args: [FFIType.i64, FFIType.i32, FFIType.ptr, FFIType.u32, FFIType.u32], returns: FFIType.i32 },
  });
  try {
    return use(numbers, (number, thread, buffer, third) => libc.symbols.syscall(number, thread, ptr(buffer), third, 0));
  } finally {
    libc.close();
  }
}
