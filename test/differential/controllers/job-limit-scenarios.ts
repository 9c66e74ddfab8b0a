import type { KubeObject } from "#shared/api/object.ts";
import type { Event } from "#shared/api/types/core-v1.generated.ts";
import { atIndex, change, disrupted, indexed, indexOf, make, succeedAt } from "./jobs.ts";
import { ownedBy } from "./manifests.ts";
import { isEnding, isRunning, type Scenario } from "./world.ts";

/* Jobs whose pods are refused, fail or are replaced with limits, and those of other controllers. */

export const jobLimitScenarios: readonly Scenario[] = [
  {
    name: "job-refused",
    async play(world) {
      await world.create("ResourceQuota", "none", { spec: { hard: { pods: "0" } } });
      await world.settle("quota");
      await make(world, { parallelism: 3, completions: 3 });
      const refusals = (): Event[] => world.room.all<Event>("Event").filter(({ reason }) => reason === "FailedCreate");
      const tries = (): number => refusals().reduce((sum, { count = 1 }) => sum + count, 0);
      // One second after the first, then twice as long each time; one more may come of the Job's own status.
      await world.until(() => tries() >= 5, "five refusals");
      const times_ms = refusals().flatMap(({ firstTimestamp = "", lastTimestamp = "" }) =>
        [firstTimestamp, lastTimestamp].map((time) => Date.parse(time)),
      );
      const took_ms = Math.max(...times_ms) - Math.min(...times_ms);
      await world.create("ConfigMap", "tries", { data: { few: String(took_ms >= 6_000) } });
      await world.patch("ResourceQuota", "none", { spec: { hard: { pods: "10" } } });
      await world.roll("let go", { one: false });
    },
  },
  {
    name: "job-back-off-beside",
    async play(world) {
      await make(world, { parallelism: 2, completions: 4, backoffLimit: 3 });
      await world.roll("made", { one: false });
      const [first] = world.pods(isRunning);
      if (first) await world.fail(first);
      await world.settle("one waits to be replaced");
      await world.until(() => world.pods().length === 3, "its replacement");
      await world.roll("replaced", { one: false });
    },
  },
  {
    name: "job-per-index-policy",
    async play(world) {
      const rules = [
        { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        { action: "Count", onExitCodes: { operator: "In", values: [1, 2] } },
      ];
      await make(world, indexed(2, { backoffLimitPerIndex: 1, podFailurePolicy: { rules } }));
      await world.roll("made", { one: false });
      const again = (): Promise<void> =>
        world.until(
          () => world.pods((pod) => indexOf(pod) === "0" && pod.status?.phase === "Pending").length === 1,
          "another try",
        );
      for (const pod of world.pods(atIndex(0))) await world.fail(pod, 9, disrupted);
      await again();
      await world.roll("disrupted", { one: false });
      for (const pod of world.pods(atIndex(0))) await world.fail(pod, 1);
      await again();
      await world.roll("failed", { one: false });
      for (const pod of world.pods(atIndex(0))) await world.fail(pod, 2);
      await world.settle("failed again");
      await succeedAt(world, 1);
      await world.roll("over", { one: false });
    },
  },
  {
    name: "job-per-index-replacement",
    async play(world) {
      await make(world, indexed(2, { backoffLimitPerIndex: 1, podReplacementPolicy: "Failed" }));
      await world.roll("made", { one: false });
      for (const pod of world.pods(atIndex(1))) await world.delete("Pod", pod.metadata.name ?? "");
      await world.settle("one ends");
      for (const pod of world.pods(isEnding)) await world.fail(pod);
      await world.until(() => world.pods((pod) => pod.status?.phase === "Pending").length === 1, "its replacement");
      await world.roll("replaced", { one: false });
      await change(world, { suspend: true });
      await world.settle("suspended");
      for (const pod of world.pods(isEnding)) await world.fail(pod, 143);
      await world.roll("stopped", { one: false });
      await change(world, { suspend: false });
      await world.roll("resumed", { one: false });
    },
  },
  {
    name: "job-success-rules",
    async play(world) {
      const rules = [{ succeededIndexes: "3" }, { succeededCount: 2 }];
      await make(world, indexed(4, { successPolicy: { rules }, podReplacementPolicy: "Failed" }));
      await world.roll("made", { one: false });
      await succeedAt(world, 0);
      await world.settle("one");
      await succeedAt(world, 1);
      await world.settle("as many as the second asks for");
      for (const pod of world.pods(isEnding)) await world.succeed(pod);
      await world.roll("over", { one: false });
    },
  },
  {
    name: "job-success-and-failure",
    async play(world) {
      const successPolicy = { rules: [{ succeededIndexes: "0" }] };
      const more = { successPolicy, backoffLimitPerIndex: 0, maxFailedIndexes: 0, parallelism: 1 };
      await make(world, indexed(3, more));
      await world.roll("made", { one: false });
      for (const pod of world.pods(atIndex(0))) await world.fail(pod);
      await world.settle("failed");
      await world.roll("over");
    },
  },
  {
    name: "job-managed-elsewhere",
    async play(world) {
      const managedBy = "example.com/other";
      await make(world, { managedBy, suspend: true, parallelism: 2, ttlSecondsAfterFinished: 2 });
      await change(world, { suspend: false });
      await world.create(
        "Pod",
        "of-other",
        { spec: { containers: [{ name: "main", image: "x" }] } },
        {
          labels: { app: "work" },
          finalizers: ["batch.kubernetes.io/job-tracking"],
          ...ownedBy(
            { ...(world.room.get("Job", "work") as KubeObject), apiVersion: "batch/v1", kind: "Job" },
            {
              controller: true,
            },
          ),
        },
      );
      await world.settle("nothing is done");
      const now = new Date().toISOString().replace(/\.\d+/, "");
      const condition = (type: string): object => ({ type, status: "True", lastTransitionTime: now, reason: "Other" });
      const conditions = [condition("SuccessCriteriaMet"), condition("Complete")];
      const status = { startTime: now, completionTime: now, conditions };
      await world.patch("Job", "work", { status }, "status");
      await world.until(() => world.room.get("Job", "work") === undefined, "its end");
      await world.settle("it is gone by its time to live");
    },
  },
];
