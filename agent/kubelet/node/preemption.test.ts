import { expect, test } from "bun:test";
import type { Pod, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import { mayPreempt, podsToPreempt, shortageOf } from "./preemption.ts";

const mebi = 1024 ** 2;

function pod(name: string, resources: ResourceRequirements = {}, priority = 0): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "n", uid: name },
    spec: { priority, containers: [{ name: "c", resources }] },
  };
}

const asks = (name: string, cpu: string, memory: string): Pod => pod(name, { requests: { cpu, memory } });
const limited = (name: string, cpu: string, memory: string): Pod =>
  pod(name, { requests: { cpu, memory }, limits: { cpu, memory } });

const critical = pod("critical", {}, 2_000_000_000);
const chosen = (others: readonly Pod[], shortage: Record<string, number>): string[] | undefined =>
  podsToPreempt(critical, others, new Map(Object.entries(shortage)))?.map(({ metadata }) => metadata.name ?? "");

test("what is short is what the pod wants beyond what is left", () => {
  const shortage = shortageOf([{ kind: "resource", resource: "cpu", wanted: 500, used: 3900, capacity: 4000 }]);
  expect([...shortage]).toEqual([["cpu", 400]]);
});

test("a single pod that suffices goes, the smallest such", () => {
  const others = [asks("big", "2", "64Mi"), asks("right", "500m", "64Mi"), asks("small", "100m", "64Mi")];
  expect(chosen(others, { cpu: 400 })).toEqual(["right"]);
  expect(chosen(others, { cpu: 550 })).toEqual(["big"]);
});

test("as few go as will do when none suffices alone", () => {
  const others = [
    asks("a", "100m", "1Mi"),
    asks("b", "300m", "1Mi"),
    asks("c", "400m", "1Mi"),
    asks("d", "200m", "1Mi"),
  ];
  expect(chosen(others, { cpu: 600 })).toEqual(["c", "d"]);
});

test("guaranteed pods are spared while burstable ones suffice, and those while best-effort ones do", () => {
  const others = [limited("guaranteed", "1", "64Mi"), asks("burstable", "1", "64Mi"), pod("best-effort")];
  expect(chosen(others, { cpu: 800 })).toEqual(["burstable"]);
  expect(chosen(others, { pods: 1 })).toEqual(["best-effort"]);
  expect(chosen(others, { pods: 2 })).toEqual(["best-effort", "burstable"]);
  expect(chosen(others, { cpu: 1500 })).toEqual(["burstable", "guaranteed"]);
});

test("each resource counts alike, whatever its unit", () => {
  const others = [asks("cpu", "1", "1Mi"), asks("both", "600m", "60Mi"), asks("memory", "1m", "100Mi")];
  expect(chosen(others, { cpu: 600, memory: 60 * mebi })).toEqual(["both"]);
});

test("none goes when all together would not do, or outweigh the pod", () => {
  expect(chosen([asks("a", "1", "1Mi")], { cpu: 1500 })).toBeUndefined();
  expect(chosen([pod("peer", { requests: { cpu: "2" } }, 2_000_000_000)], { cpu: 1500 })).toBeUndefined();
  expect(mayPreempt(pod("most", {}, 2_000_001_000), critical)).toBe(true);
  expect(mayPreempt(pod("least", {}, 5), pod("less", {}, 4))).toBe(true);
});
