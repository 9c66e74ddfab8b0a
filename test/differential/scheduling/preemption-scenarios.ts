import { bound, decided, node, pod, priority, running, type Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

const began = (day: number): string => `2026-01-0${day}T00:00:00Z`;

async function priorities(world: World): Promise<void> {
  await priority(world, "low", 10);
  await priority(world, "middle", 100);
  await priority(world, "high", 1000);
  await priority(world, "polite", 1000, { preemptionPolicy: "Never" });
}

const of = (priorityClassName: string, cpu: string, more: object = {}) => ({
  requests: { cpu },
  spec: { priorityClassName, ...more },
});

/** Waits until room is made for the pod on a node. */
const nominated = (world: World, name: string): Promise<void> =>
  world.until("v1", "Pod", name, ({ status }) => status.nominatedNodeName, "nominated");

const deleting = (world: World, name: string): Promise<void> =>
  world.until("v1", "Pod", name, ({ metadata }) => metadata.deletionTimestamp, "being deleted");

const budget = (name: string, app: string, minAvailable: number): Parameters<World["create"]>[0] => ({
  apiVersion: "policy/v1",
  kind: "PodDisruptionBudget",
  metadata: { name },
  spec: { minAvailable, selector: { matchLabels: { app } } },
});

export const preemptionScenarios: readonly Scenario[] = [
  {
    name: "preemption",
    async play(world) {
      await priorities(world);
      await node(world, "pre-a");
      await running(world, "low-1", "pre-a", began(1), of("low", "2"));
      await running(world, "middle-1", "pre-a", began(1), of("middle", "1"));
      await running(world, "low-2", "pre-a", began(2), of("low", "1"));
      await pod(world, "polite-1", of("polite", "1"));
      await decided(world, "polite-1");
      await pod(world, "equal", of("low", "1"));
      await decided(world, "equal");
      await pod(world, "too-big", of("high", "5"));
      await decided(world, "too-big");
      await world.see("nobody goes");
      await pod(world, "high-1", of("high", "1"));
      await nominated(world, "high-1");
      await deleting(world, "low-2");
      await world.see("one goes");
      await pod(world, "middle-2", of("middle", "1"));
      await nominated(world, "middle-2");
      await deleting(world, "low-1");
      await world.see("another goes");
      await world.delete("v1", "Pod", "low-2", 0);
      await bound(world, "high-1");
      await world.delete("v1", "Pod", "low-1", 0);
      await bound(world, "middle-2");
      await world.see("they have their places");
    },
  },
  {
    name: "preemption-of-several",
    async play(world) {
      await priorities(world);
      await node(world, "several-a");
      await node(world, "several-b", { taints: [{ key: "k", effect: "NoSchedule" }] });
      for (const [index, name] of ["s-1", "s-2", "s-3", "s-4"].entries())
        await running(world, name, "several-a", began(index + 1), of("low", "1"));
      await pod(world, "high-1", of("high", "3"));
      await nominated(world, "high-1");
      for (const name of ["s-2", "s-3", "s-4"]) await deleting(world, name);
      await world.see("three go");
      await pod(world, "high-2", of("high", "1"));
      await nominated(world, "high-2");
      await world.see("another comes meanwhile");
    },
  },
  {
    name: "preemption-of-nominated",
    async play(world) {
      await priorities(world);
      await node(world, "nom-a");
      await running(world, "low-1", "nom-a", began(1), of("low", "4"));
      await pod(world, "middle-1", of("middle", "4"));
      await nominated(world, "middle-1");
      await deleting(world, "low-1");
      await world.see("the middle one is to come");
      await pod(world, "high-1", of("high", "4"));
      await world.until("v1", "Pod", "high-1", ({ status }) => status.conditions?.length, "decided on");
      await world.see("a higher one comes");
      await world.delete("v1", "Pod", "low-1", 0);
      await bound(world, "high-1");
      await world.see("the higher one has the place");
    },
  },
  {
    name: "preemption-and-budgets",
    async play(world) {
      await priorities(world);
      await node(world, "bud-a", { labels: { side: "a" } });
      await node(world, "bud-b", { labels: { side: "b" } });
      await world.create(budget("guard", "guarded", 1));
      // Told before there are pods, whoever is quicker.
      await world.told("PodDisruptionBudget", "guard", "NoPods");
      await running(world, "guarded-1", "bud-a", began(1), { ...of("low", "4"), labels: { app: "guarded" } });
      await running(world, "free-1", "bud-b", began(1), { ...of("middle", "4"), labels: { app: "free" } });
      await world.status("v1", "Pod", "guarded-1", { conditions: [{ type: "Ready", status: "True" }] });
      await world.status("v1", "Pod", "free-1", { conditions: [{ type: "Ready", status: "True" }] });
      await world.until("policy/v1", "PodDisruptionBudget", "guard", ({ status }) => status?.currentHealthy === 1);
      await pod(world, "high-1", of("high", "4"));
      await nominated(world, "high-1");
      await world.see("the one that is not guarded goes");
      await pod(world, "high-2", of("high", "4"));
      await nominated(world, "high-2");
      await world.see("then the guarded one");
    },
  },
  {
    name: "preemption-choice",
    async play(world) {
      await priorities(world);
      for (const name of ["ch-a", "ch-b", "ch-c", "ch-d"]) await node(world, name);
      await running(world, "a-1", "ch-a", began(1), of("middle", "4"));
      await running(world, "b-1", "ch-b", began(1), of("low", "2"));
      await running(world, "b-2", "ch-b", began(1), of("low", "2"));
      await running(world, "c-1", "ch-c", began(1), of("low", "4"));
      await running(world, "d-1", "ch-d", began(3), of("low", "4"));
      await pod(world, "high-1", of("high", "4"));
      await nominated(world, "high-1");
      await deleting(world, "d-1");
      await world.see("the youngest goes");
    },
  },
  {
    name: "preemption-by-other-means",
    async play(world) {
      await priorities(world);
      await node(world, "port-a", { labels: { zone: "z" } });
      const port = {
        containers: [{ name: "main", image: "example/app:1", ports: [{ containerPort: 80, hostPort: 80 }] }],
      };
      const anti = {
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              { topologyKey: "zone", labelSelector: { matchLabels: { app: "x" } } },
            ],
          },
        },
      };
      await running(world, "porter", "port-a", began(1), { spec: { priorityClassName: "low", ...port } });
      await running(world, "shy", "port-a", began(1), { labels: { app: "x" }, spec: { priorityClassName: "low" } });
      await pod(world, "porter-2", { spec: { priorityClassName: "high", ...port } });
      await nominated(world, "porter-2");
      await pod(world, "shy-2", { spec: { priorityClassName: "high", ...anti } });
      await nominated(world, "shy-2");
      await pod(world, "hopeless", {
        ...of("high", "100m"),
        spec: { priorityClassName: "high", nodeSelector: { a: "b" } },
      });
      await decided(world, "hopeless");
      await pod(world, "with-claim", {
        spec: { priorityClassName: "high", volumes: [{ name: "v", persistentVolumeClaim: { claimName: "missing" } }] },
      });
      await decided(world, "with-claim");
      await world.see("made room");
    },
  },
  {
    name: "preemption-given-up",
    async play(world) {
      await priorities(world);
      await node(world, "up-a");
      await running(world, "low-1", "up-a", began(1), { ...of("low", "4"), finalizers: ["example.com/hold"] });
      await pod(world, "high-1", of("high", "4"));
      await nominated(world, "high-1");
      await deleting(world, "low-1");
      await world.patch("v1", "Node", "up-a", { spec: { taints: [{ key: "k", effect: "NoSchedule" }] } });
      // Told while that is the only node, whoever is quicker.
      const alone =
        "0/1 nodes are available: 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
      await world.told("Pod", "high-1", "FailedScheduling", alone);
      await node(world, "up-b", { allocatable: { cpu: "1", memory: "1Gi", pods: "10" } });
      await pod(world, "small", of("low", "500m"));
      await bound(world, "small");
      await world.see("its node is tainted");
      await node(world, "up-c");
      await bound(world, "high-1");
      await world.see("another node came");
    },
  },
];
