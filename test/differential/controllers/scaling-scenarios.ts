import { pods } from "#shared/api/resources.ts";
import { bareSpec, ownedBy, selectorOf, workload } from "./manifests.ts";
import { type Fields, isEnding, isRunning, type Scenario, type World } from "./world.ts";

/* Autoscalers without metrics, and disruption budgets. */

const scaler = (world: World, name: string, more: Fields = {}): Promise<unknown> => {
  const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
  const metrics = [
    { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } } },
  ];
  return world.create("HorizontalPodAutoscaler", name, {
    spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 5, metrics, ...more },
  });
};
const said = (world: World, name: string): string =>
  JSON.stringify((world.room.get("HorizontalPodAutoscaler", name) as unknown as { status?: unknown })?.status ?? {});
const saying = (world: World, name: string, text: string) => (): boolean => said(world, name).includes(text);
/** It has looked once more after it has scaled. */
const rested = (world: World, replicas: number): Promise<void> => {
  const hasSize = saying(world, "web", `"desiredReplicas":${replicas}`);
  return world.until(() => hasSize() && saying(world, "web", "SucceededGetScale")(), `${replicas} replicas`);
};
const budget = (world: World, name: string, spec: Fields): Promise<unknown> =>
  world.create("PodDisruptionBudget", name, { spec: { selector: selectorOf("web"), ...spec } });

async function evict(world: World, name: string): Promise<string> {
  const key = { namespace: world.namespace, name };
  const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: key };
  return world.client.post(pods, key, "eviction", body).then(
    () => "evicted",
    (error: Error) => error.message,
  );
}

export const scalingScenarios: readonly Scenario[] = [
  {
    name: "scaler-no-target",
    async play(world) {
      await scaler(world, "web");
      await world.until(saying(world, "web", "FailedGetScale"), "its failure");
      await world.settle("no target");
      await scaler(world, "unknown", { scaleTargetRef: { apiVersion: "example.com/v1", kind: "Thing", name: "x" } });
      await world.until(saying(world, "unknown", "FailedGetScale"), "its failure");
      await world.settle("no such kind");
    },
  },
  {
    name: "scaler-no-metrics",
    async play(world) {
      await world.create("Deployment", "web", workload("web", 2));
      await world.roll("made", { one: false });
      await scaler(world, "web");
      await world.until(saying(world, "web", "FailedGetResourceMetric"), "its failure");
      await world.settle("no metrics");
    },
  },
  {
    name: "scaler-other-metrics",
    async play(world) {
      await world.create("Deployment", "web", workload("web", 2));
      await world.roll("made", { one: false });
      const target = { type: "AverageValue", averageValue: "10" };
      const metrics = [
        { type: "Pods", pods: { metric: { name: "hits" }, target } },
        {
          type: "Object",
          object: {
            metric: { name: "hits" },
            describedObject: { kind: "Service", name: "web", apiVersion: "v1" },
            target: { type: "Value", value: "5" },
          },
        },
        { type: "External", external: { metric: { name: "queue" }, target } },
        {
          type: "ContainerResource",
          containerResource: {
            name: "memory",
            container: "main",
            target: { type: "AverageValue", averageValue: "1Gi" },
          },
        },
      ];
      await scaler(world, "web", { metrics });
      await world.until(saying(world, "web", "FailedGet"), "its failure");
      await world.settle("no metrics");
      await world.patch("HorizontalPodAutoscaler", "web", { spec: { metrics: metrics.slice(1, 2) } });
      await world.until(saying(world, "web", "FailedGetObjectMetric"), "the object's failure");
      await world.settle("no object metric");
      await world.patch("HorizontalPodAutoscaler", "web", { spec: { metrics: metrics.slice(2, 3) } });
      await world.until(saying(world, "web", "FailedGetExternalMetric"), "the external failure");
      await world.settle("no external metric");
      await world.patch("HorizontalPodAutoscaler", "web", { spec: { metrics: metrics.slice(3) } });
      await world.until(saying(world, "web", "FailedGetContainerResourceMetric"), "the container's failure");
      await world.settle("no container metric");
    },
  },
  {
    name: "scaler-bounds",
    async play(world) {
      await world.create("Deployment", "web", workload("web", 8));
      await world.roll("made", { one: false });
      await scaler(world, "web");
      await rested(world, 5);
      await world.roll("down", { one: false });
      await world.patch("HorizontalPodAutoscaler", "web", { spec: { minReplicas: 7, maxReplicas: 9 } });
      await rested(world, 7);
      await world.roll("up", { one: false });
      await world.patch("Deployment", "web", { spec: { replicas: 0 } });
      await world.until(saying(world, "web", "ScalingDisabled"), "being disabled");
      await world.roll("none", { one: false });
    },
  },
  {
    name: "scaler-ambiguous",
    async play(world) {
      await world.create("Deployment", "web", workload("web", 1));
      await world.roll("made", { one: false });
      await scaler(world, "first");
      await world.until(saying(world, "first", "FailedGetResourceMetric"), "its failure");
      await scaler(world, "second");
      await world.until(saying(world, "second", "AmbiguousSelector"), "a clash");
      await world.until(saying(world, "first", "AmbiguousSelector"), "a clash of the first");
      await world.settle("two of them");
    },
  },
  {
    name: "budget-percent",
    async play(world) {
      // Each has its ReplicaSet before the next comes: they are numbered as they are made.
      for (const [index, app] of ["web", "api", "all"].entries()) {
        await world.create("Deployment", app, workload(app, 5));
        await world.until(() => world.room.all("ReplicaSet").length > index, `the ReplicaSet of ${app}`);
      }
      await world.roll("made", { one: false });
      await budget(world, "least", { minAvailable: "50%" });
      await budget(world, "most", { maxUnavailable: "30%", selector: selectorOf("api") });
      await budget(world, "none", { maxUnavailable: 0, selector: selectorOf("nobody") });
      await budget(world, "all", { minAvailable: "100%", selector: selectorOf("all") });
      await world.settle("budgets");
      const [pod] = world.pods(isRunning);
      if (pod) await world.unready(pod);
      await world.settle("one not ready");
      await world.patch("Deployment", "web", { spec: { replicas: 2 } });
      await world.roll("fewer", { one: false });
      await world.patch("PodDisruptionBudget", "least", { spec: { minAvailable: 9 } });
      await world.settle("more than there are");
    },
  },
  {
    name: "budget-no-controller",
    async play(world) {
      for (const app of ["number", "percent", "most"]) await world.create("Pod", app, bareSpec(), { labels: { app } });
      await world.runAll();
      await budget(world, "number", { minAvailable: 1, selector: selectorOf("number") });
      await budget(world, "percent", { minAvailable: "50%", selector: selectorOf("percent") });
      await budget(world, "most", { maxUnavailable: 1, selector: selectorOf("most") });
      await world.settle("bare pods");
      const owner = await world.create("ConfigMap", "owner", {});
      const owned = ownedBy({ ...owner, apiVersion: "v1", kind: "ConfigMap" }, { controller: true });
      await world.create("Pod", "owned", bareSpec(), { labels: { app: "percent" }, ...owned });
      await world.settle("an owner without a scale");
    },
  },
  {
    name: "budget-selectors",
    async play(world) {
      await world.create("Pod", "a", bareSpec(), { labels: { app: "web", tier: "x" } });
      await world.runAll();
      const matchExpressions = [{ key: "tier", operator: "In", values: ["x", "y"] }];
      await budget(world, "all", {
        maxUnavailable: "50%",
        selector: { matchExpressions, matchLabels: { app: "web" } },
      });
      await world.settle("expressions");
      await world.delete("PodDisruptionBudget", "all");
      await budget(world, "everything", { minAvailable: 1, selector: {} });
      await world.settle("everything");
    },
  },
  {
    name: "budget-evictions",
    async play(world) {
      await world.create("ReplicaSet", "web", workload("web", 3));
      await world.roll("made", { one: false });
      await budget(world, "web", { minAvailable: 2 });
      await world.settle("budget");
      await world.nextSecond();
      const [first, second] = world.pods(isRunning);
      const answers = [await evict(world, first?.metadata.name ?? ""), await evict(world, second?.metadata.name ?? "")];
      await world.create("ConfigMap", "answers", { data: { answers: answers.join("\n") } });
      await world.settle("one evicted");
      for (const pod of world.pods(isEnding)) await world.finish(pod);
      await world.roll("replaced", { one: false });
      await budget(world, "twin", { minAvailable: 0 });
      await world.until(
        () => JSON.stringify(world.room.get("PodDisruptionBudget", "twin")).includes("currentHealthy"),
        "its status",
      );
      const [third] = world.pods(isRunning);
      await world.create("ConfigMap", "more-answers", {
        data: { answers: await evict(world, third?.metadata.name ?? "") },
      });
      await world.settle("refused");
    },
  },
  {
    name: "budget-unhealthy",
    async play(world) {
      await world.create("ReplicaSet", "web", workload("web", 3));
      await world.roll("made", { one: false });
      for (const pod of world.pods(isRunning).slice(0, 2)) await world.unready(pod);
      await budget(world, "web", { minAvailable: 3, unhealthyPodEvictionPolicy: "IfHealthyBudget" });
      await world.settle("budget");
      const unready = world.pods(
        (pod) => pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "False") === true,
      );
      const answers = [await evict(world, unready[0]?.metadata.name ?? "")];
      await world.patch("PodDisruptionBudget", "web", { spec: { unhealthyPodEvictionPolicy: "AlwaysAllow" } });
      await world.settle("always");
      answers.push(await evict(world, unready[1]?.metadata.name ?? ""));
      await world.create("ConfigMap", "answers", { data: { answers: answers.join("\n") } });
      await world.roll("after", { one: false });
    },
  },
  {
    name: "budget-disrupted",
    async play(world) {
      await world.create("ReplicaSet", "web", workload("web", 2));
      await world.roll("made", { one: false });
      await budget(world, "web", { minAvailable: 1 });
      await world.settle("budget");
      const [pod] = world.pods(isRunning);
      const now = new Date().toISOString().replace(/\.\d+/, "");
      const disruptedPods = { [pod?.metadata.name ?? ""]: now, absent: now };
      await world.patch("PodDisruptionBudget", "web", { status: { disruptedPods } }, "status");
      await world.settle("disrupted");
    },
  },
];
