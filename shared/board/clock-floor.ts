import { dlopen, FFIType } from "bun:ffi";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../client/log.ts";
import { buildDate } from "../pki/build-date.ts";
import { splitCertificates } from "../pki/certificate-bundle.ts";
import { parseCertificate } from "../pki/certificate-facts.ts";

/** Below the data folder: what a master and an agent write while they run, and what they prove themselves with. */
const folders = [".", "pki", "store", "agent", "agent/identity", "backups"] as const;
/** Where a system keeps the time over a power cut. */
const stamps = ["/var/lib/systemd/timesync/clock", "/etc/fake-hwclock.data"] as const;
/** A time later than this after the build was left by a clock that ran ahead. */
const longestAhead_ms = 10 * 365 * 86_400_000;
/** A file of a start a moment ago is no reason to touch a clock. */
const slack_ms = 1_000;

/** Where a process gets the time and who sets it. */
export interface SettableClock {
  now_ms(): number;
  /** Throws when the kernel refuses. */
  set(time_ms: number): void;
}

/**
 * The newest time that is known to have been: this program was built, files of Bramble were written, certificates began
 * (notBefore) or were signed. What could not be read says nothing.
 * @param dataDir the data folder; need not exist.
 */
export function newestKnownTime_ms(dataDir: string, builtAt_ms = buildDate.getTime()): number {
  const seen = [...folders.flatMap((folder) => timesIn(join(dataDir, folder))), ...stamps.flatMap(writtenAt_ms)];
  return Math.max(builtAt_ms, ...seen.filter((time_ms) => time_ms <= builtAt_ms + longestAhead_ms));
}

function timesIn(folder: string): number[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.flatMap((name) => {
    const path = join(folder, name);
    const written_ms = writtenAt_ms(path);
    return /\.(crt|pem)$/.test(name) ? [...written_ms, ...beginnings(path)] : written_ms;
  });
}

/** Nothing for a file that is not there, or no longer. */
function writtenAt_ms(path: string): number[] {
  const status = statSync(path, { throwIfNoEntry: false });
  return status ? [status.mtimeMs] : [];
}

function beginnings(path: string): number[] {
  try {
    return splitCertificates(readFileSync(path, "utf8")).map((pem) => parseCertificate(pem).notBefore.getTime());
  } catch {
    // Damaged: whoever needs the file says so.
    return [];
  }
}

/**
 * Sets a clock that stands before the newest known time forward to it; called before the first TLS. A Raspberry Pi has no
 * clock that runs without power: until a time server answers, every certificate would be of the future. Never sets a clock back.
 * Where the kernel refuses (no CAP_SYS_TIME), the log says what is going to fail.
 */
export function liftClock(dataDir: string, log: Log, clock: SettableClock = boardClock): void {
  const newest_ms = newestKnownTime_ms(dataDir);
  const before_ms = clock.now_ms();
  if (before_ms >= newest_ms - slack_ms) return;
  const times = { was: new Date(before_ms).toISOString(), newest: new Date(newest_ms).toISOString() };
  try {
    clock.set(newest_ms);
    log.warn("the clock was not set: put forward to the newest time that is known, until a time server answers", times);
  } catch (error) {
    log.error("the clock is wrong and cannot be set: certificates look as if of the future", { ...times, error });
  }
}

const realTime = 0;

/** The kernel's. */
const boardClock: SettableClock = {
  now_ms: () => Date.now(),
  set(time_ms) {
    const { clock_settime } = dlopen("libc.so.6", {
      clock_settime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
    }).symbols;
    const seconds = Math.floor(time_ms / 1000);
    // struct timespec of a 64-bit system: seconds and nanoseconds.
    const timespec = BigInt64Array.of(BigInt(seconds), BigInt(Math.floor((time_ms - seconds * 1000) * 1e6)));
    if (clock_settime(realTime, timespec) !== 0) throw new Error("clock_settime was refused");
  },
};
