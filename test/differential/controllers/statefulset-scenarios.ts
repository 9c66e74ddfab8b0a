import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { ownedBy, template, withImage, workload } from "./manifests.ts";
import { type Fields, isPending, isRunning, type Scenario, usesImage, type World } from "./world.ts";

const make = (world: World, replicas: number, more: Fields = {}): Promise<unknown> =>
  world.create("StatefulSet", "db", workload("db", replicas, { serviceName: "db", ...more }));
const change = (world: World, body: Fields): Promise<void> => world.patch("StatefulSet", "db", body);
const partition = (count: number, more: Fields = {}): Fields => ({
  updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: count, ...more } },
});
const named =
  (name: string) =>
  ({ metadata }: Pod): boolean =>
    metadata.name === name;
const claims = (...names: string[]): Fields => ({
  volumeClaimTemplates: names.map((name) => ({
    metadata: { name, labels: { made: "so" } },
    spec: { accessModes: ["ReadWriteOnce"], storageClassName: "none", resources: { requests: { storage: "1Gi" } } },
  })),
});

export const statefulSetScenarios: readonly Scenario[] = [
  {
    name: "stateful-ordered",
    async play(world) {
      await make(world, 3);
      await world.roll("first");
      await change(world, withImage("example/app:2"));
      await world.roll("second");
      await change(world, withImage("example/app:1"));
      await world.roll("back");
      const [pod] = world.pods(named("db-1"));
      if (pod) await world.unready(pod);
      await change(world, { spec: { replicas: 1 } });
      await world.roll("down");
      await change(world, { spec: { replicas: 4 } });
      await world.roll("up");
    },
  },
  {
    name: "stateful-parallel",
    async play(world) {
      await make(world, 3, { podManagementPolicy: "Parallel", minReadySeconds: 0 });
      await world.roll("first");
      await change(world, withImage("example/app:2"));
      await world.roll("second");
      await change(world, { spec: { replicas: 0 } });
      await world.roll("none");
    },
  },
  {
    name: "stateful-partition",
    async play(world) {
      await make(world, 4, partition(2));
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("two new");
      await world.delete("Pod", "db-0");
      await world.roll("an old one again");
      await change(world, { spec: { replicas: 5 } });
      await world.roll("one more");
      await change(world, { spec: partition(0) });
      await world.roll("all new");
      await change(world, { spec: partition(9) });
      await change(world, withImage("example/app:3"));
      await world.roll("beyond");
    },
  },
  {
    name: "stateful-max-unavailable",
    async play(world) {
      await make(world, 5, { podManagementPolicy: "Parallel", ...partition(0, { maxUnavailable: 2 }) });
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("second");
    },
  },
  {
    name: "stateful-max-unavailable-ordered",
    async play(world) {
      await make(world, 4, partition(1, { maxUnavailable: "50%" }));
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("second");
    },
  },
  {
    name: "stateful-on-delete",
    async play(world) {
      await make(world, 2, { updateStrategy: { type: "OnDelete" } });
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("nothing");
      await world.delete("Pod", "db-0");
      await world.roll("one");
      await world.delete("Pod", "db-1");
      await world.roll("both");
    },
  },
  {
    name: "stateful-claims",
    async play(world) {
      const policy = { whenScaled: "Delete", whenDeleted: "Delete" };
      await make(world, 3, { ...claims("data", "log"), persistentVolumeClaimRetentionPolicy: policy });
      await world.roll("first", { one: false });
      await change(world, { spec: { replicas: 1 } });
      await world.roll("down");
      await change(world, {
        spec: { persistentVolumeClaimRetentionPolicy: { whenScaled: "Retain", whenDeleted: "Retain" } },
      });
      await world.settle("retained");
      await change(world, {
        spec: { persistentVolumeClaimRetentionPolicy: { whenScaled: "Delete", whenDeleted: "Retain" } },
      });
      await world.settle("deleted when scaled");
      await change(world, {
        spec: { persistentVolumeClaimRetentionPolicy: { whenScaled: "Retain", whenDeleted: "Delete" } },
      });
      await world.settle("deleted with it");
      await world.delete("StatefulSet", "db");
      await world.roll("gone");
    },
  },
  {
    name: "stateful-foreign-claim",
    async play(world) {
      const other = await world.create("ConfigMap", "other", { data: {} });
      const spec = {
        accessModes: ["ReadWriteOnce"],
        storageClassName: "none",
        resources: { requests: { storage: "1Gi" } },
      };
      await world.create(
        "PersistentVolumeClaim",
        "data-db-0",
        { spec },
        ownedBy({ ...other, apiVersion: "v1", kind: "ConfigMap" }, { controller: true }),
      );
      await world.create("PersistentVolumeClaim", "data-db-1", { spec }, { labels: { mine: "x" } });
      const policy = { whenScaled: "Delete", whenDeleted: "Delete" };
      await make(world, 2, { ...claims("data"), persistentVolumeClaimRetentionPolicy: policy });
      await world.roll("first");
      await change(world, { spec: { replicas: 0 } });
      await world.roll("none");
    },
  },
  {
    name: "stateful-claim-quota",
    async play(world) {
      await world.create("ResourceQuota", "few", { spec: { hard: { persistentvolumeclaims: "0" } } });
      await world.settle("quota");
      await make(world, 2, claims("data"));
      await world.roll("refused");
    },
  },
  {
    name: "stateful-ordinals",
    async play(world) {
      await make(world, 2, { ordinals: { start: 5 } });
      await world.roll("first");
      await change(world, { spec: { ordinals: { start: 4 } } });
      await world.roll("moved");
      await change(world, { spec: { ordinals: { start: 10 } } });
      await world.roll("moved far");
    },
  },
  {
    name: "stateful-stuck",
    async play(world) {
      await make(world, 2);
      await world.roll("first", { one: false });
      await change(world, withImage("example/bad:1"));
      await world.roll("bad", { mayRun: usesImage("example/app:1") });
      await change(world, withImage("example/app:2"));
      await world.roll("still", { mayRun: usesImage("example/app:2") });
      const [pod] = world.pods(isPending);
      await world.delete("Pod", pod?.metadata.name ?? "");
      await world.roll("mended");
    },
  },
  {
    name: "stateful-failed",
    async play(world) {
      await make(world, 2);
      await world.roll("first", { one: false });
      const [one, two] = world.pods(isRunning);
      if (one) await world.fail(one);
      await world.roll("failed");
      if (two) await world.succeed(two);
      await world.roll("succeeded");
    },
  },
  {
    name: "stateful-adoption",
    async play(world) {
      await make(world, 2);
      await world.roll("first", { one: false });
      await world.delete("StatefulSet", "db", { propagationPolicy: "Orphan" });
      await world.settle("orphaned");
      await make(world, 2, { template: template("db", "example/app:2") });
      await world.roll("adopted");
      await world.patch("Pod", "db-1", { metadata: { labels: { app: "x" } } });
      await world.settle("released");
    },
  },
  {
    name: "stateful-min-ready",
    async play(world) {
      await make(world, 2, { minReadySeconds: 6 });
      await world.settle("made");
      await world.runAll();
      await world.until(() => world.pods().length === 2, "the second");
      await world.settle("second");
      await world.runAll();
      const isDone = (): boolean =>
        JSON.stringify(world.room.get("StatefulSet", "db")).includes('"availableReplicas":2');
      await world.until(isDone, "both");
      await world.settle("both");
    },
  },
  {
    name: "stateful-quota",
    async play(world) {
      await world.create("ResourceQuota", "few", { spec: { hard: { pods: "1" } } });
      await world.settle("quota");
      await make(world, 2, { podManagementPolicy: "Parallel" });
      await world.roll("refused");
    },
  },
  {
    name: "stateful-history",
    async play(world) {
      await make(world, 1, { revisionHistoryLimit: 1 });
      await world.roll("1", { one: false });
      for (const image of ["2", "3", "4"]) {
        await change(world, withImage(`example/app:${image}`));
        await world.roll(image, { one: false });
      }
      await change(world, { spec: { template: { metadata: { labels: { more: "x" } } } } });
      await world.roll("labels", { one: false });
    },
  },
  {
    name: "stateful-foreign-pod",
    async play(world) {
      await world.create(
        "Pod",
        "db-0",
        { spec: { containers: [{ name: "main", image: "example/app:1" }] } },
        { labels: { app: "foreign" } },
      );
      await make(world, 1);
      await world.settle("in the way");
    },
  },
];
