import type { CronJob, Job } from "#shared/api/types/batch-v1.generated.ts";
import { ownedBy, template } from "./manifests.ts";
import type { Fields, Scenario, World } from "./world.ts";

const day_ms = 86_400_000;
const ago = (ms: number): string => new Date(Date.now() - ms).toISOString().replace(/\.\d+/, "");
const jobTemplate = (more: Fields = {}): Fields => ({
  jobTemplate: {
    metadata: { labels: { made: "so" }, annotations: { note: "x" } },
    spec: { template: template("tick", "example/app:1", { restartPolicy: "Never" }), ...more },
  },
});
/** Once a year unless said otherwise, so that a run is due only where the last one is said to be long ago. */
const make = (world: World, more: Fields = {}, schedule = "0 0 1 1 *"): Promise<CronJob> =>
  world.create<CronJob>("CronJob", "tick", { spec: { schedule, ...jobTemplate(), ...more } });
const lastRun = (world: World, ms: number): Promise<void> =>
  world.patch("CronJob", "tick", { status: { lastScheduleTime: ago(ms) } }, "status");
const jobs = (world: World): Job[] => world.room.all<Job>("Job");
/** A Job as the CronJob would have made it, some time ago. */
async function past(
  world: World,
  owner: CronJob,
  name: string,
  state: "Complete" | "Failed" | "active",
  ago_s = 0,
): Promise<void> {
  const annotations = { "batch.kubernetes.io/cronjob-scheduled-timestamp": ago(day_ms) };
  // Another controller's, so that only the CronJob's looks at it.
  const spec = { managedBy: "example.com/none", template: template("tick", "x", { restartPolicy: "Never" }) };
  await world.create("Job", name, { spec }, { annotations });
  if (state !== "active") {
    const at = ago(ago_s * 1_000);
    const condition = (type: string): object => ({ type, status: "True", lastTransitionTime: at, lastProbeTime: at });
    const [before, counts] =
      state === "Complete"
        ? ["SuccessCriteriaMet", { succeeded: 1, completionTime: at }]
        : ["FailureTarget", { failed: 1 }];
    const status = { startTime: at, ...counts, conditions: [condition(before), condition(state)] };
    await world.patch("Job", name, { status }, "status");
  }
  const whole = { ...owner, apiVersion: "batch/v1", kind: "CronJob" };
  await world.patch("Job", name, { metadata: ownedBy(whole, { controller: true, blockOwnerDeletion: true }) });
}

export const cronJobScenarios: readonly Scenario[] = [
  {
    name: "cron-due",
    async play(world) {
      await make(world);
      await world.settle("made");
      await lastRun(world, 400 * day_ms);
      await world.until(() => jobs(world).length === 1, "a run");
      await world.settle("run");
      await world.roll("runs", { one: false });
      for (const pod of world.pods()) await world.succeed(pod);
      await world.settle("done");
      await world.delete("CronJob", "tick");
      await world.settle("deleted");
    },
  },
  {
    name: "cron-too-many-missed",
    async play(world) {
      await make(world, {}, "0 5 * * *");
      await lastRun(world, 400 * day_ms);
      await world.until(() => jobs(world).length === 1, "a run");
      await world.settle("run");
    },
  },
  {
    name: "cron-deadline-missed",
    async play(world) {
      await make(world, { startingDeadlineSeconds: 30 });
      await lastRun(world, 400 * day_ms);
      await world.settle("missed");
    },
  },
  {
    name: "cron-suspended",
    async play(world) {
      await make(world, { suspend: true });
      await lastRun(world, 400 * day_ms);
      await world.settle("suspended");
      await world.patch("CronJob", "tick", { spec: { suspend: false } });
      await world.until(() => jobs(world).length === 1, "a run");
      await world.settle("run");
    },
  },
  ...["Allow", "Forbid", "Replace"].map((concurrencyPolicy) => ({
    name: `cron-${concurrencyPolicy.toLowerCase()}`,
    async play(world: World) {
      await make(world, { concurrencyPolicy });
      await lastRun(world, 400 * day_ms);
      await world.until(() => jobs(world).length === 1, "a run");
      await world.roll("run", { one: false });
      await world.patch("CronJob", "tick", { spec: { schedule: "0 0 2 1 *", timeZone: "Europe/Berlin" } });
      await lastRun(world, 400 * day_ms);
      await world.settle("due again");
      await world.roll("after that", { one: false });
    },
  })),
  {
    name: "cron-history",
    async play(world) {
      const owner = await make(world, { successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 });
      await past(world, owner, "tick-3", "Complete", 300);
      await past(world, owner, "tick-2", "Complete", 200);
      await past(world, owner, "tick-5", "Failed", 500);
      await world.patch("CronJob", "tick", { metadata: { labels: { seen: "x" } } });
      await world.settle("kept");
    },
  },
  {
    name: "cron-foreign-jobs",
    async play(world) {
      const owner = await make(world);
      await past(world, owner, "tick-7", "active");
      await world.patch("CronJob", "tick", { metadata: { labels: { seen: "x" } } });
      await world.settle("unexpected");
      const active = [
        {
          apiVersion: "batch/v1",
          kind: "Job",
          name: "gone",
          namespace: world.namespace,
          uid: "00000000-0000-0000-0000-000000000001",
        },
      ];
      await world.patch("CronJob", "tick", { status: { active } }, "status");
      await world.settle("missing");
    },
  },
  {
    name: "cron-zone",
    async play(world) {
      await make(world, { timeZone: "Asia/Kolkata" }, "@yearly");
      await world.settle("made");
      await world.patch("CronJob", "tick", { spec: { schedule: "@every 24h", timeZone: null } });
      await lastRun(world, 3 * day_ms);
      await world.until(() => jobs(world).length === 1, "a run");
      await world.settle("run");
    },
  },
  {
    name: "cron-rescheduled",
    async play(world) {
      await make(world, { suspend: true });
      await lastRun(world, 400 * day_ms);
      await world.settle("suspended");
      await world.patch("CronJob", "tick", { spec: { suspend: false, schedule: "0 0 2 1 *" } });
      await world.settle("nothing made up for");
      await world.patch("CronJob", "tick", { metadata: { labels: { seen: "x" } } });
      await world.until(() => jobs(world).length === 1, "a run");
      await world.settle("run");
    },
  },
  {
    name: "cron-never",
    async play(world) {
      await make(world, {}, "0 0 31 2 *");
      await world.settle("made");
      await lastRun(world, 400 * day_ms);
      await world.settle("never due");
    },
  },
  {
    name: "cron-refused",
    async play(world) {
      await world.create("ResourceQuota", "none", { spec: { hard: { "count/jobs.batch": "0" } } });
      await world.settle("quota");
      await make(world);
      await lastRun(world, 400 * day_ms);
      await world.settle("refused");
    },
  },
];
