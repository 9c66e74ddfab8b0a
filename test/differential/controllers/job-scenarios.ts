import { atIndex, change, conditionTypes, disrupted, indexed, indexOf, make, succeedAt } from "./jobs.ts";
import { template } from "./manifests.ts";
import { isEnding, isRunning, type Scenario } from "./world.ts";

export const jobScenarios: readonly Scenario[] = [
  {
    name: "job-simple",
    async play(world) {
      await make(world, { completions: 3, parallelism: 2 }, {}, { labels: { kept: "x" }, annotations: { note: "y" } });
      await world.roll("made", { one: false });
      for (let round = 1; round <= 3; round++) {
        const [pod] = world.pods(isRunning);
        if (pod) await world.succeed(pod);
        await world.roll(`done ${round}`, { one: false });
      }
    },
  },
  {
    name: "job-queue",
    async play(world) {
      await make(world, { parallelism: 3 });
      await world.roll("made", { one: false });
      const [first] = world.pods(isRunning);
      if (first) await world.succeed(first);
      await world.settle("one done");
      for (const pod of world.pods(isRunning)) await world.succeed(pod);
      await world.settle("all done");
    },
  },
  {
    name: "job-backoff-none",
    async play(world) {
      await make(world, { backoffLimit: 0, parallelism: 2, completions: 2 });
      await world.roll("made", { one: false });
      const [pod] = world.pods(isRunning);
      if (pod) await world.fail(pod);
      await world.settle("failed");
      for (const each of world.pods(isEnding)) await world.fail(each);
      await world.roll("over");
    },
  },
  {
    name: "job-backoff-one",
    async play(world) {
      await make(world, { backoffLimit: 1 });
      await world.roll("made", { one: false });
      const [pod] = world.pods(isRunning);
      if (pod) await world.fail(pod, 3);
      await world.until(() => world.pods().length === 2, "the second pod");
      await world.roll("again", { one: false });
      const [next] = world.pods(isRunning);
      if (next) await world.fail(next, 4);
      await world.settle("failed");
    },
  },
  {
    name: "job-restarts",
    async play(world) {
      await make(world, { backoffLimit: 2 }, { restartPolicy: "OnFailure" });
      await world.roll("made", { one: false });
      for (const restartCount of [1, 2, 3]) {
        const [pod] = world.pods(isRunning);
        const containerStatuses = [{ name: "main", image: "example/app:1", imageID: "x", ready: true, restartCount }];
        if (pod) await world.report(pod, { containerStatuses });
        await world.settle(`restarts ${restartCount}`);
      }
      await world.roll("over");
    },
  },
  {
    name: "job-indexed",
    async play(world) {
      await make(world, indexed(4, { parallelism: 3 }));
      await world.roll("made", { one: false });
      await succeedAt(world, 1);
      await world.roll("one", { one: false });
      await succeedAt(world, 3);
      await world.roll("three", { one: false });
      await succeedAt(world, 0, 2);
      await world.roll("all", { one: false });
    },
  },
  {
    name: "job-per-index",
    async play(world) {
      await make(world, indexed(3, { backoffLimitPerIndex: 1, maxFailedIndexes: 1 }));
      await world.roll("made", { one: false });
      for (const pod of world.pods(atIndex(1))) await world.fail(pod);
      const again = (): boolean =>
        world.pods((pod) => indexOf(pod) === "1" && pod.status?.phase === "Pending").length === 1;
      await world.until(again, "the second try");
      await world.roll("again", { one: false });
      for (const pod of world.pods(atIndex(1))) await world.fail(pod);
      await world.roll("one failed", { one: false });
      await succeedAt(world, 0, 2);
      await world.roll("over", { one: false });
    },
  },
  {
    name: "job-failed-indexes",
    async play(world) {
      await make(world, indexed(4, { backoffLimitPerIndex: 0, maxFailedIndexes: 1 }));
      await world.roll("made", { one: false });
      for (const pod of world.pods(atIndex(0))) await world.fail(pod);
      await world.settle("one");
      for (const pod of world.pods(atIndex(2))) await world.fail(pod);
      await world.settle("two");
      await world.roll("over");
    },
  },
  {
    name: "job-policy-fail-job",
    async play(world) {
      const rules = [
        { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        { action: "FailJob", onExitCodes: { containerName: "main", operator: "In", values: [42, 43] } },
        { action: "Count", onExitCodes: { operator: "NotIn", values: [1] } },
      ];
      await make(world, { backoffLimit: 3, parallelism: 2, completions: 4, podFailurePolicy: { rules } });
      await world.roll("made", { one: false });
      const [first] = world.pods(isRunning);
      if (first) await world.fail(first, 1, { ...disrupted, containerStatuses: [] });
      await world.until(() => world.pods().length === 3, "another pod");
      await world.roll("ignored", { one: false });
      const [second] = world.pods(isRunning);
      if (second) await world.fail(second, 42);
      await world.settle("failed");
      await world.roll("over");
    },
  },
  {
    name: "job-policy-fail-index",
    async play(world) {
      const rules = [{ action: "FailIndex", onExitCodes: { operator: "In", values: [7] } }];
      await make(world, indexed(3, { backoffLimitPerIndex: 2, podFailurePolicy: { rules } }));
      await world.roll("made", { one: false });
      for (const pod of world.pods(atIndex(2))) await world.fail(pod, 7);
      await world.settle("one failed");
      await succeedAt(world, 0, 1);
      await world.roll("over", { one: false });
    },
  },
  {
    name: "job-policy-conditions",
    async play(world) {
      const rules = [{ action: "FailJob", onPodConditions: [{ type: "ConfigIssue", status: "True" }] }];
      await make(world, { backoffLimit: 3, podFailurePolicy: { rules } });
      await world.roll("made", { one: false });
      const conditions = [{ type: "ConfigIssue", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }];
      const [pod] = world.pods(isRunning);
      if (pod) await world.fail(pod, 1, { conditions });
      await world.settle("failed");
    },
  },
  {
    name: "job-success-policy",
    async play(world) {
      const rules = [{ succeededIndexes: "0,2-3", succeededCount: 2 }];
      await make(world, indexed(5, { successPolicy: { rules } }));
      await world.roll("made", { one: false });
      await succeedAt(world, 1);
      await world.settle("other");
      await succeedAt(world, 0);
      await world.settle("one");
      await succeedAt(world, 3);
      await world.settle("enough");
      await world.roll("over");
    },
  },
  {
    name: "job-success-indexes",
    async play(world) {
      await make(world, indexed(3, { successPolicy: { rules: [{ succeededIndexes: "1" }] }, backoffLimitPerIndex: 0 }));
      await world.roll("made", { one: false });
      for (const pod of world.pods(atIndex(0))) await world.fail(pod);
      await world.settle("one failed");
      await succeedAt(world, 1);
      await world.settle("enough");
      await world.roll("over");
    },
  },
  {
    name: "job-suspend",
    async play(world) {
      await make(world, { suspend: true, parallelism: 2, completions: 4 });
      await world.settle("made");
      await change(world, {
        suspend: false,
        template: { spec: { nodeSelector: { a: "b" } }, metadata: { labels: { more: "x" } } },
      });
      await world.roll("resumed", { one: false });
      const [pod] = world.pods(isRunning);
      if (pod) await world.succeed(pod);
      await world.roll("one done", { one: false });
      await change(world, { suspend: true });
      await world.settle("suspended");
      await world.roll("stopped");
      await change(world, { suspend: false });
      await world.roll("resumed again", { one: false });
    },
  },
  {
    name: "job-replacement",
    async play(world) {
      await make(world, { podReplacementPolicy: "Failed", parallelism: 2, completions: 2 });
      await world.roll("made", { one: false });
      const [pod] = world.pods(isRunning);
      await world.delete("Pod", pod?.metadata.name ?? "");
      await world.settle("ending");
      for (const each of world.pods(isEnding)) await world.fail(each);
      await world.until(() => world.pods((each) => each.status?.phase === "Pending").length === 1, "another");
      await world.roll("replaced", { one: false });
    },
  },
  {
    name: "job-replacement-at-once",
    async play(world) {
      await make(world, { parallelism: 2, completions: 2 });
      await world.roll("made", { one: false });
      const [pod] = world.pods(isRunning);
      await world.delete("Pod", pod?.metadata.name ?? "");
      await world.until(() => world.pods().length === 3, "another pod");
      await world.settle("replaced");
      for (const each of world.pods(isEnding)) await world.succeed(each);
      await world.settle("ended well");
      await world.roll("finished", { one: false });
    },
  },
  {
    name: "job-managed",
    async play(world) {
      await make(world, { managedBy: "example.com/other" });
      await world.settle("not ours");
      await world.create("Job", "own", {
        spec: { managedBy: "kubernetes.io/job-controller", template: template("own", "x", { restartPolicy: "Never" }) },
      });
      await world.settle("ours");
    },
  },
  {
    name: "job-deadline",
    async play(world) {
      await make(world, { activeDeadlineSeconds: 3, parallelism: 2, completions: 3 });
      await world.runAll();
      await world.until(() => conditionTypes(world).length > 0, "the deadline");
      await world.settle("exceeded");
      await world.roll("over");
    },
  },
  {
    name: "job-ttl",
    async play(world) {
      await make(world, { ttlSecondsAfterFinished: 2 });
      await world.roll("made", { one: false });
      for (const pod of world.pods(isRunning)) await world.succeed(pod);
      await world.until(() => world.room.get("Job", "work") === undefined, "its end");
      await world.settle("gone");
      await make(world, { ttlSecondsAfterFinished: 0, completions: 0 });
      await world.until(() => world.room.get("Job", "work") === undefined, "its end again");
      await world.settle("gone again");
    },
  },
  {
    name: "job-manual-selector",
    async play(world) {
      await make(world, { manualSelector: true, selector: { matchLabels: { app: "work" } }, parallelism: 2 });
      await world.roll("made", { one: false });
      const [pod] = world.pods(isRunning);
      await world.patch("Pod", pod?.metadata.name ?? "", { metadata: { labels: { app: "out" } } });
      await world.roll("released", { one: false });
    },
  },
  {
    name: "job-elastic",
    async play(world) {
      await make(world, indexed(3));
      await world.roll("made", { one: false });
      await succeedAt(world, 2);
      await world.settle("last done");
      await change(world, { completions: 2, parallelism: 2 });
      await world.roll("fewer", { one: false });
      await change(world, { completions: 4, parallelism: 4 });
      await world.roll("more", { one: false });
      await succeedAt(world, 0, 1, 2, 3);
      await world.roll("all", { one: false });
    },
  },
  {
    name: "job-parallelism",
    async play(world) {
      await make(world, { parallelism: 0, completions: 5 });
      await world.settle("none");
      await change(world, { parallelism: 4 });
      await world.roll("four", { one: false });
      await change(world, { parallelism: 1 });
      await world.roll("one", { one: false });
      await change(world, { parallelism: 0 });
      await world.roll("none again", { one: false });
    },
  },
  {
    name: "job-nothing",
    async play(world) {
      await make(world, { completions: 0 });
      await world.settle("done");
    },
  },
  {
    name: "job-quota",
    async play(world) {
      await world.create("ResourceQuota", "few", { spec: { hard: { pods: "1" } } });
      await world.settle("quota");
      await make(world, { parallelism: 3, completions: 3 });
      await world.roll("refused", { one: false });
    },
  },
  {
    name: "job-orphaned",
    async play(world) {
      await make(world, { parallelism: 2, completions: 2 });
      await world.roll("made", { one: false });
      await world.delete("Job", "work", { propagationPolicy: "Orphan" });
      await world.settle("orphaned");
    },
  },
  {
    name: "job-deleted",
    async play(world) {
      const hold = "example.com/hold";
      await make(world, { parallelism: 2, completions: 2 }, {}, { finalizers: [hold] });
      await world.roll("made", { one: false });
      const [pod] = world.pods(isRunning);
      if (pod) await world.succeed(pod);
      await world.settle("one done");
      // Its pods are let go before the garbage collector deletes them: the other way round one would count as failed.
      await world.delete("Job", "work", { propagationPolicy: "Background" });
      await world.settle("held");
      await world.delete("Job", "work", { propagationPolicy: "Foreground" });
      await world.patch("Job", "work", { metadata: { finalizers: ["foregroundDeletion"] } });
      await world.settle("in the foreground");
      await world.roll("over");
    },
  },
  {
    name: "job-long-names",
    async play(world) {
      const name = `long-${"x".repeat(50)}`;
      await world.create("Job", name, {
        spec: { ...indexed(2), template: template("work", "x", { restartPolicy: "Never", subdomain: "sub" }) },
      });
      await world.settle("made");
    },
  },
  {
    name: "job-unschedulable-then-deleted",
    async play(world) {
      await make(world, { parallelism: 2, completions: 2, backoffLimit: 0 });
      await world.settle("made");
      const [pod] = world.pods();
      await world.delete("Pod", pod?.metadata.name ?? "");
      await world.settle("a waiting pod deleted");
    },
  },
];
