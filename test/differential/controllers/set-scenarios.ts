import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { bareSpec, ownedBy, selectorOf, template, workload } from "./manifests.ts";
import { isEnding, isPending, isRunning, type Scenario } from "./world.ts";

/* ReplicaSets and ReplicationControllers by themselves. */

const app = { labels: { app: "web" } };

export const setScenarios: readonly Scenario[] = [
  {
    name: "set-victims",
    async play(world) {
      await world.create("ReplicaSet", "web", workload("web", 8));
      await world.settle("made");
      const [unbound, pending, unready, costly, cheap] = world.pods();
      for (const pod of world.pods()) if (pod !== unbound) await world.bind(pod);
      for (const pod of world.pods())
        if (pod.metadata.name !== unbound?.metadata.name && pod.metadata.name !== pending?.metadata.name)
          await world.run(pod);
      const name = (pod: Pod | undefined): string => pod?.metadata.name ?? "";
      if (unready) await world.unready(unready);
      await world.patch("Pod", name(costly), {
        metadata: { annotations: { "controller.kubernetes.io/pod-deletion-cost": "100" } },
      });
      await world.patch("Pod", name(cheap), {
        metadata: { annotations: { "controller.kubernetes.io/pod-deletion-cost": "-5" } },
      });
      await world.patch("Pod", name(unbound), { metadata: { labels: { is: "unbound" } } });
      await world.patch("Pod", name(pending), { metadata: { labels: { is: "pending" } } });
      await world.patch("Pod", name(unready), { metadata: { labels: { is: "unready" } } });
      await world.settle("mixed");
      for (const replicas of [7, 6, 5, 4]) {
        await world.patch("ReplicaSet", "web", { spec: { replicas } });
        await world.settle(`to ${replicas}`);
      }
      for (const pod of world.pods(isEnding)) await world.finish(pod);
      await world.settle("gone");
    },
  },
  {
    name: "set-adoption",
    async play(world) {
      await world.create("Pod", "before", bareSpec(), app);
      await world.create("Pod", "done", bareSpec(), app);
      for (const pod of world.pods(({ metadata }) => metadata.name === "done"))
        await world.bind(pod).then(() => world.succeed(pod));
      await world.create("ReplicaSet", "web", workload("web", 3));
      await world.roll("adopted", { one: false });
      await world.create("Pod", "extra", bareSpec(), app);
      await world.roll("one too many", { one: false });
      const [pod] = world.pods(isRunning);
      await world.patch("Pod", pod?.metadata.name ?? "", { metadata: { labels: { app: "free" } } });
      await world.roll("released", { one: false });
      await world.delete("ReplicaSet", "web", { propagationPolicy: "Orphan" });
      await world.settle("orphaned");
    },
  },
  {
    name: "set-failed-pods",
    async play(world) {
      await world.create("ReplicaSet", "web", workload("web", 2));
      await world.roll("made", { one: false });
      const [first, second] = world.pods(isRunning);
      if (first) await world.fail(first);
      await world.settle("one failed");
      if (second) await world.succeed(second);
      await world.roll("one succeeded", { one: false });
      const [third] = world.pods(isRunning);
      await world.delete("Pod", third?.metadata.name ?? "");
      await world.settle("one ends");
      await world.roll("one gone", { one: false });
    },
  },
  {
    name: "set-controller",
    async play(world) {
      const spec = { replicas: 2, selector: { app: "web" }, template: template("web") };
      await world.create("ReplicationController", "web", { spec });
      await world.roll("made", { one: false });
      await world.patch("ReplicationController", "web", {
        spec: { replicas: 3, template: { metadata: { annotations: { a: "b" } } } },
      });
      await world.settle("more");
      await world.patch("ReplicationController", "web", { spec: { replicas: 1 } });
      await world.roll("fewer", { one: false });
      await world.create("ResourceQuota", "none", { spec: { hard: { pods: "1" } } });
      await world.settle("quota");
      await world.patch("ReplicationController", "web", { spec: { replicas: 2 } });
      await world.settle("refused");
      await world.patch("ReplicationController", "web", { spec: { replicas: 1 } });
      await world.settle("content");
      await world.delete("ReplicationController", "web", { propagationPolicy: "Background" });
      await world.roll("deleted", { one: false });
    },
  },
  {
    name: "set-foreign-owner",
    async play(world) {
      const spec = { replicas: 1, selector: { app: "web" }, template: template("web") };
      const other = await world.create("ReplicationController", "other", { spec: { ...spec, replicas: 0 } });
      await world.create("Pod", "owned", bareSpec(), { ...app, ...ownedBy(other) });
      await world.create("Pod", "controlled", bareSpec(), { ...app, ...ownedBy(other, { controller: true }) });
      // Else the ReplicaSet might be the first to adopt the one that nobody controls.
      await world.until(() => world.pods().length === 0, "the end of both");
      await world.create("ReplicaSet", "web", workload("web", 2));
      await world.roll("made", { one: false });
    },
  },
  {
    name: "set-selectors",
    async play(world) {
      const selector = {
        matchLabels: { app: "web" },
        matchExpressions: [{ key: "tier", operator: "In", values: ["a", "b"] }],
      };
      const labelled = template(
        "web",
        "example/app:1",
        {},
        { labels: { app: "web", tier: "a" }, annotations: { x: "y" }, finalizers: ["example.com/hold"] },
      );
      await world.create("ReplicaSet", "web", { spec: { replicas: 2, selector, template: labelled } });
      await world.settle("made");
      const [pod] = world.pods(isPending);
      await world.patch("Pod", pod?.metadata.name ?? "", { metadata: { labels: { tier: "c" } } });
      await world.settle("out of it");
      await world.patch("ReplicaSet", "web", { spec: { replicas: 0 } });
      await world.until(() => world.pods(({ status }) => status?.phase === "Failed").length === 2, "the end of both");
      await world.settle("none");
      for (const each of world.pods())
        await world.patch("Pod", each.metadata.name ?? "", { metadata: { finalizers: null } });
      await world.settle("let go");
      await world.create("ReplicaSet", "invalid", {
        spec: {
          replicas: 1,
          selector: selectorOf("bad"),
          template: template("bad", "example/app:1", { priorityClassName: "absent" }),
        },
      });
      await world.settle("no such class");
    },
  },
];
