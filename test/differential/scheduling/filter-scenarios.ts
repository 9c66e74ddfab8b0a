import { bound, decided, node, pod, running, type Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

type Spec = Readonly<Record<string, unknown>>;

const tolerate = (key: string, more: object = {}): object => ({ key, operator: "Exists", ...more });
const required = (...nodeSelectorTerms: object[]): Spec => ({
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
});
const expression = (key: string, operator: string, ...values: string[]): object => ({
  key,
  operator,
  ...(values.length > 0 ? { values } : {}),
});
const field = (operator: string, ...values: string[]): object => ({
  matchFields: [{ key: "metadata.name", operator, values }],
});
const container = (name: string, requests: object, more: object = {}): object => ({
  name,
  image: "example/app:1",
  resources: { requests, ...more },
});

async function small(world: World): Promise<void> {
  await node(world, "small-a", { allocatable: { cpu: "1", memory: "1Gi", pods: "110", "ephemeral-storage": "1Gi" } });
  await node(world, "small-b", { allocatable: { cpu: "2", memory: "512Mi", pods: "110", "example.com/gpu": "2" } });
  await node(world, "full", { allocatable: { cpu: "4", memory: "4Gi", pods: "0" } });
}

/** One pod for each shape, all against the same nodes. */
async function each(world: World, shapes: Readonly<Record<string, Parameters<typeof pod>[2]>>): Promise<void> {
  for (const [name, shape] of Object.entries(shapes)) {
    await pod(world, name, shape);
    await decided(world, name);
  }
  await world.see("decided");
}

export const filterScenarios: readonly Scenario[] = [
  {
    name: "no-nodes",
    async play(world) {
      await pod(world, "early");
      await pod(world, "claiming", {
        spec: { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "missing" } }] },
      });
      await decided(world, "early", "claiming");
      await world.see("without nodes");
      await node(world, "late");
      await bound(world, "early");
      await world.seeObjects("a node came");
    },
  },
  {
    name: "resources",
    async play(world) {
      await small(world);
      await each(world, {
        cpu: { requests: { cpu: "3" } },
        memory: { requests: { memory: "2Gi" } },
        several: { requests: { cpu: "3", memory: "2Gi", "ephemeral-storage": "2Gi", "example.com/gpu": "3" } },
        extended: { requests: { "example.com/gpu": "1", "example.com/other": "1" } },
        hugepages: { requests: { "hugepages-2Mi": "4Mi", memory: "16Mi", cpu: "10m" } },
      });
    },
  },
  {
    name: "resources-of-pods",
    async play(world) {
      await small(world);
      await world.create({
        apiVersion: "node.k8s.io/v1",
        kind: "RuntimeClass",
        metadata: { name: "heavy" },
        handler: "heavy",
        overhead: { podFixed: { cpu: "1500m", memory: "64Mi" } },
        scheduling: { nodeSelector: { heavy: "yes" }, tolerations: [{ key: "heavy", operator: "Exists" }] },
      });
      await each(world, {
        overhead: { requests: { cpu: "1" }, spec: { runtimeClassName: "heavy" } },
        sidecars: {
          spec: {
            initContainers: [
              { ...container("side", { cpu: "1500m" }), restartPolicy: "Always" },
              container("setup", { cpu: "1" }),
            ],
            containers: [container("main", { cpu: "100m" })],
          },
        },
        "pod-level": {
          spec: { resources: { requests: { cpu: "2500m" } }, containers: [container("main", { cpu: "100m" })] },
        },
        "pod-level-memory": {
          spec: {
            resources: { requests: { memory: "3Gi", cpu: "500m" }, limits: { memory: "3Gi" } },
            containers: [container("main", { cpu: "100m" })],
          },
        },
        initial: {
          spec: {
            initContainers: [container("setup", { cpu: "5", memory: "10Mi" })],
            containers: [container("main", { cpu: "100m", memory: "5Gi" })],
          },
        },
        limits: { spec: { containers: [container("main", {}, { limits: { cpu: "9", memory: "9Gi" } })] } },
      });
    },
  },
  {
    name: "too-many-pods",
    async play(world) {
      await node(world, "narrow", { allocatable: { cpu: "4", memory: "4Gi", pods: "1" } });
      await pod(world, "first");
      await bound(world, "first");
      await pod(world, "second", { requests: { cpu: "5" } });
      await pod(world, "third");
      await decided(world, "second", "third");
      await world.see("full");
      await world.status("v1", "Pod", "first", { phase: "Succeeded" });
      await bound(world, "third");
      await world.see("the first has ended");
    },
  },
  {
    name: "host-ports",
    async play(world) {
      await node(world, "ports-a");
      await node(world, "ports-b", { labels: { b: "yes" } });
      const ports = (...list: object[]): Spec => ({
        containers: [
          { name: "main", image: "example/app:1", ports: list.map((one, i) => ({ name: `p${i}`, ...one })) },
        ],
      });
      const port = (hostPort: number, more: object = {}): object => ({ containerPort: hostPort, hostPort, ...more });
      await running(world, "all", "ports-a", "2026-01-01T00:00:00Z", {
        spec: ports(port(80), port(81, { protocol: "UDP" })),
      });
      await running(world, "one", "ports-b", "2026-01-01T00:00:00Z", { spec: ports(port(80, { hostIP: "10.0.0.1" })) });
      await each(world, {
        same: { spec: ports(port(80)) },
        address: { spec: { ...ports(port(80, { hostIP: "10.0.0.2" })), nodeSelector: { b: "yes" } } },
        "same-address": { spec: { ...ports(port(80, { hostIP: "10.0.0.1" })), nodeSelector: { b: "yes" } } },
        protocol: { spec: { ...ports(port(81)), nodeSelector: { "kubernetes.io/hostname": "ports-a" } } },
        sidecar: {
          spec: {
            initContainers: [{ name: "s", image: "example/s:1", restartPolicy: "Always", ports: [port(80)] }],
            containers: [container("main", {})],
          },
        },
        initial: {
          spec: {
            initContainers: [{ name: "s", image: "example/s:1", ports: [port(80)] }],
            containers: [container("main", {})],
            nodeSelector: { b: "yes" },
          },
        },
        network: { spec: { ...ports(port(80)), hostNetwork: true } },
      });
    },
  },
  {
    name: "node-affinity",
    async play(world) {
      await node(world, "aff-a", { labels: { zone: "a", size: "10", odd: "x1" } });
      await node(world, "aff-b", { labels: { zone: "b", size: "20" } });
      await each(world, {
        selector: { spec: { nodeSelector: { zone: "c" } } },
        in: { spec: required({ matchExpressions: [expression("zone", "In", "b", "c")] }) },
        "not-in": { spec: required({ matchExpressions: [expression("zone", "NotIn", "a", "b")] }) },
        exists: { spec: required({ matchExpressions: [expression("odd", "Exists")] }) },
        absent: { spec: required({ matchExpressions: [expression("odd", "DoesNotExist")] }) },
        greater: { spec: required({ matchExpressions: [expression("size", "Gt", "15")] }) },
        less: { spec: required({ matchExpressions: [expression("size", "Lt", "15")] }) },
        "not-number": { spec: required({ matchExpressions: [expression("odd", "Gt", "1")] }) },
        terms: {
          spec: required(
            { matchExpressions: [expression("zone", "In", "c")] },
            { matchExpressions: [expression("size", "In", "10")] },
          ),
        },
        "empty-term": { spec: required({}) },
        both: {
          spec: { nodeSelector: { zone: "a" }, ...required({ matchExpressions: [expression("zone", "In", "b")] }) },
        },
      });
    },
  },
  {
    name: "node-fields",
    async play(world) {
      await node(world, "field-a");
      await node(world, "field-b");
      await node(world, "field-c", { taints: [{ key: "k", value: "v", effect: "NoSchedule" }] });
      await each(world, {
        one: { spec: required(field("In", "field-b")) },
        other: { spec: required(field("NotIn", "field-b")) },
        none: { spec: required(field("In", "field-z")) },
        tainted: { spec: required(field("In", "field-c")) },
        conflict: {
          spec: required({
            matchFields: [
              { key: "metadata.name", operator: "In", values: ["field-a"] },
              { key: "metadata.name", operator: "In", values: ["field-b"] },
            ],
          }),
        },
        "two-terms": { spec: required(field("In", "field-z"), field("In", "field-c")) },
        "and-label": {
          spec: required({ ...field("In", "field-a"), matchExpressions: [expression("no", "Exists")] }),
        },
        "big-there": { requests: { cpu: "9" }, spec: required(field("In", "field-a")) },
      });
    },
  },
  {
    name: "taints",
    async play(world) {
      const taint = (key: string, value: string, effect: string): object => ({ key, value, effect });
      await node(world, "taint-a", { taints: [taint("a", "1", "NoSchedule")] });
      await node(world, "taint-b", { taints: [taint("b", "2", "NoExecute"), taint("a", "2", "NoSchedule")] });
      await node(world, "taint-c", { taints: [taint("c", "", "NoSchedule")] });
      await each(world, {
        none: {},
        equal: { spec: { tolerations: [{ key: "a", value: "1" }] } },
        other: { spec: { tolerations: [{ key: "a", operator: "Equal", value: "3" }] } },
        exists: { spec: { tolerations: [tolerate("c")] } },
        effect: { spec: { tolerations: [tolerate("c", { effect: "NoExecute" })] } },
        partly: { spec: { tolerations: [tolerate("b", { tolerationSeconds: 5, effect: "NoExecute" })] } },
        empty: { spec: { tolerations: [{ key: "c" }] } },
      });
    },
  },
  {
    name: "mixed-reasons",
    async play(world) {
      await node(world, "mix-a", { unschedulable: true });
      await node(world, "mix-b", { taints: [{ key: "k", effect: "NoSchedule" }] });
      await node(world, "mix-c", { allocatable: { cpu: "1", memory: "1Gi", pods: "10" } });
      await node(world, "mix-d", { labels: { x: "y" }, allocatable: { cpu: "100m", memory: "1Gi", pods: "0" } });
      await node(world, "mix-e", { unschedulable: true, taints: [{ key: "k", effect: "NoSchedule" }] });
      await each(world, {
        plain: { requests: { cpu: "2" } },
        selecting: { requests: { cpu: "2" }, spec: { nodeSelector: { x: "y" } } },
        tolerant: {
          requests: { cpu: "5" },
          spec: { tolerations: [{ key: "node.kubernetes.io/unschedulable", operator: "Exists" }] },
        },
        reaching: { requests: { cpu: "5", memory: "3Gi" }, spec: { tolerations: [{ operator: "Exists" }] } },
      });
    },
  },
  {
    name: "gates-and-names",
    async play(world) {
      await node(world, "gate-a");
      await pod(world, "gated", {
        spec: { schedulingGates: [{ name: "example.com/one" }, { name: "example.com/two" }] },
      });
      await pod(world, "elsewhere", { spec: { schedulerName: "another" } });
      await pod(world, "plain");
      await bound(world, "plain");
      await world.see("one is bound");
      await world.patch("v1", "Pod", "gated", { spec: { schedulingGates: [{ name: "example.com/two" }] } });
      await pod(world, "next");
      await bound(world, "next");
      await world.see("one gate is open");
      await world.patch("v1", "Pod", "gated", { spec: { schedulingGates: null } });
      await bound(world, "gated");
      await world.see("both are open");
    },
  },
  {
    name: "tried-again",
    async play(world) {
      await node(world, "again-a", { taints: [{ key: "k", effect: "NoSchedule" }], labels: { zone: "a" } });
      await node(world, "again-b", { unschedulable: true, labels: { zone: "b" } });
      await node(world, "again-c", { allocatable: { cpu: "1", memory: "1Gi", pods: "10" }, labels: { zone: "c" } });
      const inZone = (zone: string): Spec => ({ nodeSelector: { zone } });
      await pod(world, "taint", { spec: inZone("a") });
      await pod(world, "cordon", { spec: inZone("b") });
      await pod(world, "size", { requests: { cpu: "2" }, spec: inZone("c") });
      await pod(world, "label", { spec: inZone("d") });
      await pod(world, "late", { spec: inZone("e") });
      await decided(world, "taint", "cordon", "size", "label", "late");
      await world.see("waiting");
      await world.patch("v1", "Node", "again-a", { spec: { taints: null } });
      await bound(world, "taint");
      await world.patch("v1", "Node", "again-b", { spec: { unschedulable: false } });
      await bound(world, "cordon");
      await world.status("v1", "Node", "again-c", { allocatable: { cpu: "3", memory: "1Gi", pods: "10" } });
      await bound(world, "size");
      await world.patch("v1", "Node", "again-a", { metadata: { labels: { zone: "d" } } });
      await bound(world, "label");
      await node(world, "again-e", { labels: { zone: "e" } });
      await bound(world, "late");
      await world.seeObjects("all have their nodes");
    },
  },
];
