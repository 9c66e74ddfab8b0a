import { describe, expect, test } from "bun:test";
import type { Container, ContainerStatus, Node, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { gitVersion } from "#shared/version.ts";
import { reservedOf } from "../../node-settings.ts";
import { PodEvents } from "../pod-events.ts";
import { PodResizer } from "../pod-resizer.ts";
import { refuseAppArmor } from "./app-armor.ts";
import { chooseVictim, refuseUnderPressure } from "./eviction.ts";
import type { Shortage } from "./eviction-gauge.ts";
import { defaultEvictionRules } from "./eviction-rules.ts";
import { type NodeFacts, newNode, nodeStatus, nothingReserved, saysMore } from "./node-status.ts";
import { obstacles, refuse } from "./pod-admission.ts";
import { byTurn, refuseResizeOutright, refuseSwapped, resizeConditions } from "./pod-resize.ts";
import { beyondStorageLimits, hasStorageLimits } from "./storage-limits.ts";

const gibi = 1024 ** 3;
const facts: NodeFacts = {
  name: "pi-1",
  board: {
    hostname: "pi-1",
    cpus: 4,
    memory_bytes: 4 * gibi,
    swap_bytes: 0,
    architecture: "arm64",
    machineId: "m",
    systemUuid: "s",
    bootId: "b",
    kernelVersion: "6.12",
    osImage: "Debian",
    model: "Raspberry Pi 4 Model B Rev 1.4",
    revision: "c03114",
    serial: "10000000abcdef01",
    hugepages: [{ size_bytes: 2 * 1024 ** 2, count: 0 }],
  },
  peripherals: ["coral", "i2c"],
  runtime: {
    name: "docker",
    version: "26.1.5",
    apiVersion: "1.45",
    cgroupDriver: "systemd",
    cgroupVersion: 2,
    rootDirectory: "/d",
    handlers: [{ name: "", recursiveReadOnlyMounts: true, userNamespaces: false }],
    supplementalGroupsPolicy: false,
  },
  addresses: ["192.0.2.1"],
  maxPods: 110,
  kubeletPort: 10_250,
  reserved: { ...nothingReserved, memory_bytes: 128 * 1024 ** 2 },
  eviction: defaultEvictionRules,
  mostImages: 50,
  countsLocalStorage: true,
  volumesInUse: [],
  devices: { capacity: {}, allocatable: {} },
  ephemeralStorage_bytes: 32 * gibi,
  images: [],
  pressures: { memory: false, disk: false, pids: false },
  strains: { Undervoltage: undefined, Throttled: undefined, Overheated: undefined },
  troubles: [],
};

function pod(spec: Partial<PodSpec> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "n", uid: "u" },
    spec: { containers: [{ name: "c" }], ...spec },
  };
}
const sized = (requests: Record<string, string>): Container => ({ name: "c", resources: { requests } });

describe("what a board reports", () => {
  test("labels, capacity and what is kept back", () => {
    const { metadata } = newNode(facts, { room: "attic" }, []);
    expect(metadata.labels).toMatchObject({
      room: "attic",
      "kubernetes.io/hostname": "pi-1",
      "kubernetes.io/arch": "arm64",
      "node.kubernetes.io/instance-type": "raspberry-pi-4-model-b-rev-1.4",
      "board.bramble.dev/revision": "c03114",
      "board.bramble.dev/serial": "10000000abcdef01",
      "board.bramble.dev/coral": "true",
      "board.bramble.dev/i2c": "true",
    });
    const status = nodeStatus(facts, undefined, 0);
    expect(status.capacity).toEqual({
      cpu: "4",
      "ephemeral-storage": "32Gi",
      "hugepages-2Mi": "0",
      memory: "4Gi",
      pods: "110",
    });
    expect(status.allocatable).toMatchObject({ cpu: "4", memory: "3868Mi" });
    expect(status.nodeInfo).toMatchObject({
      kubeletVersion: gitVersion(),
      containerRuntimeVersion: "docker://26.1.5",
    });
  });

  test("what is reserved for Kubernetes and the system is not for pods", () => {
    const settings = {
      kubeReserved: ["cpu=250m", "memory=64Mi", "pid=100"],
      systemReserved: ["cpu=1", "memory=64Mi", "ephemeral-storage=1Gi"],
    };
    const before = nodeStatus(facts, undefined, 0).allocatable ?? {};
    const { allocatable = {}, capacity } = nodeStatus({ ...facts, reserved: reservedOf(settings) }, undefined, 0);
    expect(allocatable).toMatchObject({ cpu: "2750m", memory: "3868Mi" });
    expect(Number(before["ephemeral-storage"]) - Number(allocatable["ephemeral-storage"])).toBe(1024 ** 3);
    expect(capacity?.["cpu"]).toBe("4");
    expect(() => reservedOf({ kubeReserved: ["disk=1Gi"], systemReserved: [] })).toThrow("kube-reserved");
    expect(() => reservedOf({ kubeReserved: [], systemReserved: ["cpu"] })).toThrow("system-reserved");
  });

  test("conditions keep their transition until they change; time alone is no reason to write", () => {
    const first = nodeStatus(facts, undefined, 0);
    const later = nodeStatus(facts, first, 60_000);
    expect(saysMore(later, first)).toBe(false);
    expect(later.conditions?.[0]).toMatchObject({ lastTransitionTime: "1970-01-01T00:00:00Z" });
    const troubled = nodeStatus({ ...facts, troubles: ["no network"] }, later, 120_000);
    expect(saysMore(troubled, later)).toBe(true);
    expect(troubled.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
      status: "False",
      reason: "KubeletNotReady",
      message: "no network",
      lastTransitionTime: "1970-01-01T00:02:00Z",
    });
  });
});

describe("admission", () => {
  const node: Node = { ...newNode(facts, {}, []), status: nodeStatus(facts, undefined, 0) };

  test("resources beside those that others hold", () => {
    const others = [pod({ containers: [sized({ cpu: "3" })] })];
    expect(refuse(pod({ containers: [sized({ cpu: "1" })] }), node, others)).toBeUndefined();
    expect(refuse(pod({ containers: [sized({ cpu: "1500m" })] }), node, others)).toEqual({
      reason: "OutOfcpu",
      message: "Node didn't have enough resource: cpu, requested: 1500, used: 3000, capacity: 4000",
    });
  });

  test("selectors, ports, taints and sysctls", () => {
    expect(refuse(pod({ nodeSelector: { disk: "ssd" } }), node, [])?.reason).toBe("NodeAffinity");
    const web: Container = { name: "c", ports: [{ containerPort: 80, hostPort: 8080 }] };
    expect(refuse(pod({ containers: [web] }), node, [pod({ containers: [web] })])?.reason).toBe("NodePorts");
    const tainted: Node = { ...node, spec: { taints: [{ key: "k", effect: "NoExecute" }] } };
    expect(refuse(pod(), tainted, [])).toEqual({
      reason: "TaintToleration",
      message: "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
    });
    expect(refuse(pod({ tolerations: [{ operator: "Exists" }] }), tainted, [])).toBeUndefined();
    const sysctl = (name: string): Pod => pod({ securityContext: { sysctls: [{ name, value: "1" }] } });
    expect(refuse(sysctl("kernel.shm_rmid_forced"), node, [])).toBeUndefined();
    expect(refuse(sysctl("kernel.msgmax"), node, [])).toEqual({
      reason: "SysctlForbidden",
      message: 'forbidden sysctl: "kernel.msgmax" not allowlisted',
    });
  });

  test("under pressure only what must run comes in", () => {
    const memory = [{ type: "MemoryPressure", status: "True" }];
    expect(refuseUnderPressure(pod(), memory)).toEqual({
      reason: "Evicted",
      message: "The node had condition: [MemoryPressure]. ",
    });
    expect(refuseUnderPressure(pod({ containers: [sized({ memory: "1Mi" })] }), memory)).toBeUndefined();
    const disk = [{ type: "DiskPressure", status: "True" }];
    expect(refuseUnderPressure(pod({ containers: [sized({ memory: "1Mi" })] }), disk)?.reason).toBe("Evicted");
    expect(refuseUnderPressure(pod({ priority: 2_000_000_000 }), disk)).toBeUndefined();
  });

  test("a static pod must fit like any other, but tolerates whatever the node is tainted with", () => {
    const fromFile = (spec: Partial<PodSpec>): Pod => {
      const { metadata, ...rest } = pod(spec);
      return { ...rest, metadata: { ...metadata, annotations: { "kubernetes.io/config.source": "file" } } };
    };
    expect(refuse(fromFile({ nodeSelector: { disk: "ssd" } }), node, [])?.reason).toBe("NodeAffinity");
    const web: Container = { name: "c", ports: [{ containerPort: 80, hostPort: 8080 }] };
    expect(refuse(fromFile({ containers: [web] }), node, [pod({ containers: [web] })])?.reason).toBe("NodePorts");
    const tainted: Node = { ...node, spec: { taints: [{ key: "k", effect: "NoExecute" }] } };
    expect(refuse(fromFile({}), tainted, [])).toBeUndefined();
  });

  test("a pod is refused for the first thing that is in its way, of several", () => {
    const crowded: Node = { ...node, status: { ...node.status, allocatable: { cpu: "1", memory: "1Mi", pods: "1" } } };
    const wide = pod({ nodeSelector: { disk: "ssd" }, containers: [sized({ memory: "2Mi", cpu: "2" })] });
    const names = (others: readonly Pod[]): string[] =>
      obstacles(wide, crowded, others).map((each) => (each.kind === "resource" ? each.resource : each.name));
    expect(names([pod()])).toEqual(["pods", "cpu", "memory", "NodeAffinity"]);
    expect(refuse(wide, crowded, [])?.reason).toBe("OutOfcpu");
  });

  test("a pod with an AppArmor profile runs only where it is held to it", () => {
    const held = pod({ securityContext: { appArmorProfile: { type: "RuntimeDefault" } } });
    expect(refuseAppArmor(held, true)).toBeUndefined();
    expect(refuseAppArmor(held, false)).toEqual({
      reason: "AppArmor",
      message: "Cannot enforce AppArmor: AppArmor is not enabled on the host",
    });
    const free = pod({ securityContext: { appArmorProfile: { type: "Unconfined" } } });
    expect(refuseAppArmor(free, false)).toBeUndefined();
  });

  test("a resize that never fits is infeasible", () => {
    expect(refuseResizeOutright(pod({ containers: [sized({ cpu: "5" })] }), node)?.reason).toBe("Infeasible");
    expect(refuseResizeOutright(pod({ containers: [sized({ cpu: "4" })] }), node)).toBeUndefined();
  });

  test("memory of a container that may swap is not resized in place, only by a restart", () => {
    const withSwap = { isUnified: true, swap: "LimitedSwap", endsWhole: true } as const;
    const of = (requests: Record<string, string>, policy = "NotRequired", limits?: Record<string, string>): Pod => {
      const resizePolicy = [{ resourceName: "memory", restartPolicy: policy }];
      return pod({ containers: [{ name: "c", resizePolicy, resources: { requests, ...(limits && { limits }) } }] });
    };
    const [had, asks] = [of({ memory: "64Mi", cpu: "1" }), of({ memory: "96Mi", cpu: "1" })];
    expect(refuseSwapped(asks, had, withSwap)).toEqual({
      reason: "Infeasible",
      message: "In-place resize of containers with swap is not supported.",
    });
    expect(refuseSwapped(of({ memory: "64Mi", cpu: "2" }), had, withSwap)).toBeUndefined();
    expect(refuseSwapped(asks, had, { ...withSwap, swap: "NoSwap" })).toBeUndefined();
    const restarted = of({ memory: "64Mi", cpu: "1" }, "RestartContainer");
    expect(refuseSwapped(of({ memory: "96Mi", cpu: "1" }, "RestartContainer"), restarted, withSwap)).toBeUndefined();
    // A limit that is the request keeps a container from the swap; giving it up would let it swap.
    const full = of({ memory: "64Mi", cpu: "1" }, "NotRequired", { memory: "64Mi" });
    const fuller = of({ memory: "96Mi", cpu: "1" }, "NotRequired", { memory: "96Mi" });
    expect(refuseSwapped(fuller, full, withSwap)).toBeUndefined();
    expect(refuseSwapped(of({ memory: "80Mi" }, "NotRequired", { memory: "96Mi" }), full, withSwap)?.reason).toBe(
      "Infeasible",
    );
  });

  test("a resize is told of the generation that asked for it, whatever changes after", () => {
    const of = (cpu: string, generation: number): Pod => {
      const container = { name: "c", resources: { requests: { cpu } } };
      return { ...pod({ containers: [container] }), metadata: { name: "p", generation } };
    };
    const events = new PodEvents({ record: () => undefined }, of("1", 1));
    const resizer = new PodResizer(of("1", 1));
    const refusal = { reason: "Infeasible", message: "too much" } as const;
    resizer.consider(of("9", 2), () => refusal, events, 0);
    expect(resizeConditions(resizer.progress())).toEqual([
      { type: "PodResizePending", observedGeneration: 2, status: "True", ...refusal },
    ]);
    resizer.consider(of("2", 3), () => undefined, events, 0);
    resizer.failed(of("2", 4), "not now", events);
    expect(resizeConditions(resizer.progress())).toEqual([
      { type: "PodResizeInProgress", observedGeneration: 3, status: "True", reason: "Error", message: "not now" },
    ]);
  });

  test("a resize that waits is not granted by a restart of the kubelet, though another container was never made", () => {
    const a = { name: "a", resources: { requests: { cpu: "4" } } };
    const b = { name: "b", resources: { requests: { cpu: "1" } } };
    const none = { ready: false, restartCount: 0, image: "", imageID: "" };
    const made: ContainerStatus = { ...none, name: "a", resources: { requests: { cpu: "2" } } };
    const unmade: ContainerStatus = { ...none, name: "b", state: { waiting: { reason: "ImagePullBackOff" } } };
    const waiting = { ...pod({ containers: [a, b] }), status: { containerStatuses: [made, unmade] } };
    const granted = new PodResizer(waiting).granted(waiting);
    expect(granted.spec.containers.map(({ resources }) => resources?.requests)).toEqual([{ cpu: "2" }, { cpu: "1" }]);
  });

  test("of resizes that wait, those come first that give back, then the higher priority, then who waits longest", () => {
    const waiting = (name: string, from: string, to: string, since_ms: number, priority = 0) => ({
      name,
      pod: pod({ priority, containers: [sized({ cpu: to })] }),
      granted: pod({ priority, containers: [sized({ cpu: from })] }),
      since_ms,
    });
    const all = [
      waiting("late", "1", "2", 3),
      waiting("early", "1", "2", 1),
      waiting("important", "1", "2", 4, 10),
      waiting("less", "2", "1", 5),
    ];
    expect(all.sort(byTurn).map(({ name }) => name)).toEqual(["less", "important", "early", "late"]);
  });
});

const shortOfMemory: Shortage = {
  threshold: { signal: "memory.available", least: { kind: "absolute", value: 100 * 1024 ** 2 }, grace_ms: 0 },
  least: 100 * 1024 ** 2,
  available: 99 * 1024 ** 2,
};

test("what uses more than it asked for goes first, then the lower priority", () => {
  const usage = (name: string, priority: number, request: string, used: number) => ({
    pod: {
      ...pod({ priority, containers: [sized({ memory: request })] }),
      metadata: { name, namespace: "n", uid: name },
    },
    containers: [{ name: "c", used }],
  });
  const modest = usage("modest", -10, "64Mi", 1024);
  const greedy = usage("greedy", 5, "1Mi", 64 * 1024 ** 2);
  const important = usage("important", 100, "1Mi", 640 * 1024 ** 2);
  const victim = chooseVictim(shortOfMemory, [modest, important, greedy]);
  expect(victim?.pod.metadata.name).toBe("greedy");
  expect(victim?.message).toBe(
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 99Mi. Container c was using 64Mi, request is 1Mi, has larger consumption of memory. ",
  );
});

describe("limits on the disk", () => {
  const used = (containers: Record<string, number>, emptyDirs: Record<string, number> = {}) => ({
    containers: new Map(Object.entries(containers)),
    emptyDirs: new Map(Object.entries(emptyDirs)),
  });
  const limited = (limit?: string): Container => ({
    name: "c",
    ...(limit ? { resources: { limits: { "ephemeral-storage": limit } } } : {}),
  });

  test("an emptyDir on the disk keeps to its size; one in memory is bounded by itself", () => {
    const given = pod({
      volumes: [
        { name: "cache", emptyDir: { sizeLimit: "1Mi" } },
        { name: "ram", emptyDir: { sizeLimit: "1Mi", medium: "Memory" } },
      ],
    });
    expect(hasStorageLimits(given)).toBe(true);
    expect(beyondStorageLimits(given, used({}, { cache: 2 ** 20 }))).toBeUndefined();
    expect(beyondStorageLimits(given, used({}, { cache: 2 ** 20 + 1, ram: 2 ** 30 }))).toEqual({
      signal: "emptydirfs.limit",
      message: 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ',
    });
  });

  test("a pod keeps to the sum of its containers' limits, a container to its own", () => {
    const given = pod({ containers: [limited("1Mi"), { ...limited("3Mi"), name: "d" }] });
    expect(beyondStorageLimits(given, used({ c: 2 ** 20, d: 3 * 2 ** 20 }))).toBeUndefined();
    expect(beyondStorageLimits(given, used({ c: 2 * 2 ** 20 }))).toEqual({
      signal: "ephemeralcontainerfs.limit",
      message: 'Container c exceeded its local ephemeral storage limit "1Mi". ',
    });
    expect(beyondStorageLimits(given, used({ c: 2 ** 20 }, { x: 4 * 2 ** 20 }))).toEqual({
      signal: "ephemeralpodfs.limit",
      message: "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. ",
    });
  });

  test("a pod without limits is not measured", () => {
    expect(hasStorageLimits(pod({ volumes: [{ name: "v", emptyDir: {} }], containers: [limited()] }))).toBe(false);
  });
});

test("groups that are to be strict are refused where the runtime adds the image's", () => {
  const { metadata } = newNode(facts, {}, []);
  const node: Node = { apiVersion: "v1", kind: "Node", metadata, spec: {}, status: nodeStatus(facts, undefined, 0) };
  const strict = pod({ securityContext: { supplementalGroupsPolicy: "Strict" } });
  expect(refuse(strict, node, [])?.reason).toBe("SupplementalGroupsPolicyNotSupported");
  expect(refuse(pod({ securityContext: { supplementalGroupsPolicy: "Merge" } }), node, [])).toBeUndefined();
});
