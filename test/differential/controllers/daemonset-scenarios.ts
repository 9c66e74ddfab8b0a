import { nodes } from "#shared/api/resources.ts";
import { selectorOf, template, withImage } from "./manifests.ts";
import { type Fields, isRunning, type Scenario, usesImage, type World } from "./world.ts";

const make = (world: World, more: Fields = {}, podSpec: Fields = {}): Promise<unknown> => {
  const own = template("agent", "example/app:1", { nodeSelector: { scenario: world.namespace }, ...podSpec });
  return world.create("DaemonSet", "agent", { spec: { selector: selectorOf("agent"), template: own, ...more } });
};
/** New pods are younger by a second at least: of two on a node the older one counts. */
async function change(world: World, body: Fields): Promise<void> {
  await world.nextSecond();
  await world.patch("DaemonSet", "agent", body);
}
const rolling = (rollingUpdate: Fields): Fields => ({ updateStrategy: { type: "RollingUpdate", rollingUpdate } });

export const daemonSetScenarios: readonly Scenario[] = [
  {
    name: "daemon-rolling",
    async play(world) {
      for (const name of ["x1", "x2", "x3"]) await world.node(name);
      await make(world);
      await world.roll("first");
      await change(world, withImage("example/app:2"));
      await world.roll("second");
      await change(world, withImage("example/app:1"));
      await world.roll("back");
    },
  },
  {
    name: "daemon-percent",
    async play(world) {
      for (const name of ["x1", "x2", "x3"]) await world.node(name);
      await make(world, rolling({ maxUnavailable: "50%", maxSurge: 0 }));
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("second");
    },
  },
  {
    name: "daemon-surge",
    async play(world) {
      for (const name of ["x1", "x2"]) await world.node(name);
      await make(world, rolling({ maxUnavailable: 0, maxSurge: 1 }));
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("second");
    },
  },
  {
    name: "daemon-on-delete",
    async play(world) {
      for (const name of ["x1", "x2"]) await world.node(name);
      await make(world, { updateStrategy: { type: "OnDelete" }, revisionHistoryLimit: 1 });
      await world.roll("first", { one: false });
      await change(world, withImage("example/app:2"));
      await world.roll("nothing");
      const [pod] = world.pods(isRunning);
      await world.delete("Pod", pod?.metadata.name ?? "");
      await world.roll("one");
      await change(world, withImage("example/app:3"));
      await world.settle("third");
      await change(world, withImage("example/app:4"));
      await world.settle("fourth");
    },
  },
  {
    name: "daemon-taints",
    async play(world) {
      const a = await world.node("x1");
      const b = await world.node("x2", {}, [{ key: "keep", value: "out", effect: "NoSchedule" }]);
      await make(world);
      await world.roll("one tainted");
      await world.patchNode(b, { spec: { taints: null } });
      await world.roll("free");
      await change(world, { spec: { template: { spec: { tolerations: [{ key: "keep", operator: "Exists" }] } } } });
      await world.roll("tolerated");
      await world.patchNode(a, { spec: { unschedulable: true } });
      await world.roll("cordoned");
    },
  },
  {
    name: "daemon-selector",
    async play(world) {
      const a = await world.node("a", { role: "edge" });
      const b = await world.node("b");
      await make(world, {}, { nodeSelector: { scenario: world.namespace, role: "edge" } });
      await world.roll("one");
      await world.patchNode(b, { metadata: { labels: { role: "edge" } } });
      await world.roll("two");
      await world.patchNode(a, { metadata: { labels: { role: "core" } } });
      await world.settle("misscheduled");
      await world.roll("moved");
      await change(world, { spec: { template: { spec: { nodeSelector: { role: "none" } } } } });
      await world.roll("nowhere");
    },
  },
  {
    name: "daemon-failed",
    async play(world) {
      await world.node("a");
      await make(world);
      await world.roll("first");
      const [pod] = world.pods(isRunning);
      if (pod) await world.fail(pod);
      await world.roll("failed");
      const [next] = world.pods(isRunning);
      if (next) await world.succeed(next);
      await world.roll("succeeded");
    },
  },
  {
    name: "daemon-node-gone",
    async play(world) {
      const a = await world.node("a");
      await world.node("b");
      await make(world, { minReadySeconds: 0 });
      await world.roll("first", { one: false });
      await world.client.delete(nodes, { name: a });
      await world.until(() => world.pods().length === 1, "the end of its pod");
      await world.settle("node deleted");
    },
  },
  {
    name: "daemon-stuck",
    async play(world) {
      for (const name of ["x1", "x2", "x3"]) await world.node(name);
      await make(world);
      await world.roll("first", { one: false });
      await change(world, withImage("example/bad:1"));
      await world.roll("bad", { mayRun: usesImage("example/app:1") });
      await change(world, withImage("example/app:2"));
      await world.roll("mended");
    },
  },
  {
    name: "daemon-adoption",
    async play(world) {
      await world.node("a");
      await make(world);
      await world.roll("first");
      await world.delete("DaemonSet", "agent", { propagationPolicy: "Orphan" });
      await world.settle("orphaned");
      await make(world);
      await world.roll("adopted");
      await change(world, {
        metadata: { annotations: { note: "x", "deprecated.daemonset.template.generation": "7" } },
      });
      await world.settle("annotated");
      await world.delete("DaemonSet", "agent");
      await world.roll("gone");
    },
  },
  {
    name: "daemon-everywhere-on-host",
    async play(world) {
      await world.node("a");
      const affinity = {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: "scenario", operator: "In", values: [world.namespace] }] },
              { matchFields: [{ key: "metadata.name", operator: "In", values: ["other"] }] },
            ],
          },
        },
      };
      await make(world, {}, { hostNetwork: true, affinity });
      await world.roll("first");
    },
  },
  {
    name: "daemon-quota",
    async play(world) {
      for (const name of ["x1", "x2"]) await world.node(name);
      await world.create("ResourceQuota", "few", { spec: { hard: { pods: "1" } } });
      await world.settle("quota");
      await make(world);
      await world.roll("refused");
    },
  },
];
