import { node, pod, running, type Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

const began = "2026-01-01T00:00:00Z";
const condition = (type: string, status: string, reason = "Played"): object => ({
  type,
  status,
  reason,
  message: `${type} is ${status}`,
});

const taintsAre = (world: World, name: string, ...keys: string[]): Promise<void> =>
  world.until(
    "v1",
    "Node",
    name,
    ({ spec }) => {
      const present = (spec.taints ?? []).map(
        ({ key, effect }: { key: string; effect: string }) => `${key.split("/")[1] ?? key}:${effect}`,
      );
      return present.sort().join() === [...keys].sort().join();
    },
    keys.join(),
  );

export const nodeScenarios: readonly Scenario[] = [
  {
    name: "node-conditions",
    async play(world) {
      await node(world, "nc-a");
      const set = (...conditions: object[]) => world.status("v1", "Node", "nc-a", { conditions });
      await set(
        condition("Ready", "True"),
        condition("MemoryPressure", "True"),
        condition("DiskPressure", "True"),
        condition("PIDPressure", "True"),
        condition("NetworkUnavailable", "True"),
      );
      await taintsAre(
        world,
        "nc-a",
        "memory-pressure:NoSchedule",
        "disk-pressure:NoSchedule",
        "pid-pressure:NoSchedule",
        "network-unavailable:NoSchedule",
      );
      await world.see("strained");
      await set(
        condition("Ready", "True"),
        condition("MemoryPressure", "Unknown"),
        condition("DiskPressure", "False"),
        condition("NetworkUnavailable", "Unknown"),
      );
      await taintsAre(world, "nc-a");
      await world.see("well again");
      await world.patch("v1", "Node", "nc-a", { spec: { unschedulable: true } });
      await taintsAre(world, "nc-a", "unschedulable:NoSchedule");
      await world.see("cordoned");
      await world.patch("v1", "Node", "nc-a", { spec: { unschedulable: null } });
      await taintsAre(world, "nc-a");
    },
  },
  {
    name: "node-not-ready",
    async play(world) {
      await node(world, "nr-a");
      await node(world, "nr-b");
      await running(world, "ready", "nr-a", began);
      await world.status("v1", "Pod", "ready", { conditions: [{ type: "Ready", status: "True" }] });
      await running(world, "patient", "nr-a", began, {
        spec: { tolerations: [{ key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" }] },
      });
      await running(world, "hasty", "nr-a", began, {
        spec: {
          tolerations: [
            { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 0 },
          ],
        },
      });
      await world.status("v1", "Node", "nr-a", { conditions: [condition("Ready", "False")] });
      await taintsAre(world, "nr-a", "not-ready:NoSchedule", "not-ready:NoExecute");
      await world.until("v1", "Pod", "hasty", ({ metadata }) => metadata.deletionTimestamp, "deleted");
      await world.see("not ready");
      await world.status("v1", "Node", "nr-a", { conditions: [condition("Ready", "True")] });
      await taintsAre(world, "nr-a");
      await world.see("ready again");
    },
  },
  {
    name: "evicting",
    async play(world) {
      await node(world, "ev-a");
      const tolerate = (...tolerations: object[]) => ({ spec: { tolerations } });
      await running(world, "none", "ev-a", began);
      await running(world, "all", "ev-a", began, tolerate({ operator: "Exists" }));
      await running(world, "other", "ev-a", began, tolerate({ key: "k", value: "other", effect: "NoExecute" }));
      await running(
        world,
        "long",
        "ev-a",
        began,
        tolerate({ key: "k", operator: "Exists", effect: "NoExecute", tolerationSeconds: 3600 }),
      );
      await running(
        world,
        "first-counts",
        "ev-a",
        began,
        tolerate(
          { key: "k", operator: "Exists", effect: "NoExecute" },
          { operator: "Exists", effect: "NoExecute", tolerationSeconds: 0 },
        ),
      );
      await running(
        world,
        "negative",
        "ev-a",
        began,
        tolerate({ key: "k", operator: "Exists", effect: "NoExecute", tolerationSeconds: -5 }),
      );
      await running(
        world,
        "goes",
        "ev-a",
        began,
        tolerate({ key: "k", operator: "Exists", effect: "NoExecute", tolerationSeconds: 3600 }),
      );
      await running(world, "ended", "ev-a", began);
      await world.status("v1", "Pod", "ended", { phase: "Succeeded" });
      await world.patch("v1", "Node", "ev-a", { spec: { taints: [{ key: "k", value: "v", effect: "NoExecute" }] } });
      for (const name of ["none", "other", "negative"])
        await world.until("v1", "Pod", name, ({ metadata }) => metadata.deletionTimestamp, "deleted");
      await world.see("tainted");
      await world.delete("v1", "Pod", "goes", 0);
      await world.untilGone("v1", "Pod", "goes");
      await world.patch("v1", "Node", "ev-a", { spec: { taints: null } });
      await world.told("Pod", "long", "TaintManagerEviction");
      await world.see("the taint is gone");
    },
  },
  {
    name: "node-labels",
    async play(world) {
      await node(world, "nl-a", {
        labels: { "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64", "beta.kubernetes.io/os": "wrong" },
      });
      await world.until(
        "v1",
        "Node",
        "nl-a",
        ({ metadata }) =>
          metadata.labels["beta.kubernetes.io/arch"] && metadata.labels["beta.kubernetes.io/os"] === "linux",
      );
      await pod(world, "orphan", { spec: { nodeName: "nl-a" } });
      await world.see("labelled");
    },
  },
];
