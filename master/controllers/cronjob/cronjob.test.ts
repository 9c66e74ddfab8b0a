import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cronJobs, jobs } from "#shared/api/resources.ts";
import type { CronJob, CronJobSpec } from "#shared/api/types/batch-v1.generated.ts";
import { resetTables } from "#shared/metrics/tables.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { cronJobSkews } from "../controller-counts.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { told } from "../testing/told.ts";
import { workTemplate } from "../testing/workloads.ts";
import { cronJobController } from "./cronjob.ts";
import { dueStart, inZone, isKnownZone, parseSchedule, ScheduleError } from "./schedule.ts";

const key = { namespace: "default", name: "tick" };
const cronJob = (spec: Partial<CronJobSpec> = {}): CronJob => ({
  apiVersion: "batch/v1",
  kind: "CronJob",
  metadata: { ...key },
  spec: {
    schedule: "*/10 * * * *",
    concurrencyPolicy: "Allow",
    successfulJobsHistoryLimit: 1,
    failedJobsHistoryLimit: 1,
    jobTemplate: { metadata: { labels: { from: "tick" } }, spec: { template: workTemplate() } },
    ...spec,
  },
});

describe("schedules", () => {
  const next = (text: string, from: string, zone?: string): string => {
    const time_ms = parseSchedule(text, zone).next(Date.parse(from));
    return time_ms === undefined ? "never" : new Date(time_ms).toISOString();
  };

  test("fields, descriptors, delays and zones", () => {
    const from = "2026-01-01T00:00:30.500Z";
    expect(next("*/1 * * * *", from)).toBe("2026-01-01T00:01:00.000Z");
    expect(next("5/15 * * * *", "2026-01-01T00:21:00Z")).toBe("2026-01-01T00:35:00.000Z");
    expect(next("0 0 13 * fri", from)).toBe("2026-01-02T00:00:00.000Z");
    expect(next("0 0 ? * 1", from)).toBe("2026-01-05T00:00:00.000Z");
    expect(next("@daily", from)).toBe("2026-01-02T00:00:00.000Z");
    expect(next("@every 1h30m", from)).toBe("2026-01-01T01:30:30.000Z");
    expect(next("0 0 31 2 *", from)).toBe("never");
    expect(next("0 12 * * *", from, "Asia/Tokyo")).toBe("2026-01-01T03:00:00.000Z");
    expect(next("CRON_TZ=Asia/Tokyo 0 12 * * *", from)).toBe("2026-01-01T03:00:00.000Z");
    expect(() => parseSchedule("nonsense", undefined)).toThrow(ScheduleError);
    expect(() => parseSchedule("@every x", undefined)).toThrow('time: invalid duration "x"');
  });

  test("the start that is due is the last one, also after very many", () => {
    const made = { ...cronJob(), metadata: { ...key, creationTimestamp: "2026-01-01T00:00:00Z" } };
    const schedule = parseSchedule("*/10 * * * *", undefined);
    const due = (now: string, more: Partial<CronJobSpec> = {}) => {
      const { latest_ms, tooMany } = dueStart({ ...made, spec: { ...made.spec, ...more } }, schedule, Date.parse(now));
      return [latest_ms === undefined ? undefined : new Date(latest_ms).toISOString().slice(0, 16), tooMany];
    };
    expect(due("2026-01-01T00:09:59Z")).toEqual([undefined, false]);
    expect(due("2026-01-01T00:10:00Z")).toEqual(["2026-01-01T00:10", false]);
    expect(due("2026-01-01T00:35:00Z")).toEqual(["2026-01-01T00:30", false]);
    expect(due("2026-02-01T00:35:00Z")).toEqual(["2026-02-01T00:30", true]);
    expect(due("2026-02-01T00:35:00Z", { startingDeadlineSeconds: 900 })).toEqual(["2026-02-01T00:30", false]);
    expect(due("2026-02-01T00:35:00Z", { startingDeadlineSeconds: 60 })).toEqual([undefined, false]);
  });

  test("times are told in their zone", () => {
    expect(inZone(Date.parse("2026-07-01T12:00:00Z"), undefined)).toBe("2026-07-01T12:00:00Z");
    expect(inZone(Date.parse("2026-07-01T12:00:00Z"), "Europe/Berlin")).toBe("2026-07-01T14:00:00+02:00");
    expect(inZone(Date.parse("2026-07-01T12:00:00Z"), "America/St_Johns")).toBe("2026-07-01T09:30:00-02:30");
    expect(isKnownZone("Nowhere/Land")).toBe(false);
  });
});

describe("a CronJob", () => {
  let harness: Harness<RecordingClient>;
  let clock: ManualClock;
  const begin_ms = Date.parse("2030-01-01T00:00:00Z");
  beforeEach(async () => {
    harness = await Harness.onApiServer();
    clock = new ManualClock(begin_ms + 1_000);
  });
  afterEach(() => harness.stop());
  const get = () => harness.client.get(cronJobs, key);
  const made = async () => (await harness.client.list(jobs)).items.map(({ metadata }) => metadata.name ?? "").sort();
  const nameAt = (minutes: number) => `tick-${begin_ms / 60_000 + minutes}`;
  const start = async (given: CronJob) => {
    const lastScheduleTime = new Date(begin_ms).toISOString();
    await harness.client.create(cronJobs, { ...given, status: { lastScheduleTime } });
    await harness.run(cronJobController(), clock);
    await clock.advance(100);
  };
  const until = (names: string[]) =>
    eventually(async () => {
      await clock.advance(0);
      return (await made()).join() === names.join();
    }, names.join());
  const end = async (name: string, type: "Complete" | "Failed") => {
    const at = new Date(clock.wall_ms()).toISOString();
    const begun = type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget";
    const status = {
      startTime: at,
      completionTime: at,
      conditions: [begun, type].map((one) => ({ type: one, status: "True" })),
    };
    const at_key = { namespace: "default", name };
    await harness.client.patch(jobs, at_key, { type: "merge", body: { status } }, { subresource: "status" });
  };

  test("makes a Job at each of its times, and keeps the last ones that ended", async () => {
    resetTables();
    await start(cronJob());
    expect(await made()).toEqual([]);
    await clock.advance(600_000);
    await until([nameAt(10)]);
    const job = await harness.client.get(jobs, { namespace: "default", name: nameAt(10) });
    expect(job.metadata).toMatchObject({
      labels: { from: "tick" },
      ownerReferences: [{ kind: "CronJob", name: "tick", controller: true }],
    });
    expect(job.metadata.annotations?.["batch.kubernetes.io/cronjob-scheduled-timestamp"]).toBe(
      `${new Date(begin_ms + 600_000).toISOString().slice(0, 19)}Z`,
    );
    await eventually(async () => (await get()).status?.active?.[0]?.name === nameAt(10), "active");
    await end(nameAt(10), "Complete");
    await eventually(async () => ((await get()).status?.active ?? []).length === 0, "not active");
    expect((await get()).status?.lastSuccessfulTime).toBeDefined();
    const said = `Normal CronJob/tick SawCompletedJob: Saw completed job: ${nameAt(10)}, condition: Complete`;
    await eventually(() => harness.recorded.at(-1) === said, "the event");
    await clock.advance(600_000);
    await until([nameAt(10), nameAt(20)]);
    await end(nameAt(20), "Complete");
    await until([nameAt(20)]);
    expect(told(cronJobSkews.family())).toEqual({ "": 2 });
  });

  test("a Job that is gone already when it is to be deleted is nothing to tell of", async () => {
    await start(cronJob({ successfulJobsHistoryLimit: 0 }));
    await clock.advance(600_000);
    await until([nameAt(10)]);
    const { client } = harness;
    const remove = client.delete;
    client.delete = async (...args: Parameters<typeof remove>) => {
      await remove.apply(client, args);
      await remove.apply(client, args);
    };
    await end(nameAt(10), "Complete");
    await until([]);
    await eventually(async () => (await get()).status?.active === undefined, "no active Job");
    expect(harness.recorded.filter((line) => line.includes("FailedDelete"))).toEqual([]);
  });

  test("Forbid waits for the one at work, Replace ends it", async () => {
    await start(cronJob({ concurrencyPolicy: "Forbid" }));
    await clock.advance(600_000);
    await until([nameAt(10)]);
    await eventually(async () => (await get()).status?.active?.length === 1, "active");
    await clock.advance(600_000);
    await until([nameAt(10)]);
    await eventually(() => harness.recorded.some((one) => one.includes("JobAlreadyActive")), "said so");
    await harness.client.patch(cronJobs, key, { type: "merge", body: { spec: { concurrencyPolicy: "Replace" } } });
    await until([nameAt(20)]);
  });

  test("suspended makes none, and one too late is left out", async () => {
    await start(cronJob({ suspend: true, startingDeadlineSeconds: 200 }));
    await clock.advance(850_000);
    expect(await made()).toEqual([]);
    await harness.client.patch(cronJobs, key, { type: "merge", body: { spec: { suspend: false } } });
    await eventually(async () => {
      await clock.advance(0);
      return (await get()).metadata.generation === 2;
    }, "no longer suspended");
    await clock.advance(400_000);
    await until([nameAt(20)]);
  });

  test("a schedule whose times never come is said to be invalid", async () => {
    await start(cronJob({ schedule: "0 0 31 2 *" }));
    await eventually(() => harness.recorded.some((one) => one.includes("InvalidSchedule")), "said so");
    const said =
      "Warning CronJob/tick InvalidSchedule: invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 second";
    await eventually(() => harness.recorded.at(-1) === said, "the event");
  });

  test("a new schedule makes up for nothing before its next time, unless something else happens", async () => {
    await start(cronJob({ schedule: "0 6 * * *" }));
    await clock.advance(5 * 3_600_000);
    const change = (body: object) => harness.client.patch(cronJobs, key, { type: "merge", body });
    await change({ spec: { schedule: "0 4 * * *" } });
    await eventually(async () => {
      await clock.advance(0);
      return (await get()).metadata.generation === 2;
    }, "the change");
    await clock.advance(3_600_000);
    expect(await made()).toEqual([]);
    await change({ metadata: { labels: { any: "change" } } });
    await until([nameAt(240)]);
  });
});
