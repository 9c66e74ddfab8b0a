import type { Labels, NodeShape, World } from "./world.ts";

export interface Scenario {
  /** Also its namespace. */
  readonly name: string;
  readonly play: (world: World) => Promise<void>;
}

const roomy = { cpu: "4", memory: "8Gi", pods: "110", "ephemeral-storage": "100Gi" };

/** A Node as a kubelet registers it, usable once this resolves. */
export async function node(world: World, name: string, shape: NodeShape = {}): Promise<void> {
  const {
    labels = {},
    taints = [],
    unschedulable,
    allocatable = roomy,
    capacity = allocatable,
    images,
    status,
  } = shape;
  await world.create({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } },
    spec: { taints, unschedulable },
  });
  const ready = { type: "Ready", status: "True", reason: "KubeletReady", message: "ready" };
  await world.status("v1", "Node", name, { capacity, allocatable, images, conditions: [ready], ...status });
  await world.until("v1", "Node", name, ({ spec }) => {
    const keys = (spec.taints ?? []).map(({ key }: { key: string }) => key);
    return !keys.includes("node.kubernetes.io/not-ready");
  });
}

interface PodShape {
  readonly labels?: Labels;
  readonly requests?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  /** More of its spec; `containers` in it replace the one. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

export async function pod(world: World, name: string, shape: PodShape = {}): Promise<void> {
  const { labels, requests, finalizers, spec } = shape;
  const limits = Object.fromEntries(
    Object.entries(requests ?? {}).filter(([key]) => key.includes("/") || key.startsWith("hugepages")),
  );
  await world.create({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels, finalizers: finalizers ? [...finalizers] : undefined },
    spec: {
      terminationGracePeriodSeconds: 7,
      containers: [{ name: "main", image: "example/app:1", resources: { requests, limits } }],
      ...spec,
    },
  });
}

const scheduledOf = ({ status }: { status: { conditions?: { type: string; status: string }[] } }) =>
  status.conditions?.find(({ type }) => type === "PodScheduled");

/** Waits until a decision is there: bound, or said why not. */
export async function decided(world: World, ...names: readonly string[]): Promise<void> {
  for (const name of names) await world.until("v1", "Pod", name, scheduledOf, "decided on");
}

export async function bound(world: World, ...names: readonly string[]): Promise<void> {
  for (const name of names) await world.until("v1", "Pod", name, ({ spec }) => spec.nodeName, "bound");
}

/** A pod that its board runs, since a date, so that preemption has something to order by. */
export async function running(
  world: World,
  name: string,
  node: string,
  startTime: string,
  shape: PodShape = {},
): Promise<void> {
  await pod(world, name, { ...shape, spec: { ...shape.spec, nodeName: node } });
  await world.status("v1", "Pod", name, { phase: "Running", startTime });
}

export async function priority(world: World, name: string, value: number, more: object = {}): Promise<void> {
  await world.create({ apiVersion: "scheduling.k8s.io/v1", kind: "PriorityClass", metadata: { name }, value, ...more });
}
