import { describe, expect, test } from "bun:test";
import { readBoardReport } from "./board-scraper.ts";
import { UsageCollector } from "./usage-collector.ts";
import { type Counters, readUsageSample, type UsageSample, usageBetween } from "./usage-sample.ts";

const text = `# HELP container_cpu_usage_seconds_total [STABLE] CPU
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="web",namespace="default",pod="a"} 1.5 60000
container_memory_working_set_bytes{container="web",namespace="default",pod="a"} 4096 60000
container_start_time_seconds{container="web",namespace="default",pod="a"} 50 60000
container_cpu_usage_seconds_total{container="half",namespace="default",pod="a"} 1.5 60000
node_cpu_usage_seconds_total 100 60001
node_memory_working_set_bytes 1e+06 60001
resource_scrape_error 0
`;

test("a sample has what told CPU and memory, at the time it was read", () => {
  const { board, pods } = readUsageSample(text, 1);
  expect(board).toEqual({ at_ms: 60_001, cpu_s: 100, memory_bytes: 1_000_000, startedAt_ms: undefined });
  expect([...(pods.get("default/a") ?? [])]).toEqual([
    ["web", { at_ms: 60_000, cpu_s: 1.5, memory_bytes: 4096, startedAt_ms: 50_000 }],
  ]);
});

describe("usage between two samples", () => {
  const at = (at_ms: number, cpu_s: number, startedAt_ms?: number): Counters => ({
    at_ms,
    cpu_s,
    memory_bytes: 7,
    startedAt_ms,
  });
  test("is the mean over the time between", () => {
    expect(usageBetween(at(0, 10), at(20_000, 15))).toEqual({
      cpu_cores: 0.25,
      memory_bytes: 7,
      at_ms: 20_000,
      window_ms: 20_000,
    });
  });
  test("of a container that started in between counts from its start, also when its counter is lower", () => {
    expect(usageBetween(undefined, at(20_000, 5, 10_000))?.cpu_cores).toBe(0.5);
    expect(usageBetween(at(0, 100, -5), at(20_000, 5, 10_000))).toMatchObject({ cpu_cores: 0.5, window_ms: 10_000 });
  });
  test("is unknown without an earlier sample, or when the counter went back", () => {
    expect(usageBetween(undefined, at(20_000, 5))).toBeUndefined();
    expect(usageBetween(at(0, 10), at(20_000, 5))).toBeUndefined();
    expect(usageBetween(at(20_000, 5), at(20_000, 5))).toBeUndefined();
  });
});

describe("the collector", () => {
  /** A board that uses one core, seen at times that the test sets. */
  function board() {
    const state = { now_ms: 1_000_000, scrapes: 0, fails: false };
    const scrape = async (): Promise<UsageSample> => {
      if (state.fails) throw new Error("away");
      state.scrapes += 1;
      state.now_ms += 500;
      return { board: { at_ms: state.now_ms, cpu_s: state.now_ms / 1000, memory_bytes: 1 }, pods: new Map() };
    };
    const failures: string[] = [];
    const collector = new UsageCollector({
      scrape,
      now_ms: () => state.now_ms,
      settle_ms: 1,
      failed: (name) => failures.push(name),
    });
    return { state, collector, failures };
  }

  test("takes two samples for the first answer, none while it is fresh, one when it is not", async () => {
    const { state, collector } = board();
    expect((await collector.usage(["a"])).get("a")?.board).toMatchObject({ cpu_cores: 1, window_ms: 500 });
    expect(state.scrapes).toBe(2);
    await collector.usage(["a"]);
    expect(state.scrapes).toBe(2);
    state.now_ms += 15_000;
    expect((await collector.usage(["a"])).get("a")?.board).toMatchObject({ cpu_cores: 1, window_ms: 15_500 });
    expect(state.scrapes).toBe(3);
    state.now_ms += 200_000;
    expect((await collector.usage(["a"])).get("a")?.board).toMatchObject({ window_ms: 500 });
    expect(state.scrapes).toBe(5);
  });

  test("questions at the same time share one answer", async () => {
    const { state, collector } = board();
    await Promise.all([collector.usage(["a"]), collector.usage(["a"]), collector.usage(["a", "a"])]);
    expect(state.scrapes).toBe(2);
  });

  test("a board that cannot be reached is left out, said, and asked again", async () => {
    const { state, collector, failures } = board();
    state.fails = true;
    expect((await collector.usage(["a"])).size).toBe(0);
    expect(failures).toEqual(["a"]);
    state.fails = false;
    expect((await collector.usage(["a"])).size).toBe(1);
  });
});

test("a report has the hottest sensor, and nothing for what a board cannot measure", () => {
  const report = readBoardReport(`bramble_board_info{model="Raspberry Pi 4"} 1
node_thermal_zone_temp{zone="0",type="cpu"} 41.5
node_thermal_zone_temp{zone="1",type="pmic"} 47
bramble_board_undervoltage 1
bramble_board_throttled 0
`);
  expect(report).toMatchObject({
    model: "Raspberry Pi 4",
    temperature_celsius: 47,
    undervoltage: true,
    throttled: false,
    undervoltageSeen: undefined,
    disk_bytes: undefined,
  });
});
