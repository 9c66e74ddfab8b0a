import { describe, expect, test } from "bun:test";
import type { Node, Pod, PodAffinityTerm, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { defaultProfile } from "./configuration/profile.ts";
import type { ClusterEvent, StorageChange } from "./framework.ts";
import { NodeInfo } from "./node-info.ts";
import { PodInfo } from "./pod-info.ts";
import { testNode, testPod } from "./testing.ts";

const byName = new Map(defaultProfile().plugins.map((plugin) => [plugin.name, plugin]));
const mayHelp = (name: string, pod: PodInfo, event: ClusterEvent): boolean => {
  const plugin = byName.get(name);
  if (!plugin) throw new Error(`no plugin ${name}`);
  return plugin.wokenBy.has(event.change) && (plugin.mayHelp?.(pod, event) ?? true);
};

const waiting = (spec: Partial<PodSpec>, requests?: Record<string, string>): PodInfo =>
  new PodInfo(testPod("waiting", spec, { requests, labels: { app: "web" } }));
const placed = (labels: Record<string, string>, requests?: Record<string, string>): PodInfo =>
  new PodInfo(testPod("placed", { nodeName: "n" }, { labels, requests }));

type NodeOptions = Parameters<typeof testNode>[1];
const nodeEvent = (change: ClusterEvent["change"], before: NodeOptions, now: NodeOptions): ClusterEvent => ({
  change,
  node: new NodeInfo("n", testNode("n", now)),
  nodeBefore: testNode("n", before),
});
const own = (pod: PodInfo, change: "podTolerations" | "podLabels", now: (pod: Pod) => void): ClusterEvent => {
  const changed = structuredClone(pod.pod);
  now(changed);
  return { change, pod: new PodInfo(changed), podBefore: pod };
};

const web: PodAffinityTerm = { labelSelector: { matchLabels: { app: "web" } }, topologyKey: "zone" };
const near = waiting({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [web] } } });
const far = waiting({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [web] } } });
const spread = (more: object = {}): PodInfo =>
  waiting({
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: web.labelSelector,
        ...more,
      },
    ],
  });
const zone = (name: string): NodeOptions => ({ labels: { zone: name } });
const deleted = (options: NodeOptions): { change: "nodeDeleted"; nodeBefore: Node } => ({
  change: "nodeDeleted",
  nodeBefore: testNode("n", options),
});
const taint = { spec: { taints: [{ key: "k", effect: "NoSchedule" }] } };
const plain = waiting({}, { cpu: "1" });
const tolerate = (key: string) => (pod: Pod) =>
  Object.assign(pod.spec ?? {}, { tolerations: [{ key, operator: "Exists" }] });

/** What upstream's queueing hints say of changes (KEP-4247), by what was before. */
const cases: [string, string, PodInfo, ClusterEvent, boolean][] = [
  [
    "NodeAffinity",
    "a node that matches now",
    waiting({ nodeSelector: { zone: "a" } }),
    nodeEvent("nodeLabels", {}, zone("a")),
    true,
  ],
  [
    "NodeAffinity",
    "a node that matched before",
    waiting({ nodeSelector: { zone: "a" } }),
    nodeEvent("nodeLabels", zone("a"), { labels: { zone: "a", other: "x" } }),
    false,
  ],
  ["TaintToleration", "a taint that is gone", plain, nodeEvent("nodeTaints", taint, {}), true],
  ["TaintToleration", "a node that was not tainted before", plain, nodeEvent("nodeTaints", {}, {}), false],
  ["TaintToleration", "its own toleration", plain, own(plain, "podTolerations", tolerate("k")), true],
  [
    "TaintToleration",
    "its own label",
    plain,
    own(plain, "podLabels", (pod) => Object.assign(pod.metadata.labels ?? {}, { a: "b" })),
    false,
  ],
  [
    "TaintToleration",
    "another's toleration",
    plain,
    { change: "podTolerations", pod: placed({}), podBefore: placed({}) },
    false,
  ],
  [
    "NodeUnschedulable",
    "a node that is cordoned no longer",
    plain,
    nodeEvent("nodeOther", { spec: { unschedulable: true } }, {}),
    true,
  ],
  ["NodeUnschedulable", "a node that was not cordoned", plain, nodeEvent("nodeTaints", {}, {}), false],
  [
    "NodeUnschedulable",
    "a toleration of cordons",
    ...withOwn(plain, tolerate("node.kubernetes.io/unschedulable")),
    true,
  ],
  ["NodeUnschedulable", "another toleration", ...withOwn(plain, tolerate("k")), false],
  [
    "NodeResourcesFit",
    "more of what is wanted",
    plain,
    nodeEvent("nodeAllocatable", { allocatable: { cpu: "1" } }, {}),
    true,
  ],
  [
    "NodeResourcesFit",
    "more of what is not",
    plain,
    nodeEvent("nodeAllocatable", { allocatable: { memory: "1Gi" } }, {}),
    false,
  ],
  [
    "NodeResourcesFit",
    "room for more pods",
    plain,
    nodeEvent("nodeAllocatable", { allocatable: { pods: "1" } }, {}),
    true,
  ],
  [
    "NodeResourcesFit",
    "a pod that asks for less",
    plain,
    { change: "podResized", pod: placed({}, { cpu: "1" }), podBefore: placed({}, { cpu: "2" }) },
    true,
  ],
  [
    "NodeResourcesFit",
    "a pod that asks for more",
    plain,
    { change: "podResized", pod: placed({}, { cpu: "2" }), podBefore: placed({}, { cpu: "1" }) },
    false,
  ],
  [
    "InterPodAffinity",
    "a pod that is wanted now",
    near,
    { change: "podLabels", pod: placed({ app: "web" }), podBefore: placed({}) },
    true,
  ],
  [
    "InterPodAffinity",
    "a pod that was before",
    near,
    { change: "podLabels", pod: placed({ app: "web", a: "b" }), podBefore: placed({ app: "web" }) },
    false,
  ],
  [
    "InterPodAffinity",
    "a pod to keep from no longer",
    far,
    { change: "podLabels", pod: placed({}), podBefore: placed({ app: "web" }) },
    true,
  ],
  [
    "InterPodAffinity",
    "another pod to keep from",
    far,
    { change: "podLabels", pod: placed({ app: "web" }), podBefore: placed({}) },
    false,
  ],
  [
    "InterPodAffinity",
    "a pod to keep from that came",
    far,
    { change: "podAssigned", pod: placed({ app: "web" }) },
    false,
  ],
  ["InterPodAffinity", "a topology that the node has got", near, nodeEvent("nodeLabels", {}, zone("a")), true],
  [
    "InterPodAffinity",
    "a topology that it had",
    near,
    nodeEvent("nodeLabels", zone("a"), { labels: { zone: "a", other: "x" } }),
    false,
  ],
  ["InterPodAffinity", "a topology that it has lost", far, nodeEvent("nodeLabels", zone("a"), {}), true],
  ["InterPodAffinity", "a topology that it has got, to keep from", far, nodeEvent("nodeLabels", {}, zone("a")), false],
  [
    "InterPodAffinity",
    "a new node outside of any topology",
    far,
    { change: "nodeAdded", node: new NodeInfo("n", testNode("n")) },
    true,
  ],
  ["PodTopologySpread", "a domain that is gone with its node", spread(), deleted(zone("a")), true],
  ["PodTopologySpread", "a node outside of any domain that is gone", spread(), deleted({}), false],
  ["PodTopologySpread", "a node that came to a domain", spread(), nodeEvent("nodeLabels", {}, zone("a")), true],
  [
    "PodTopologySpread",
    "a node that stays in its domain",
    spread(),
    nodeEvent("nodeLabels", zone("a"), { labels: { zone: "a", other: "x" } }),
    false,
  ],
  [
    "PodTopologySpread",
    "a taint in a domain",
    spread(),
    nodeEvent("nodeTaints", { ...zone("a"), ...taint }, zone("a")),
    true,
  ],
  [
    "PodTopologySpread",
    "a pod that counts now",
    spread(),
    { change: "podLabels", pod: placed({ app: "web" }), podBefore: placed({}) },
    true,
  ],
  [
    "PodTopologySpread",
    "a pod that counted before",
    spread(),
    { change: "podLabels", pod: placed({ app: "web", a: "b" }), podBefore: placed({ app: "web" }) },
    false,
  ],
  [
    "PodTopologySpread",
    "its own toleration where taints count",
    ...withOwn(spread({ nodeTaintsPolicy: "Honor" }), tolerate("k")),
    true,
  ],
  ["PodTopologySpread", "its own toleration where they do not", ...withOwn(spread(), tolerate("k")), false],
];

const storage = (of: StorageChange["of"], now: object | undefined, before?: object): ClusterEvent => ({
  change: "storage",
  storage: { of, now, before } as StorageChange,
});
const consumer = waiting({ volumes: [{ name: "v", persistentVolumeClaim: { claimName: "c" } }] });
const claim = (name: string, namespace = "default") => ({ metadata: { name, namespace } });
const capacity = (room: string) => ({ capacity: room, storageClassName: "s" });
const csiNode = (count: number | undefined) => ({ spec: { drivers: [{ name: "d", allocatable: { count } }] } });
const inZone = (name: string, more: object = {}) => ({
  metadata: { labels: { "topology.kubernetes.io/zone": name, ...more } },
});

const storageCases: typeof cases = [
  ["VolumeBinding", "its claim", consumer, storage("claim", claim("c")), true],
  ["VolumeBinding", "another claim", consumer, storage("claim", claim("other")), false],
  ["VolumeBinding", "a claim of that name elsewhere", consumer, storage("claim", claim("c", "other")), false],
  ["VolumeBinding", "its claim, gone", consumer, storage("claim", undefined, claim("c")), false],
  ["VolumeBinding", "a volume", consumer, storage("volume", {}), true],
  ["VolumeBinding", "a volume that is gone", consumer, storage("volume", undefined, {}), false],
  ["VolumeBinding", "a class", consumer, storage("storageClass", {}), true],
  [
    "VolumeBinding",
    "a class that allows other topologies",
    consumer,
    storage("storageClass", { allowedTopologies: [{}] }, {}),
    true,
  ],
  ["VolumeBinding", "a class that changed otherwise", consumer, storage("storageClass", {}, {}), false],
  ["VolumeBinding", "more room", consumer, storage("capacity", capacity("10Gi"), capacity("1Gi")), true],
  ["VolumeBinding", "as much room", consumer, storage("capacity", capacity("1024Mi"), capacity("1Gi")), false],
  [
    "VolumeBinding",
    "a driver whose room counts no longer",
    consumer,
    storage("csiDriver", { spec: {} }, { spec: { storageCapacity: true } }),
    true,
  ],
  [
    "VolumeBinding",
    "a driver whose room counts still",
    consumer,
    storage("csiDriver", { spec: { storageCapacity: true } }, { spec: { storageCapacity: true } }),
    false,
  ],
  ["NodeVolumeLimits", "a node that takes more", consumer, storage("csiNode", csiNode(2), csiNode(1)), true],
  [
    "NodeVolumeLimits",
    "a node that takes any number",
    consumer,
    storage("csiNode", csiNode(undefined), csiNode(1)),
    true,
  ],
  ["NodeVolumeLimits", "a node that takes as many", consumer, storage("csiNode", csiNode(1), csiNode(1)), false],
  ["NodeVolumeLimits", "a volume that is attached no longer", consumer, storage("attachment", undefined, {}), true],
  ["NodeVolumeLimits", "a volume that is attached", consumer, storage("attachment", {}), false],
  ["NodeVolumeLimits", "a pod with claims that went", consumer, { change: "podDeleted", freed: consumer }, true],
  ["NodeVolumeLimits", "a pod without claims that went", consumer, { change: "podDeleted", freed: plain }, false],
  ["VolumeZone", "a volume in another zone than before", consumer, storage("volume", inZone("a"), inZone("b")), true],
  [
    "VolumeZone",
    "a volume in the same zone",
    consumer,
    storage("volume", inZone("a", { other: "x" }), inZone("a")),
    false,
  ],
  ["VolumeRestrictions", "its claim", consumer, storage("claim", claim("c")), true],
  ["VolumeRestrictions", "a volume", consumer, storage("volume", {}), false],
];

function withOwn(pod: PodInfo, change: (pod: Pod) => void): [PodInfo, ClusterEvent] {
  return [pod, own(pod, "podTolerations", change)];
}

describe("what may help a pod that a plugin turned down", () => {
  for (const [plugin, what, pod, event, expected] of [...cases, ...storageCases])
    test(`${plugin}: ${what}`, () => expect(mayHelp(plugin, pod, event)).toBe(expected));
});
