import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { jobs, pods } from "#shared/api/resources.ts";
import type { Job, JobSpec } from "#shared/api/types/batch-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { RunningController } from "#shared/client/controller.ts";
import { resetTables } from "#shared/metrics/tables.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { jobPodsFinished, jobSyncs, jobSyncTimes, jobsFinished } from "../controller-counts.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { told } from "../testing/told.ts";
import { finish, livePods, makeReady, workTemplate } from "../testing/workloads.ts";
import { noFailures, recordAfter, remaining_ms } from "./back-off.ts";
import { Indexes } from "./indexes.ts";
import { jobController } from "./job.ts";
import { indexOf, isTracked } from "./pod-facts.ts";
import { judgeFailure } from "./pod-failure-policy.ts";
import { fulfilledRule } from "./success-policy.ts";

const key = { namespace: "default", name: "work" };
const job = (spec: Partial<JobSpec> = {}): Job => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { ...key },
  spec: {
    parallelism: 2,
    completions: 3,
    backoffLimit: 6,
    manualSelector: true,
    selector: { matchLabels: { app: "web" } },
    template: workTemplate(),
    completionMode: "NonIndexed",
    ...spec,
  },
});

describe("Indexes", () => {
  test("texts, unions and gaps", () => {
    const some = Indexes.parse("1,3-5,x,7,8,20-30", 10);
    expect(some.toString()).toBe("1,3-5,7,8");
    expect(some.count).toBe(6);
    expect(some.union(Indexes.of([2, 9])).toString()).toBe("1-5,7-9");
    expect(some.firstAbsent(3, 10)).toEqual([0, 2, 6]);
    expect(some.firstAbsent(9, 10)).toEqual([0, 2, 6, 9]);
    expect(some.has(4) && !some.has(6)).toBe(true);
    expect(some.overlap(Indexes.parse("4-8", 10))).toBe(4);
  });
});

test("a success policy is met by indexes, by a number of them, or by a number alone", () => {
  const succeeded = Indexes.parse("0,2-4", 10);
  const met = (rule: object) => fulfilledRule({ rules: [rule] }, 10, succeeded);
  expect(met({ succeededIndexes: "2-3" })).toBe("Matched rules at index 0");
  expect(met({ succeededIndexes: "0-3" })).toBeUndefined();
  expect(met({ succeededIndexes: "0-3", succeededCount: 3 })).toBeDefined();
  expect(met({ succeededCount: 5 })).toBeUndefined();
});

test("the back-off doubles with failures and begins anew with a success", () => {
  const ended = (at: string): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {},
    spec: { containers: [] },
    status: {
      containerStatuses: [
        {
          name: "c",
          image: "",
          imageID: "",
          ready: false,
          restartCount: 0,
          state: { terminated: { exitCode: 1, finishedAt: at } },
        },
      ],
    },
  });
  const now_ms = Date.parse("2026-01-01T00:01:00Z");
  const once = recordAfter(noFailures, [], [ended("2026-01-01T00:00:55Z")]);
  expect(remaining_ms(once, now_ms)).toBe(5_000);
  const thrice = recordAfter(once, [], [ended("2026-01-01T00:00:58Z"), ended("2026-01-01T00:00:59Z")]);
  expect(remaining_ms(thrice, now_ms)).toBe(39_000);
  const after = recordAfter(thrice, [ended("2026-01-01T00:00:59Z")], [ended("2026-01-01T00:01:00Z")]);
  expect(after.failures).toBe(1);
  expect(recordAfter(thrice, [ended("2026-01-01T00:00:59Z")], [])).toEqual(noFailures);
});

test("a failure policy judges by exit codes and conditions, first rule first", () => {
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "ns" },
    spec: { containers: [] },
    status: {
      conditions: [{ type: "DisruptionTarget", status: "True" }],
      containerStatuses: [
        { name: "c", image: "", imageID: "", ready: false, restartCount: 0, state: { terminated: { exitCode: 42 } } },
      ],
    },
  };
  const disrupted = { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget" }] };
  const exits = { action: "FailJob", onExitCodes: { operator: "In", values: [42] } };
  expect(judgeFailure({ rules: [disrupted, exits] }, pod)).toEqual({ counts: false, action: "Ignore" });
  expect(judgeFailure({ rules: [exits, disrupted] }, pod).message).toBe(
    "Container c for pod ns/p failed with exit code 42 matching FailJob rule at index 0",
  );
  const other = { action: "FailJob", onExitCodes: { operator: "NotIn", values: [42] } };
  expect(judgeFailure({ rules: [other] }, pod)).toEqual({ counts: true });
});

describe("a Job", () => {
  let harness: Harness<RecordingClient>;
  let clock: ManualClock;
  let controller: RunningController;
  beforeEach(async () => {
    harness = await Harness.onApiServer();
    clock = new ManualClock(Date.now());
  });
  afterEach(async () => {
    await harness.stop();
  });
  const { client } = { client: () => harness.client };
  const get = () => client().get(jobs, key);
  const start = async (made: Job) => {
    controller = await harness.run(jobController({ gather_ms: 0 }), clock);
    await client().create(jobs, made);
  };
  /** Time passes once the controller has done what there is to do: how long it waits is reckoned from before. */
  const pass = async (ms: number) => {
    await eventually(() => !controller.queue.busy, "the controller at rest");
    await clock.advance(ms);
  };
  const running = async () =>
    (await livePods(client())).filter(({ status }) => status?.phase !== "Succeeded" && status?.phase !== "Failed");
  const hasRunning = (count: number) =>
    eventually(async () => (await running()).length === count, `${count} running pods`);
  const conditions = async () =>
    ((await get()).status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);
  const has = (condition: string) => eventually(async () => (await conditions()).includes(condition), condition);
  const ends = (pod: Pod, phase: "Succeeded" | "Failed", exitCode = 0) =>
    finish(client(), pod, phase, exitCode, new Date(clock.wall_ms()));
  const end = async (phase: "Succeeded" | "Failed", exitCode = 0) => {
    const [pod] = await running();
    if (pod) await ends(pod, phase, exitCode);
    return pod;
  };

  test("runs its completions with its parallelism, and counts each pod once", async () => {
    resetTables();
    await start(job());
    await hasRunning(2);
    expect((await livePods(client())).every(isTracked)).toBe(true);
    for (const pod of await running()) await makeReady(client(), pod);
    await eventually(async () => (await get()).status?.ready === 2, "two ready");
    await end("Succeeded");
    await end("Succeeded");
    await hasRunning(1);
    await end("Succeeded");
    await has("Complete=True CompletionsReached");
    const { status } = await get();
    expect(status).toMatchObject({ succeeded: 3, ready: 0, terminating: 0 });
    expect(status?.completionTime).toBeDefined();
    expect(status?.uncountedTerminatedPods).toEqual({});
    expect(await conditions()).toContain("SuccessCriteriaMet=True CompletionsReached");
    await eventually(async () => !(await livePods(client())).some(isTracked), "no finalizers");
    expect(await livePods(client())).toHaveLength(3);
    const said = "Normal Job/work Completed: Job completed";
    await eventually(() => harness.recorded.at(-1) === said, "the event");
    expect(client().count("create pods")).toBe(3);
    const counted = () => [told(jobsFinished.family()), told(jobPodsFinished.family())];
    const wanted = [{ "NonIndexed succeeded CompletionsReached": 1 }, { "NonIndexed succeeded": 3 }];
    await eventually(() => Bun.deepEquals(counted(), wanted), "its numbers");
    expect(told(jobSyncs.family())).toMatchObject({ "NonIndexed success pods_created": 2 });
    expect(told(jobSyncTimes.family())).toMatchObject({ "NonIndexed success pods_created": 2 });
  });

  test("makes no pod for one that was counted, where its own count comes back late", async () => {
    await start(job({ completions: 2 }));
    await hasRunning(2);
    const lister = harness.informers.lister(jobs);
    await eventually(
      () => lister.get("default/work")?.status?.active === 2,
      "both in the Job that the controller sees",
    );
    const release = client().hold(jobs);
    await end("Succeeded");
    await eventually(async () => (await get()).status?.succeeded === 1, "one counted");
    await eventually(async () => (await livePods(client())).filter(isTracked).length === 1, "one let go");
    const [other] = await running();
    if (other) await makeReady(client(), other);
    await eventually(() => !controller.queue.busy, "the controller at rest");
    release();
    await end("Succeeded");
    await has("Complete=True CompletionsReached");
    expect(client().count("create pods")).toBe(2);
  });

  test("tries again after a back-off, and fails beyond its limit", async () => {
    resetTables();
    await start(job({ parallelism: 1, completions: 1, backoffLimit: 1 }));
    await hasRunning(1);
    await end("Failed", 1);
    await eventually(async () => (await get()).status?.failed === 1, "one failure");
    expect(await running()).toHaveLength(0);
    await pass(11_000);
    await hasRunning(1);
    await end("Failed", 1);
    await has("Failed=True BackoffLimitExceeded");
    expect((await get()).status).toMatchObject({ failed: 2 });
    const said = "Warning Job/work BackoffLimitExceeded: Job has reached the specified backoff limit";
    await eventually(() => harness.recorded.at(-1) === said, "the event");
    const counted = () => [told(jobsFinished.family()), told(jobPodsFinished.family())];
    const wanted = [{ "NonIndexed failed BackoffLimitExceeded": 1 }, { "NonIndexed failed": 2 }];
    await eventually(() => Bun.deepEquals(counted(), wanted), "its numbers");
  });

  test("Indexed: each index once, known to the pod in every way", async () => {
    await start(job({ completionMode: "Indexed" }));
    await hasRunning(2);
    const [first] = (await running()).filter((pod) => indexOf(pod) === 0);
    expect(first).toMatchObject({
      metadata: {
        labels: { "batch.kubernetes.io/job-completion-index": "0" },
        annotations: { "batch.kubernetes.io/job-completion-index": "0" },
      },
      spec: { hostname: "work-0", containers: [{ env: [{ name: "JOB_COMPLETION_INDEX" }] }] },
    });
    expect(first?.metadata.name).toStartWith("work-0-");
    if (first) await ends(first, "Succeeded");
    await eventually(async () => (await get()).status?.completedIndexes === "0", "index 0");
    await hasRunning(2);
    expect((await running()).map(indexOf).sort()).toEqual([1, 2]);
    await end("Succeeded");
    await end("Succeeded");
    await has("Complete=True CompletionsReached");
    expect((await get()).status).toMatchObject({ completedIndexes: "0-2", succeeded: 3 });
  });

  test("a limit per index spares the others", async () => {
    await start(job({ completionMode: "Indexed", completions: 2, backoffLimitPerIndex: 1, backoffLimit: 2 ** 31 - 1 }));
    await hasRunning(2);
    const failIndex = async (index: number) => {
      const pod = (await running()).find((one) => indexOf(one) === index);
      if (pod) await ends(pod, "Failed", 1);
      return pod;
    };
    await failIndex(1);
    await eventually(async () => (await get()).status?.active === 1, "the failure seen");
    await pass(11_000);
    await hasRunning(2);
    const retried = (await running()).find((one) => indexOf(one) === 1);
    expect(retried?.metadata.annotations?.["batch.kubernetes.io/job-index-failure-count"]).toBe("1");
    await failIndex(1);
    await eventually(async () => (await get()).status?.failedIndexes === "1", "the index failed");
    expect(await running()).toHaveLength(1);
    await end("Succeeded");
    await has("Failed=True FailedIndexes");
    expect((await get()).status).toMatchObject({ completedIndexes: "0", failedIndexes: "1", succeeded: 1 });
  });

  test("suspended has no pods, and resumed begins anew", async () => {
    await start(job({ suspend: true }));
    await has("Suspended=True JobSuspended");
    expect(await livePods(client())).toHaveLength(0);
    expect((await get()).status?.startTime).toBeUndefined();
    await client().patch(jobs, key, { type: "merge", body: { spec: { suspend: false } } });
    await hasRunning(2);
    await has("Suspended=False JobResumed");
    expect((await get()).status?.startTime).toBeDefined();
    await client().patch(jobs, key, { type: "merge", body: { spec: { suspend: true } } });
    await hasRunning(0);
    await has("Suspended=True JobSuspended");
    expect((await get()).status?.failed ?? 0).toBe(0);
  });

  test("ends at its deadline", async () => {
    await start(job({ activeDeadlineSeconds: 30 }));
    await hasRunning(2);
    await pass(31_000);
    await has("Failed=True DeadlineExceeded");
    expect((await get()).status).toMatchObject({ failed: 2, terminating: 0 });
    expect(await conditions()).toContain("FailureTarget=True DeadlineExceeded");
  });

  test("is stopped by a failure policy, and completed early by a success policy", async () => {
    const rules = [{ action: "FailJob", onExitCodes: { operator: "In", values: [7] } }];
    await start(job({ podFailurePolicy: { rules } }));
    await hasRunning(2);
    const pod = await end("Failed", 7);
    await has("Failed=True PodFailurePolicy");
    const failed = (await get()).status?.conditions?.find(({ type }) => type === "Failed");
    expect(failed?.message).toBe(
      `Container web for pod default/${pod?.metadata.name} failed with exit code 7 matching FailJob rule at index 0`,
    );
    const name = "early";
    const made = job({ completionMode: "Indexed", successPolicy: { rules: [{ succeededCount: 1 }] } });
    const labels = { matchLabels: { app: "early" } };
    const template = workTemplate({ app: "early" });
    await client().create(jobs, {
      ...made,
      metadata: { ...key, name },
      spec: { ...made.spec, selector: labels, template },
    });
    await hasRunning(2);
    await end("Succeeded");
    const early = async () => (await client().get(jobs, { namespace: "default", name })).status;
    await eventually(
      async () => (await early())?.conditions?.some(({ type }) => type === "Complete") ?? false,
      "complete",
    );
    expect((await early())?.succeeded).toBe(1);
    expect((await early())?.conditions?.[0]).toMatchObject({
      type: "SuccessCriteriaMet",
      reason: "SuccessPolicy",
      message: "Matched rules at index 0",
    });
  });

  test("that is deleted lets its pods go, and one of another manager is left alone", async () => {
    await start(job());
    await hasRunning(2);
    await client().delete(jobs, key, { propagationPolicy: "Background" });
    await eventually(async () => !(await client().list(pods)).items.some(isTracked), "no finalizers");
    await client().create(jobs, job({ managedBy: "example.com/other" }));
    await pass(5_000);
    expect((await get()).status).toEqual({});
  });
});
