import type { KubeObject } from "#shared/api/object.ts";
import type { Deployment, ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";
import { rolling, selectorOf, template, withImage, workload } from "./manifests.ts";
import { isRunning, type Scenario, usesImage, type World } from "./world.ts";

const make = (world: World, replicas: number, more = {}, metadata = {}): Promise<KubeObject> =>
  world.create("Deployment", "web", workload("web", replicas, more), metadata);
/** A new ReplicaSet is younger by a second at least: of those of one age, the name decides which comes first. */
async function change(world: World, body: { readonly spec?: object; readonly metadata?: object }): Promise<void> {
  if (body.spec && "template" in body.spec) await world.nextSecond();
  await world.patch("Deployment", "web", body);
}
const progressOf = (world: World): string | undefined =>
  world.room.get<Deployment>("Deployment", "web")?.status?.conditions?.find(({ type }) => type === "Progressing")
    ?.reason;

export const deploymentScenarios: readonly Scenario[] = [
  {
    name: "deployment-rolling",
    async play(world) {
      await make(world, 4, rolling("25%", "25%"), {
        annotations: { note: "kept", "kubernetes.io/change-cause": "first" },
      });
      await world.roll("first");
      await change(world, {
        metadata: { annotations: { "kubernetes.io/change-cause": "second" } },
        ...withImage("example/app:2"),
      });
      await world.roll("second");
      await change(world, withImage("example/app:1"));
      await world.roll("back");
      await change(world, withImage("example/app:2"));
      await world.roll("again");
      await change(world, { metadata: { annotations: { note: null, other: "new" }, labels: { tier: "front" } } });
      await world.settle("annotations");
      await change(world, { spec: { template: { metadata: { annotations: { restarted: "now" } } } } });
      await world.settle("restarted");
    },
  },
  {
    name: "deployment-surge-only",
    async play(world) {
      await make(world, 3, rolling("50%", 0));
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("second");
    },
  },
  {
    name: "deployment-unavailable-only",
    async play(world) {
      await make(world, 3, rolling(0, "100%"));
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("second");
    },
  },
  {
    name: "deployment-paused",
    async play(world) {
      await make(world, 2, { paused: true });
      await world.settle("made paused");
      await change(world, { spec: { paused: false } });
      await world.roll("resumed");
      await change(world, { spec: { paused: true } });
      await world.settle("paused");
      await change(world, withImage("example/app:2"));
      await world.settle("changed while paused");
      await change(world, { spec: { replicas: 4 } });
      await world.roll("scaled while paused");
      await change(world, { spec: { paused: false } });
      await world.roll("resumed again");
    },
  },
  {
    name: "deployment-paused-midway",
    async play(world) {
      await make(world, 4, rolling(1, 1));
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.settle("begun");
      await change(world, { spec: { paused: true } });
      await world.settle("paused");
      await world.runAll();
      await world.settle("ran while paused");
      await change(world, { spec: { replicas: 8 } });
      await world.roll("scaled while paused", { one: false });
      await change(world, { spec: { paused: false } });
      await world.roll("resumed");
    },
  },
  {
    name: "deployment-recreate",
    async play(world) {
      await make(world, 3, { strategy: { type: "Recreate" } });
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("second");
      await change(world, { spec: { replicas: 0 } });
      await world.roll("none");
    },
  },
  {
    name: "deployment-deadline",
    async play(world) {
      await make(world, 2, { progressDeadlineSeconds: 4 });
      await world.until(() => progressOf(world) === "ProgressDeadlineExceeded", "the deadline");
      await world.settle("exceeded");
      await world.roll("late");
      await change(world, withImage("example/app:2"));
      await world.until(() => progressOf(world) === "ProgressDeadlineExceeded", "the second deadline");
      await world.settle("exceeded again");
      await change(world, { spec: { paused: true } });
      await world.settle("paused after");
      await change(world, { spec: { paused: false } });
      await world.until(() => progressOf(world) === "ProgressDeadlineExceeded", "the third deadline");
      await world.settle("resumed after");
      await change(world, withImage("example/app:1"));
      await world.roll("back");
    },
  },
  {
    name: "deployment-no-deadline",
    async play(world) {
      await make(world, 1, { progressDeadlineSeconds: 2147483647, revisionHistoryLimit: 2147483647 });
      await world.roll("first");
      await change(world, { spec: { progressDeadlineSeconds: 600 } });
      await world.settle("with a deadline");
      await change(world, withImage("example/app:2"));
      await world.settle("second");
    },
  },
  {
    name: "deployment-min-ready",
    async play(world) {
      await make(world, 2, { minReadySeconds: 6 });
      await world.settle("made");
      await world.runAll();
      const isDone = (): boolean => progressOf(world) === "NewReplicaSetAvailable";
      await world.until(isDone, "the end");
      await world.settle("available");
      const [pod] = world.pods(isRunning);
      if (pod) await world.unready(pod);
      await world.settle("one not ready");
    },
  },
  {
    name: "deployment-history",
    async play(world) {
      await make(world, 1, { revisionHistoryLimit: 1 });
      await world.roll("1", { one: false });
      for (const image of ["2", "3", "4"]) {
        await change(world, withImage(`example/app:${image}`));
        await world.roll(image, { one: false });
      }
      await change(world, { spec: { revisionHistoryLimit: 0 } });
      await world.settle("none kept");
    },
  },
  {
    name: "deployment-adoption",
    async play(world) {
      await make(world, 2);
      await world.roll("first", { one: false });
      await world.delete("Deployment", "web", { propagationPolicy: "Orphan" });
      await world.settle("orphaned");
      await make(world, 2);
      await world.settle("adopted");
      const [set] = world.room.all<ReplicaSet>("ReplicaSet");
      await world.patch("ReplicaSet", set?.metadata.name ?? "", { metadata: { labels: { app: "other" } } });
      await world.settle("released");
    },
  },
  {
    name: "deployment-overlap",
    async play(world) {
      await make(world, 1);
      await world.roll("first", { one: false });
      await world.create("Deployment", "twin", workload("web", 1));
      await world.roll("twin", { one: false });
      await world.create("ReplicaSet", "loner", {
        spec: { replicas: 1, selector: selectorOf("web"), template: template("web", "example/loner:1") },
      });
      await world.roll("loner", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("second", { one: false });
    },
  },
  {
    name: "deployment-proportional",
    async play(world) {
      await make(world, 10, rolling(3, 2));
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.settle("stuck");
      for (const replicas of [15, 33, 7, 3, 12]) {
        await change(world, { spec: { replicas } });
        await world.roll(`to ${replicas}`, { one: false, mayRun: usesImage("example/app:1") });
      }
      await change(world, withImage("example/app:3"));
      await world.roll("third", { one: false, mayRun: usesImage("example/app:1") });
      await change(world, { spec: { replicas: 20 } });
      await world.roll("to 20", { one: false, mayRun: usesImage("example/app:1") });
      await change(world, { spec: { replicas: 0 } });
      await world.roll("to 0", { one: false });
    },
  },
  {
    name: "deployment-collision",
    async play(world) {
      await make(world, 1);
      await world.roll("first", { one: false });
      const [set] = world.room.all<ReplicaSet>("ReplicaSet");
      const name = set?.metadata.name ?? "";
      await world.delete("Deployment", "web", { propagationPolicy: "Orphan" });
      await world.settle("orphaned");
      await world.patch("ReplicaSet", name, { metadata: { labels: { app: "foreign" } } });
      await world.settle("relabelled");
      await make(world, 1);
      await world.settle("collided");
    },
  },
  {
    name: "deployment-quota",
    async play(world) {
      await world.create("ResourceQuota", "few", { spec: { hard: { pods: "2", "count/replicasets.apps": "2" } } });
      await world.until(
        () =>
          world.room
            .all("ResourceQuota")
            .some((quota) => "status" in quota && JSON.stringify(quota.status).includes("used")),
        "the usage",
      );
      await world.settle("quota");
      await make(world, 4);
      await world.settle("refused");
      await world.runAll();
      await world.settle("two run");
      await world.patch("ResourceQuota", "few", { spec: { hard: { pods: "5" } } });
      const hard = (): string => JSON.stringify(world.room.get("ResourceQuota", "few"));
      await world.until(
        () => hard().includes('"status":{"hard":{"count/replicasets.apps":"2","pods":"5"}'),
        "the quota",
      );
      // Upstream's next try by itself may be minutes away.
      const [set] = world.room.all<ReplicaSet>("ReplicaSet");
      await world.patch("ReplicaSet", set?.metadata.name ?? "", { metadata: { labels: { look: "again" } } });
      await world.until(() => world.pods().length === 4, "four pods");
      await world.roll("room", { one: false });
      await world.patch("ResourceQuota", "few", { spec: { hard: { "count/replicasets.apps": "1" } } });
      await world.settle("one set");
      await change(world, withImage("example/app:2"));
      await world.settle("no second set");
    },
  },
  {
    name: "deployment-no-account",
    async play(world) {
      await make(world, 1, { template: template("web", "example/app:1", { serviceAccountName: "absent" }) });
      await world.settle("refused");
      await world.create("ServiceAccount", "absent", {});
      await world.until(() => world.pods().length === 1, "a pod");
      await world.roll("allowed", { one: false });
    },
  },
  {
    name: "deployment-rollback",
    async play(world) {
      await make(world, 1);
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("second", { one: false });
      for (const to of ["0", "7", "2", "1"]) {
        await change(world, { metadata: { annotations: { "deprecated.deployment.rollback.to": to } } });
        await world.roll(`to ${to}`, { one: false });
      }
    },
  },
];
