import { expect, test } from "bun:test";
import { boardReserved, parseLabels, podCgroupSettings } from "./node-settings.ts";

const usual = { cgroupsPerQos: true, cgroupRoot: "", podMaxPids: -1, enforceNodeAllocatable: ["pods"] };

test("how pods are grouped", () => {
  expect(podCgroupSettings(usual)).toEqual({ root: "/", podPidsLimit: -1, enforceNodeAllocatable: true });
  expect(podCgroupSettings({ ...usual, enforceNodeAllocatable: ["none"] })?.enforceNodeAllocatable).toBe(false);
  expect(podCgroupSettings({ ...usual, cgroupsPerQos: false })).toBeUndefined();
  expect(() => podCgroupSettings({ ...usual, enforceNodeAllocatable: ["pods", "system-reserved"] })).toThrow(
    "enforce-node-allocatable: expected pods or none, got system-reserved",
  );
});

test("labels that a Node cannot have are told by the setting's name", () => {
  expect(parseLabels(["disk=ssd", "example.com/room="])).toEqual({ disk: "ssd", "example.com/room": "" });
  for (const wrong of ["disk", "=ssd", "disk=big ssd", "a b=c"])
    expect(() => parseLabels([wrong])).toThrow("node-label: ");
});

test("what is reserved of a board's memory has a setting of its own, which --kube-reserved takes the place of", () => {
  const reserved = (kubeReserved: string[]) =>
    boardReserved({ kubeReserved, systemReserved: ["cpu=100m"], kubeReservedMemory: "128Mi" });
  const MiB = 1024 ** 2;
  expect(reserved([])).toEqual({ cpu_m: 100, memory_bytes: 128 * MiB, ephemeralStorage_bytes: 0 });
  expect(reserved(["cpu=1", "memory=1Gi"])).toMatchObject({ cpu_m: 1100, memory_bytes: 1024 * MiB });
});
