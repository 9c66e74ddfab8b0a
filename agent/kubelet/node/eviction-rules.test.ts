import { describe, expect, test } from "bun:test";
import type { Headroom } from "#agent/telemetry/pressure.ts";
import { evictionOptions } from "#shared/config/eviction-options.ts";
import type { Options, ValuesOf } from "#shared/config/option.ts";
import { EvictionGauge } from "./eviction-gauge.ts";
import { defaultEvictionRules, type EvictionSettings, evictionReserve, evictionRulesOf } from "./eviction-rules.ts";

const mebi = 1024 ** 2;
const gibi = 1024 ** 3;

const fallbacks = Object.fromEntries(
  Object.entries(evictionOptions as Options).map(([key, option]) => [key, option.fallback]),
) as ValuesOf<typeof evictionOptions>;

const rulesOf = (given: Partial<EvictionSettings>) => evictionRulesOf({ ...fallbacks, ...given });

describe("thresholds as flags write them", () => {
  test("those that are given stand for all, unless the others are to keep their defaults", () => {
    const evictionHard = ["memory.available<1Gi", "imagefs.available<0%"];
    expect(rulesOf({ evictionHard }).thresholds).toEqual([
      { signal: "memory.available", least: { kind: "absolute", value: gibi }, grace_ms: 0, reclaim: undefined },
    ]);
    const merged = rulesOf({ evictionHard, mergeDefaultEvictionSettings: true }).thresholds;
    expect(merged.map(({ signal }) => signal)).toEqual([
      "memory.available",
      "nodefs.available",
      "nodefs.inodesFree",
      "imagefs.inodesFree",
    ]);
  });

  test("a soft one has its grace period, and what is to be reclaimed belongs to the signal", () => {
    const { thresholds } = rulesOf({
      evictionHard: ["nodefs.available<5%"],
      evictionSoft: ["nodefs.available<10%"],
      evictionSoftGracePeriod: ["nodefs.available=1m30s"],
      evictionMinimumReclaim: ["nodefs.available=2%"],
    });
    const reclaim = { kind: "fraction", of1: 0.02 } as const;
    expect(thresholds).toEqual([
      { signal: "nodefs.available", least: { kind: "fraction", of1: 0.05 }, grace_ms: 0, reclaim },
      { signal: "nodefs.available", least: { kind: "fraction", of1: 0.1 }, grace_ms: 90_000, reclaim },
    ]);
  });

  test.each<[Partial<EvictionSettings>, string]>([
    [{ evictionHard: ["memory<1Gi"] }, "unsupported eviction signal memory"],
    [{ evictionHard: ["memory.available"] }, "malformed pair, expect string<string"],
    [{ evictionHard: ["memory.available<0"] }, "eviction threshold memory.available must be positive: 0"],
    [{ evictionHard: ["memory.available<-5%"] }, "eviction percentage threshold memory.available must be >= 0%: -5%"],
    [
      { evictionHard: ["nodefs.available<110%"] },
      "eviction percentage threshold nodefs.available must be <= 100%: 110%",
    ],
    [{ evictionHard: ["nodefs.available<x%"] }, 'strconv.ParseFloat: parsing "x": invalid syntax'],
    [{ evictionHard: ["nodefs.available<much"] }, "quantities must match the regular expression"],
    [
      { evictionSoft: ["memory.available<1Gi"] },
      "grace period must be specified for the soft eviction threshold memory.available",
    ],
    [{ evictionSoftGracePeriod: ["memory.available=-1s"] }, "invalid eviction grace period specified: -1s"],
    [{ evictionSoftGracePeriod: ["memory.available=long"] }, "time: invalid duration"],
    [{ evictionMinimumReclaim: ["memory.available=-1Mi"] }, "negative eviction minimum reclaim specified"],
    [
      { evictionMinimumReclaim: ["memory.available=0%"] },
      "eviction percentage minimum reclaim memory.available must be",
    ],
  ])("%j is refused in upstream's words", (given, message) => {
    expect(() => rulesOf(given)).toThrow(message);
  });

  test("pods do not get what hard thresholds keep", () => {
    const board = { memory_bytes: 4 * gibi, storage_bytes: 100 * gibi };
    expect(evictionReserve(defaultEvictionRules, board)).toEqual({
      memory_bytes: 100 * mebi,
      storage_bytes: 10 * gibi,
    });
    const soft = rulesOf({
      evictionHard: ["memory.available<25%"],
      evictionSoft: ["nodefs.available<10%"],
      evictionSoftGracePeriod: ["nodefs.available=1m"],
    });
    expect(evictionReserve(soft, board)).toEqual({ memory_bytes: gibi, storage_bytes: 0 });
  });
});

const disk = (bytes: number, inodes = 500) => ({
  bytes: { available: bytes, capacity: 1000 },
  inodes: { available: inodes, capacity: 1000 },
});
const roomy: Headroom = {
  memory: { available: gibi, capacity: 4 * gibi },
  disk: disk(500),
  imageDisk: disk(500),
  processes: { available: 30_000, capacity: 32_768 },
};
const none = { memory: false, disk: false, pids: false };

describe("what a board is short of", () => {
  const judged = (headroom: Partial<Headroom>) => {
    const { pressures, shortages } = new EvictionGauge(defaultEvictionRules).look({ ...roomy, ...headroom }, 0);
    return { pressures, signals: shortages.map(({ threshold }) => threshold.signal) };
  };

  test("by upstream's thresholds, memory first", () => {
    expect(judged({})).toEqual({ pressures: none, signals: [] });
    expect(
      judged({ disk: disk(99, 49), imageDisk: disk(149, 49), memory: { available: 99 * mebi, capacity: gibi } }),
    ).toEqual({
      pressures: { memory: true, disk: true, pids: false },
      signals: ["memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"],
    });
    expect(judged({ disk: disk(100), imageDisk: disk(150) }).signals).toEqual([]);
    expect(judged({ disk: undefined, imageDisk: disk(0, 0) }).signals).toEqual([
      "imagefs.available",
      "imagefs.inodesFree",
    ]);
  });

  test("few process ids are told; pods go for them only where a threshold says so", () => {
    const processes = { available: 600, capacity: 32_768 };
    expect(judged({ processes })).toEqual({ pressures: { ...none, pids: true }, signals: [] });
    const gauge = new EvictionGauge(rulesOf({ evictionHard: ["pid.available<1000"] }));
    expect(gauge.look({ ...roomy, processes }, 0)).toMatchObject({
      pressures: { ...none, pids: true },
      shortages: [{ least: 1000, available: 600 }],
    });
  });

  test("a pressure is raised at once and lifted late", () => {
    const gauge = new EvictionGauge(defaultEvictionRules);
    const short = { ...roomy, memory: { available: 0, capacity: gibi } };
    expect(gauge.look(short, 1_000).pressures.memory).toBe(true);
    expect(gauge.look(roomy, 300_000)).toEqual({ pressures: { ...none, memory: true }, shortages: [] });
    expect(gauge.look(roomy, 301_000).pressures.memory).toBe(false);
    const quick = new EvictionGauge(rulesOf({ evictionPressureTransitionPeriod: 0 }));
    expect(quick.look(short, 1_000).pressures.memory).toBe(true);
    expect(quick.look(roomy, 2_000).pressures.memory).toBe(false);
  });

  test("a soft threshold is told at once, and pods go for it when its grace period is over", () => {
    const gauge = new EvictionGauge(
      rulesOf({
        evictionHard: [],
        evictionSoft: ["memory.available<1Gi"],
        evictionSoftGracePeriod: ["memory.available=1m"],
      }),
    );
    const short = { ...roomy, memory: { available: gibi - 1, capacity: 4 * gibi } };
    expect(gauge.look(short, 0)).toEqual({ pressures: { ...none, memory: true }, shortages: [] });
    expect(gauge.look(short, 59_999).shortages).toEqual([]);
    expect(gauge.look(short, 60_000).shortages).toMatchObject([{ least: gibi, available: gibi - 1 }]);
    gauge.look(roomy, 70_000);
    expect(gauge.look(short, 80_000).shortages).toEqual([]);
  });

  test("what was acted upon is left behind with its minimum reclaim", () => {
    const rules = { evictionHard: ["nodefs.available<100"], evictionMinimumReclaim: ["nodefs.available=50"] };
    const gauge = new EvictionGauge(rulesOf(rules));
    const left = (bytes: number, now_ms: number) =>
      gauge.look({ ...roomy, disk: disk(bytes) }, now_ms).shortages.length;
    expect([left(120, 0), left(99, 1), left(120, 2), left(149, 3), left(150, 4), left(120, 5)]).toEqual([
      0, 1, 1, 1, 0, 0,
    ]);
    expect(gauge.isRelieved({ ...roomy, disk: disk(149) })).toBe(false);
    expect(gauge.isRelieved({ ...roomy, disk: disk(150) })).toBe(true);
  });
});
