import { expect, test } from "bun:test";
import { faultsOf } from "./conditions.ts";

const object = (status: object) => ({ metadata: { name: "a" }, status });
const condition = (type: string, status: string, message: string) => ({ type, status, message });

test("what keeps a pod or a workload is what its conditions and its status say", () => {
  const unschedulable = "0/2 nodes are available: 2 Insufficient cpu.";
  expect(faultsOf(object({ conditions: [condition("PodScheduled", "False", unschedulable)] }))).toEqual([
    unschedulable,
  ]);
  const overQuota = 'pods "web-1" is forbidden: exceeded quota: small';
  const conditions = [
    condition("Available", "False", "Deployment does not have minimum availability."),
    condition("ReplicaFailure", "True", overQuota),
    condition("Progressing", "True", "it goes on"),
  ];
  expect(faultsOf(object({ conditions }))).toEqual(["Deployment does not have minimum availability.", overQuota]);
  const evicted = "The node was low on resource: memory.";
  expect(faultsOf(object({ message: evicted, conditions: [condition("DisruptionTarget", "True", evicted)] }))).toEqual([
    evicted,
  ]);
});

test("what is well, or has no status, keeps nothing", () => {
  const ready = [
    condition("PodScheduled", "True", ""),
    condition("Ready", "False", "containers with unready status: [a]"),
  ];
  expect(faultsOf(object({ conditions: ready }))).toEqual([]);
  expect(faultsOf({ metadata: { name: "a" } })).toEqual([]);
});
