import { describe, expect, test } from "bun:test";
import type { PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { defaultProfile } from "./configuration/profile.ts";
import type { ClusterEvent } from "./framework.ts";
import { NodeInfo } from "./node-info.ts";
import { PodInfo } from "./pod-info.ts";
import { SchedulingQueue } from "./scheduling-queue.ts";
import { testNode, testPod } from "./testing.ts";

const { plugins } = defaultProfile();
const byName = new Map(plugins.map((plugin) => [plugin.name, plugin]));
const mayHelp = (name: string, pod: PodInfo, event: ClusterEvent): boolean => {
  const plugin = byName.get(name);
  return (plugin?.wokenBy.has(event.change) && (plugin.mayHelp?.(pod, event) ?? true)) ?? true;
};

/** A queue whose next pod is taken as soon as there is one. */
function start() {
  const clock = new ManualClock();
  const queue = new SchedulingQueue(mayHelp, { clock });
  const handed: PodInfo[] = [];
  const take = async (): Promise<void> => {
    for (let pod = await queue.next(); pod; pod = await queue.next()) handed.push(pod);
  };
  void take();
  const names = () => handed.splice(0).map(({ pod }) => pod.metadata.name);
  return { clock, queue, names, settle: () => clock.advance(0) };
}
const pod = (name: string, spec: Partial<PodSpec> = {}, requests?: Record<string, string>): PodInfo =>
  new PodInfo(testPod(name, spec, requests ? { requests } : {}));
const node = (name: string, options: Parameters<typeof testNode>[1] = {}): NodeInfo =>
  new NodeInfo(name, testNode(name, options));

test("the more important come first, then those that came first; gated ones wait", async () => {
  const queue = new SchedulingQueue(mayHelp, { clock: new ManualClock() });
  queue.set(pod("gated", { schedulingGates: [{ name: "g" }], priority: 99 }));
  for (const [name, priority] of [
    ["first", 1],
    ["second", 1],
    ["important", 5],
  ] as const)
    queue.set(pod(name, { priority }));
  const names: (string | undefined)[] = [];
  for (let index = 0; index < 3; index++) names.push((await queue.next())?.pod.metadata.name);
  expect(names).toEqual(["important", "first", "second"]);
});

test("a pod that nothing takes waits out a back-off that doubles, once something has changed", async () => {
  const { clock, queue, names, settle } = start();
  const info = pod("p", {}, { cpu: "1" });
  // Something else that failed keeps the queue from handing out pods before their back-off is over.
  queue.set(info);
  await settle();
  expect(names()).toEqual(["p"]);
  queue.park(info, new Set(["NodeResourcesFit"]));
  await clock.advance(60_000);
  expect(names()).toEqual([]);
  queue.notice({ change: "nodeAdded", node: node("big") });
  await settle();
  expect(names()).toEqual(["p"]);
  queue.park(info, new Set(["NodeResourcesFit"]));
  // Without any event it is looked at again after five minutes.
  await clock.advance(301_000);
  expect(names()).toEqual(["p"]);
});

describe("a pod is not tried again for what cannot help it", () => {
  const woken = async (info: PodInfo, plugin: string, event: ClusterEvent): Promise<boolean> => {
    const { queue, names, settle } = start();
    queue.set(info);
    await settle();
    names();
    queue.park(info, new Set([plugin]));
    queue.notice(event);
    await settle();
    return names().length > 0;
  };
  const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term("web")] } };
  function term(app: string) {
    return { labelSelector: { matchLabels: { app } }, topologyKey: "kubernetes.io/hostname" };
  }
  const labelled = (app: string) => new PodInfo(testPod(app, {}, { labels: { app } }));
  const port = (hostPort: number) =>
    pod(`port-${hostPort}`, { containers: [{ name: "c", ports: [{ containerPort: 1, hostPort }] }] });
  const tainted = node("t", { spec: { taints: [{ key: "k", effect: "NoSchedule" }] } });
  const selective = pod("s", { nodeSelector: { board: "pi5" } });
  const spread = new PodInfo(
    testPod(
      "spread",
      {
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: "zone",
            whenUnsatisfiable: "DoNotSchedule",
            labelSelector: { matchLabels: { app: "web" } },
          },
        ],
      },
      { labels: { app: "web" } },
    ),
  );
  const cases: [string, PodInfo, string, ClusterEvent, boolean][] = [
    [
      "a node that is too small",
      pod("p", {}, { cpu: "8" }),
      "NodeResourcesFit",
      { change: "nodeAdded", node: node("a") },
      false,
    ],
    [
      "a node that is large enough",
      pod("p", {}, { cpu: "2" }),
      "NodeResourcesFit",
      { change: "nodeAdded", node: node("a") },
      true,
    ],
    [
      "labels, for want of room",
      pod("p", {}, { cpu: "2" }),
      "NodeResourcesFit",
      { change: "nodeLabels", node: node("a") },
      false,
    ],
    [
      "a pod that went, for want of room",
      pod("p", {}, { cpu: "2" }),
      "NodeResourcesFit",
      { change: "podDeleted", freed: pod("q") },
      true,
    ],
    ["a node with other labels", selective, "NodeAffinity", { change: "nodeAdded", node: node("a") }, false],
    [
      "a node with its labels",
      selective,
      "NodeAffinity",
      { change: "nodeAdded", node: node("b", { labels: { board: "pi5" } }) },
      true,
    ],
    ["another tainted node", pod("p"), "TaintToleration", { change: "nodeAdded", node: tainted }, false],
    [
      "a cordoned node",
      pod("p"),
      "NodeUnschedulable",
      { change: "nodeAdded", node: node("c", { spec: { unschedulable: true } }) },
      false,
    ],
    ["a pod that had another port", port(80), "NodePorts", { change: "podDeleted", freed: port(81) }, false],
    ["a pod that had its port", port(80), "NodePorts", { change: "podDeleted", freed: port(80) }, true],
    [
      "a pod of no interest",
      pod("p", { affinity }),
      "InterPodAffinity",
      { change: "podAssigned", pod: labelled("db") },
      false,
    ],
    [
      "the pod that it wants to be near",
      pod("p", { affinity }),
      "InterPodAffinity",
      { change: "podAssigned", pod: labelled("web") },
      true,
    ],
    [
      "a pod that it is not spread with",
      spread,
      "PodTopologySpread",
      { change: "podDeleted", freed: labelled("db") },
      false,
    ],
    [
      "a pod that it is spread with",
      spread,
      "PodTopologySpread",
      { change: "podDeleted", freed: labelled("web") },
      true,
    ],
    ["a node outside of every zone", spread, "PodTopologySpread", { change: "nodeAdded", node: node("a") }, false],
  ];
  test.each(cases)("%s", async (_what, info, plugin, event, expected) => {
    expect(await woken(info, plugin, event)).toBe(expected);
  });
});

test("a pod that a plugin keeps out is looked at once a change that concerns the plugin lets it in", async () => {
  const clock = new ManualClock();
  let isThere = false;
  const queue = new SchedulingQueue(mayHelp, { clock, keptOutBy: () => (isThere ? undefined : "DynamicResources") });
  const handed: (string | undefined)[] = [];
  const take = async (): Promise<void> => {
    for (let next = await queue.next(); next; next = await queue.next()) handed.push(next.pod.metadata.name);
  };
  void take();
  const waiting = pod("p");
  queue.set(waiting);
  queue.notice({ change: "devices" });
  isThere = true;
  queue.notice({ change: "storage" });
  await clock.advance(0);
  expect([handed, queue.pending]).toEqual([[], { active: 0, backoff: 0, unschedulable: 0, gated: 1 }]);
  queue.notice({ change: "devices" });
  await clock.advance(0);
  expect(handed).toEqual(["p"]);
  // What it needs may go again before it is tried anew.
  isThere = false;
  queue.park(waiting, new Set(["NodeResourcesFit"]));
  queue.notice({ change: "nodeAdded", node: node("big") });
  await clock.advance(60_000);
  expect([handed, queue.pending.gated]).toEqual([["p"], 1]);
});
