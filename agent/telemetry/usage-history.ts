import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { type BoardUsageSample, usageMeasures } from "#shared/board/usage-sample.ts";
import { parseNetDev } from "./interface-counters.ts";

type Measures = Omit<BoardUsageSample, "at_ms">;

/** A look that comes sooner after the last one tells nothing new. */
const shortest_ms = 15_000;
/** Fine samples: a board looks at itself every 20 s, so this is the last quarter of an hour. */
const fineSamples = 45;
const coarse_ms = 300_000;

/** What is counted since boot; rates are made of two of these. */
export interface UsageCounters {
  readonly cpu_s: number;
  readonly received_bytes: number;
  readonly sent_bytes: number;
}

/**
 * What the board used lately: the last quarter of an hour look by look, and means of five minutes before that. It lies in
 * rings that never grow, 28 bytes a sample, and on no disk. The board keeps it itself, so no message carries it until
 * somebody asks, and every master tells the same.
 */
export class UsageHistory {
  readonly #fine = new SampleRing(fineSamples);
  readonly #coarse: SampleRing;
  #before: { readonly at_ms: number; readonly counters: UsageCounters } | undefined;
  #coarseSince_ms = 0;

  /** @param coarseSamples how many means of five minutes are kept. */
  constructor(coarseSamples: number) {
    this.#coarse = new SampleRing(coarseSamples);
  }

  /** Whether a look now would be kept. @param now_ms of the monotonic clock. */
  isDue(now_ms: number): boolean {
    return this.#before === undefined || now_ms - this.#before.at_ms >= shortest_ms;
  }

  /** @param now_ms of the monotonic clock. */
  record(now_ms: number, counters: UsageCounters, measured: Measures): void {
    const before = this.#before;
    this.#before = { at_ms: now_ms, counters };
    if (before === undefined) {
      // Rates are known from the second look on.
      this.#coarseSince_ms = now_ms;
      return;
    }
    const passed_s = (now_ms - before.at_ms) / 1000;
    const rate = (of: keyof UsageCounters): number | undefined => {
      const grown = counters[of] - before.counters[of];
      // An interface that went away takes its count with it.
      return grown < 0 ? undefined : grown / passed_s;
    };
    this.#fine.push(now_ms, {
      ...measured,
      ...known("cpu_cores", rate("cpu_s")),
      ...known("received_bytesPerS", rate("received_bytes")),
      ...known("sent_bytesPerS", rate("sent_bytes")),
    });
    if (now_ms - this.#coarseSince_ms < coarse_ms) return;
    const since_ms = this.#coarseSince_ms;
    this.#coarse.push(now_ms, meanOf(this.#fine.all().filter(({ at_ms }) => at_ms > since_ms)));
    this.#coarseSince_ms = now_ms;
  }

  /** Oldest first: means up to where the fine samples begin, then those. @param now_ms of the monotonic clock. @param
   *  wall_ms the same moment since 1970: a board's clock may have been set since a sample was taken. */
  samples(now_ms: number, wall_ms: number): BoardUsageSample[] {
    const fine = this.#fine.all();
    const first_ms = fine[0]?.at_ms ?? now_ms;
    return [...this.#coarse.all().filter(({ at_ms }) => at_ms < first_ms), ...fine].map((sample) => ({
      ...sample,
      at_ms: Math.round(wall_ms - (now_ms - sample.at_ms)),
    }));
  }
}

/** The latest samples, as single floats: four bytes tell a disk of a terabyte to 64 kB. */
class SampleRing {
  /** Seconds of the monotonic clock. */
  readonly #times_s: Uint32Array;
  readonly #values: Float32Array;
  readonly #size: number;
  #written = 0;

  constructor(size: number) {
    this.#size = size;
    this.#times_s = new Uint32Array(size);
    this.#values = new Float32Array(size * usageMeasures.length);
  }

  push(at_ms: number, sample: Measures): void {
    if (this.#size === 0) return;
    const place = this.#written % this.#size;
    this.#times_s[place] = at_ms / 1000;
    usageMeasures.forEach((measure, index) => {
      this.#values[place * usageMeasures.length + index] = sample[measure] ?? Number.NaN;
    });
    this.#written += 1;
  }

  all(): BoardUsageSample[] {
    const count = Math.min(this.#written, this.#size);
    return Array.from({ length: count }, (_, index) => this.#at((this.#written - count + index) % this.#size));
  }

  #at(place: number): BoardUsageSample {
    const values = usageMeasures.map((measure, index) => {
      const value = this.#values[place * usageMeasures.length + index] ?? Number.NaN;
      return [measure, value] as const;
    });
    return {
      at_ms: (this.#times_s[place] ?? 0) * 1000,
      ...Object.fromEntries(values.filter(([, value]) => !Number.isNaN(value))),
    };
  }
}

function meanOf(samples: readonly Measures[]): Measures {
  const means = usageMeasures.flatMap((measure) => {
    const values = samples.flatMap((sample) => sample[measure] ?? []);
    return values.length === 0 ? [] : [[measure, values.reduce((sum, value) => sum + value, 0) / values.length]];
  });
  return Object.fromEntries(means) as Measures;
}

function known<K extends keyof Measures>(measure: K, value: number | undefined): Measures {
  return value === undefined ? {} : { [measure]: value };
}

/** Three reads of the kernel's counters. The network is what passes the board's own ports, not its pods' wires. */
export async function readUsageCounters(): Promise<UsageCounters> {
  const network = parseNetDev(await readFile("/proc/net/dev", "utf8")).filter(({ name }) => !isVirtual(name));
  return {
    cpu_s: cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000,
    received_bytes: network.reduce((sum, { received_bytes }) => sum + received_bytes, 0),
    sent_bytes: network.reduce((sum, { sent_bytes }) => sum + sent_bytes, 0),
  };
}

/** Bridges, tunnels and pods' wires: what they carry leaves the board by another interface, or not at all. */
const isVirtual = (name: string): boolean =>
  /^(?:veth|br-|cni|docker|flannel|vxlan|bramble|cali|virbr|tun|tap|wg)/.test(name);
