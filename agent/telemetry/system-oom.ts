import { closeSync, constants, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { errnoOf } from "#shared/files/if-present.ts";

/** A process that the kernel killed because the whole board, not a control group, was out of memory. */
export interface OomVictim {
  readonly process: string;
  readonly pid: number;
}

/** One record of the kernel's log. */
export interface KernelRecord {
  /** Counted over all records since boot. */
  readonly sequence: number;
  readonly sinceBoot_us: number;
  readonly message: string;
}

/** Reads a record as /dev/kmsg gives it: `6,339,5140900,-;message`, then lines of facts (pure); undefined when it is none. */
export function parseKernelRecord(text: string): KernelRecord | undefined {
  const match = /^\d+,(\d+),(\d+),[^;]*;(.*)/.exec(text);
  if (!match) return undefined;
  const [, sequence, sinceBoot_us, message = ""] = match;
  return { sequence: Number(sequence), sinceBoot_us: Number(sinceBoot_us), message };
}

/** Whom a message says to be killed for the board's sake (pure). Those of a control group begin with `Memory cgroup`. */
export function victimOf(message: string): OomVictim | undefined {
  const match = /^Out of memory[^:]*: Kill(?:ed)? process (\d+) \((.+)\)(?: |,|$)/.exec(message);
  return match ? { pid: Number(match[1]), process: match[2] ?? "" } : undefined;
}

export interface SystemOomOptions {
  /** /proc/vmstat. */
  readonly vmstat?: (() => Promise<string>) | undefined;
  /** All records that the kernel still has, oldest first. */
  readonly kernelLog?: (() => readonly string[]) | undefined;
  /** Time since boot. */
  readonly uptime_us?: (() => number) | undefined;
}

/**
 * Learns of processes that the kernel killed since this began. It looks at a counter, and reads the kernel's log only when that
 * has risen: nothing follows the log in between.
 */
export class SystemOom {
  readonly #vmstat: () => Promise<string>;
  readonly #kernelLog: () => readonly string[];
  readonly #begun_us: number;
  #killed: number | undefined;
  #lastSequence = -1;

  constructor(options: SystemOomOptions = {}) {
    this.#vmstat = options.vmstat ?? (() => readFile("/proc/vmstat", "utf8"));
    this.#kernelLog = options.kernelLog ?? readKernelLog;
    this.#begun_us = (options.uptime_us ?? (() => Number(process.hrtime.bigint() / 1000n)))();
  }

  /** Those killed since the last look. Rejects when the kernel's log may not be read; they are not told later. */
  async look(): Promise<OomVictim[]> {
    // Counts what is killed for control groups too.
    const killed = Number(/^oom_kill (\d+)$/m.exec(await this.#vmstat())?.[1] ?? 0);
    const before = this.#killed ?? killed;
    this.#killed = killed;
    if (killed <= before) return [];
    const victims: OomVictim[] = [];
    for (const text of this.#kernelLog()) {
      const record = parseKernelRecord(text);
      if (!record || record.sequence <= this.#lastSequence || record.sinceBoot_us < this.#begun_us) continue;
      this.#lastSequence = record.sequence;
      const victim = victimOf(record.message);
      if (victim) victims.push(victim);
    }
    return victims;
  }
}

/** The longest record that the kernel gives. */
const record_bytes = 8192;

function readKernelLog(): string[] {
  const file = openSync("/dev/kmsg", constants.O_RDONLY | constants.O_NONBLOCK);
  const records: string[] = [];
  const buffer = Buffer.alloc(record_bytes);
  try {
    for (;;) {
      const length = nextRecord(file, buffer);
      if (length === 0) return records;
      if (length !== undefined) records.push(buffer.toString("utf8", 0, length));
    }
  } finally {
    closeSync(file);
  }
}

/** Bytes of the next record; 0 at the end; undefined where the kernel has just overwritten the oldest ones. */
function nextRecord(file: number, buffer: Buffer): number | undefined {
  try {
    return readSync(file, buffer);
  } catch (error) {
    const code = errnoOf(error);
    if (code === "EAGAIN") return 0;
    if (code === "EPIPE") return undefined;
    throw error;
  }
}
