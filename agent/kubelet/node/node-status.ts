import type { ImageStatus, RuntimeVersion } from "#agent/runtime/runtime.ts";
import type { BoardFacts } from "#agent/telemetry/board.ts";
import type { Peripheral } from "#agent/telemetry/peripherals.ts";
import type { Pressures } from "#agent/telemetry/pressure.ts";
import type { Strains } from "#agent/telemetry/strain.ts";
import { formatQuantity, quantityOf } from "#shared/api/quantity.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Node, NodeCondition, NodeStatus, Taint } from "#shared/api/types/core-v1.generated.ts";
import { type StrainType, strainTypes } from "#shared/board/strains.ts";
import { gitVersion } from "#shared/version.ts";
import type { ResourceCounts } from "../devices/device-manager.ts";
import type { ResourceList } from "../pod-qos.ts";
import { type EvictionRules, evictionReserve } from "./eviction-rules.ts";

const mostNamesOfImage = 5;

/** What is kept from pods for the system and for Kubernetes itself. */
export interface Reserved {
  readonly cpu_m: number;
  readonly memory_bytes: number;
  readonly ephemeralStorage_bytes: number;
}

export const nothingReserved: Reserved = { cpu_m: 0, memory_bytes: 0, ephemeralStorage_bytes: 0 };

export interface NodeFacts {
  readonly name: string;
  readonly board: BoardFacts;
  readonly peripherals: readonly Peripheral[];
  readonly runtime: RuntimeVersion | undefined;
  readonly addresses: readonly string[];
  readonly maxPods: number;
  readonly kubeletPort: number;
  readonly reserved: Reserved;
  readonly eviction: EvictionRules;
  /** That the Node lists; -1: all. */
  readonly mostImages: number;
  /** Does the disk count as something that pods share? */
  readonly countsLocalStorage: boolean;
  readonly ephemeralStorage_bytes: number;
  /** Extended resources by devices. */
  readonly devices: ResourceCounts;
  /** Attachable volumes that pods here need. */
  readonly volumesInUse: readonly string[];
  readonly images: readonly ImageStatus[];
  readonly pressures: Pressures;
  readonly strains: Strains;
  /** Why pods cannot start here now; empty when they can. */
  readonly troubles: readonly string[];
}

/** The Node as a board registers it. */
export function newNode(
  facts: NodeFacts,
  labels: Readonly<Record<string, string>>,
  taints: readonly Taint[],
  providerID?: string,
): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: facts.name,
      labels: { ...labels, ...ownLabels(facts) },
      annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
    },
    spec: { ...(taints.length > 0 ? { taints: [...taints] } : {}), ...(providerID ? { providerID } : {}) },
  };
}

/** Of the hardware: `board.bramble.dev/revision`, `serial`, and `true` for each thing that hangs on the board. */
export const boardLabelPrefix = "board.bramble.dev/";

/** Labels that a kubelet gives its node and keeps right. */
export function ownLabels({
  name,
  board,
  peripherals,
}: Pick<NodeFacts, "name" | "board" | "peripherals">): Record<string, string> {
  const { revision, serial } = board;
  const hardware = {
    ...(revision ? { revision } : {}),
    ...(/^[0-9a-z]{1,63}$/.test(serial) ? { serial } : {}),
    ...Object.fromEntries(peripherals.map((peripheral) => [peripheral, "true"])),
  };
  const type = board.model
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "")
    .slice(0, 63)
    .replace(/[^a-z0-9]+$/, "");
  return {
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": board.architecture,
    "beta.kubernetes.io/os": "linux",
    "beta.kubernetes.io/arch": board.architecture,
    ...(type ? { "node.kubernetes.io/instance-type": type, "beta.kubernetes.io/instance-type": type } : {}),
    ...Object.fromEntries(Object.entries(hardware).map(([key, value]) => [boardLabelPrefix + key, value])),
  };
}

/** What the node reports, with transition times carried over from `old`. */
export function nodeStatus(facts: NodeFacts, old: NodeStatus | undefined, now_ms: number): NodeStatus {
  const { board, runtime } = facts;
  return {
    capacity: { ...othersResources(old?.capacity), ...capacity(facts), ...facts.devices.capacity },
    allocatable: { ...othersResources(old?.allocatable), ...allocatable(facts), ...facts.devices.allocatable },
    conditions: conditions(facts, old?.conditions ?? [], now_ms),
    addresses: [
      ...facts.addresses.map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: facts.name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: facts.kubeletPort } },
    nodeInfo: {
      machineID: board.machineId,
      systemUUID: board.systemUuid,
      bootID: board.bootId,
      kernelVersion: board.kernelVersion,
      osImage: board.osImage,
      containerRuntimeVersion: runtime
        ? `${runtime.name}://${runtime.version}`
        : (old?.nodeInfo?.containerRuntimeVersion ?? ""),
      kubeletVersion: gitVersion(),
      kubeProxyVersion: "",
      operatingSystem: "linux",
      architecture: board.architecture,
      ...(board.swap_bytes > 0 ? { swap: { capacity: board.swap_bytes } } : {}),
    },
    images: images(facts),
    volumesInUse: [...facts.volumesInUse],
    runtimeHandlers: runtime
      ? runtime.handlers.map(({ name, ...features }) => ({ name, features }))
      : (old?.runtimeHandlers ?? []),
    features: { supplementalGroupsPolicy: runtime?.supplementalGroupsPolicy ?? false },
  };
}

/** Extended resources that somebody else has written into the Node stay. */
const othersResources = (resources: ResourceList = {}): ResourceList =>
  Object.fromEntries(Object.entries(resources).filter(([name]) => name.includes("/")));

const bytes = (value: number): string => formatQuantity(quantityOf(Math.floor(value / 1024) * 1024, "BinarySI"));

const cores = (cpu_m: number): string => (cpu_m % 1000 === 0 ? String(cpu_m / 1000) : `${cpu_m}m`);

/** As the resources of a KubeletConfiguration; those of which nothing is kept are left out. */
export function reservedResources({ cpu_m, memory_bytes, ephemeralStorage_bytes }: Reserved): ResourceList {
  return {
    ...(cpu_m > 0 ? { cpu: cores(cpu_m) } : {}),
    ...(memory_bytes > 0 ? { memory: String(memory_bytes) } : {}),
    ...(ephemeralStorage_bytes > 0 ? { "ephemeral-storage": String(ephemeralStorage_bytes) } : {}),
  };
}

function capacity({ board, ephemeralStorage_bytes, maxPods, countsLocalStorage }: NodeFacts): Record<string, string> {
  return {
    cpu: String(board.cpus),
    ...(countsLocalStorage ? { "ephemeral-storage": bytes(ephemeralStorage_bytes) } : {}),
    ...hugepages(board),
    memory: bytes(board.memory_bytes),
    pods: String(maxPods),
  };
}

function allocatable(facts: NodeFacts): Record<string, string> {
  const { board, ephemeralStorage_bytes, maxPods, reserved, eviction } = facts;
  const kept = evictionReserve(eviction, { memory_bytes: board.memory_bytes, storage_bytes: ephemeralStorage_bytes });
  const inHugepages = board.hugepages.reduce((sum, { size_bytes, count }) => sum + size_bytes * count, 0);
  const memory = board.memory_bytes - reserved.memory_bytes - kept.memory_bytes - inHugepages;
  const storage = ephemeralStorage_bytes - kept.storage_bytes - reserved.ephemeralStorage_bytes;
  return {
    cpu: cores(Math.max(0, board.cpus * 1000 - reserved.cpu_m)),
    ...(facts.countsLocalStorage ? { "ephemeral-storage": String(Math.max(0, Math.floor(storage))) } : {}),
    ...hugepages(board),
    memory: bytes(Math.max(0, memory)),
    pods: String(maxPods),
  };
}

function hugepages(board: BoardFacts): Record<string, string> {
  return Object.fromEntries(
    board.hugepages.map(({ size_bytes, count }) => [`hugepages-${bytes(size_bytes)}`, bytes(size_bytes * count)]),
  );
}

function images({ images, mostImages }: NodeFacts): NonNullable<NodeStatus["images"]> {
  return [...images]
    .sort((a, b) => b.size_bytes - a.size_bytes)
    .slice(0, mostImages < 0 ? images.length : mostImages)
    .map(({ digests, tags, size_bytes }) => ({
      names: [...digests, ...tags].slice(0, mostNamesOfImage),
      sizeBytes: size_bytes,
    }));
}

function conditions(facts: NodeFacts, old: readonly NodeCondition[], now_ms: number): NodeCondition[] {
  const { pressures, strains, troubles } = facts;
  const now = rfc3339(now_ms);
  const own: NodeCondition[] = [
    pressures.memory
      ? condition("MemoryPressure", "True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
      : condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    pressures.disk
      ? condition("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure")
      : condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    pressures.pids
      ? condition("PIDPressure", "True", "KubeletHasInsufficientPID", "kubelet has insufficient PID available")
      : condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ...strainTypes.flatMap((type) => strainCondition(type, strains[type]) ?? []),
    troubles.length > 0
      ? condition("Ready", "False", "KubeletNotReady", troubles.join(", "))
      : condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
  ];
  const others = old.filter(({ type }) => !own.some((condition) => condition.type === type));
  return [
    ...others,
    ...own.map((condition) => {
      const before = old.find(({ type }) => type === condition.type);
      const kept = before?.status === condition.status ? before.lastTransitionTime : undefined;
      return { ...condition, lastHeartbeatTime: now, lastTransitionTime: kept ?? now };
    }),
  ];
}

export const strainMessages: Readonly<Record<StrainType, string>> = {
  Undervoltage:
    "the power supply is too weak: the board may fail or corrupt its card. Use the supply that belongs to it",
  Throttled: "the firmware slows the board down, for heat or for a weak supply",
  Overheated: "the board is hot and slows down: give it a heat sink or a fan",
};

function strainCondition(type: StrainType, holds: boolean | undefined): NodeCondition | undefined {
  if (holds === undefined) return undefined;
  return holds
    ? condition(type, "True", `Board${type}`, strainMessages[type])
    : condition(type, "False", `BoardNot${type}`, "it has not been for five minutes");
}

const condition = (type: string, status: string, reason: string, message: string): NodeCondition => ({
  type,
  status,
  reason,
  message,
});

/** Would writing `next` tell anything that `old` does not, beside the time? */
export function saysMore(next: NodeStatus, old: NodeStatus | undefined): boolean {
  return JSON.stringify(timeless(next)) !== JSON.stringify(timeless(old ?? {}));
}

function timeless(status: NodeStatus): unknown {
  const { conditions = [], capacity, allocatable, addresses, daemonEndpoints, nodeInfo, images = [] } = status;
  const sorted = (map: Readonly<Record<string, unknown>> | undefined): unknown => Object.entries(map ?? {}).sort();
  return {
    conditions: conditions
      .map(({ type, status, reason, message }) => [type, status, reason, message])
      .sort((a, b) => String(a[0]).localeCompare(String(b[0]))),
    capacity: sorted(capacity),
    allocatable: sorted(allocatable),
    addresses: addresses?.map(({ type, address }) => [type, address]),
    port: daemonEndpoints?.kubeletEndpoint?.Port,
    nodeInfo: sorted(nodeInfo as unknown as Record<string, unknown>),
    images: images.map(({ names, sizeBytes }) => [names, sizeBytes]),
    volumesInUse: status.volumesInUse ?? [],
  };
}
