import { expect, test } from "bun:test";
import { boardReserved, parseLabels, podCgroupSettings } from "./node-settings.ts";

const usual = {
  cgroupsPerQos: true,
  cgroupRoot: "",
  podMaxPids: -1,
  enforceNodeAllocatable: ["pods"],
  kubeReserved: [],
  systemReserved: [],
  kubeReservedCgroup: "",
  systemReservedCgroup: "",
  reservedCpus: "",
};

test("how pods are grouped", () => {
  expect(podCgroupSettings(usual)).toEqual({
    root: "/",
    podPidsLimit: -1,
    enforceNodeAllocatable: true,
    reservedGroups: [],
  });
  expect(podCgroupSettings({ ...usual, enforceNodeAllocatable: ["none"] })?.enforceNodeAllocatable).toBe(false);
  expect(podCgroupSettings({ ...usual, cgroupsPerQos: false })).toBeUndefined();
  const refused = (parts: string[], more = {}) =>
    expect(() => podCgroupSettings({ ...usual, enforceNodeAllocatable: parts, ...more }));
  refused(["pods", "system-reserved"]).toThrow("systemReservedCgroup (--system-reserved-cgroup) must be specified");
  refused(["some"]).toThrow('option "some" specified. Valid options are pods, system-reserved');
  refused(["none", "pods"]).toThrow('may not contain additional enforcements when "none" is specified');
  refused(["pods"], { reservedCpus: "0", kubeReservedCgroup: "/kube" }).toThrow("can't use reservedSystemCPUs");
  const both = ["kube-reserved", "kube-reserved-compressible"];
  refused(both, { kubeReservedCgroup: "/kube" }).toThrow("cannot be specified together");
});

test("groups of Kubernetes and of the system get what is reserved for them, or of it the time alone", () => {
  const settings = {
    ...usual,
    enforceNodeAllocatable: ["pods", "kube-reserved", "system-reserved-compressible"],
    kubeReserved: ["cpu=250m", "memory=64Mi", "pid=100"],
    systemReserved: ["cpu=1", "memory=64Mi"],
    kubeReservedCgroup: "/kube",
    systemReservedCgroup: "/system",
  };
  expect(podCgroupSettings(settings)?.reservedGroups).toEqual([
    { what: "System", group: "/system", cpu_m: 1000, memory_bytes: undefined, pids: undefined },
    { what: "Kube", group: "/kube", cpu_m: 250, memory_bytes: 64 * 1024 ** 2, pids: 100 },
  ]);
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
