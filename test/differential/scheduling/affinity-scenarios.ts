import { bound, decided, node, pod, running, type Scenario } from "./scenario.ts";
import type { Labels, World } from "./world.ts";

type Spec = Readonly<Record<string, unknown>>;

const zone = "topology.kubernetes.io/zone";
const began = "2026-01-01T00:00:00Z";
const selects = (matchLabels: Labels): object => ({ labelSelector: { matchLabels } });
const near = (...terms: object[]): Spec => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const far = (...terms: object[]): Spec => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const spread = (...topologySpreadConstraints: object[]): Spec => ({ topologySpreadConstraints });
const evenly = (more: object = {}): object => ({
  maxSkew: 1,
  topologyKey: zone,
  whenUnsatisfiable: "DoNotSchedule",
  ...selects({ app: "web" }),
  ...more,
});

async function each(world: World, shapes: Readonly<Record<string, Parameters<typeof pod>[2]>>): Promise<void> {
  for (const [name, shape] of Object.entries(shapes)) {
    await pod(world, name, shape);
    await decided(world, name);
  }
  await world.see("decided");
}

export const affinityScenarios: readonly Scenario[] = [
  {
    name: "pod-affinity",
    async play(world) {
      await node(world, "pa-a", { labels: { [zone]: "z1" } });
      await node(world, "pa-b", { labels: { [zone]: "z2" } });
      await node(world, "pa-c");
      await running(world, "web", "pa-a", began, { labels: { app: "web" } });
      await running(world, "db", "pa-b", began, {
        labels: { app: "db" },
        spec: far({ ...selects({ app: "loud" }), topologyKey: zone }),
      });
      await each(world, {
        near: { spec: near({ ...selects({ app: "web" }), topologyKey: zone }) },
        "near-none": { spec: near({ ...selects({ app: "nobody" }), topologyKey: zone }) },
        "near-self": {
          labels: { app: "new" },
          spec: { ...near({ ...selects({ app: "new" }), topologyKey: zone }), nodeSelector: { [zone]: "z2" } },
        },
        "near-both": {
          spec: near(
            { ...selects({ app: "web" }), topologyKey: zone },
            { ...selects({ app: "db" }), topologyKey: zone },
          ),
        },
        far: {
          spec: far(
            { ...selects({ app: "web" }), topologyKey: zone },
            { ...selects({ app: "db" }), topologyKey: "kubernetes.io/hostname" },
          ),
        },
        "far-all": { labels: { app: "x" }, spec: far({ labelSelector: {}, topologyKey: "kubernetes.io/hostname" }) },
        loud: { labels: { app: "loud" }, spec: { nodeSelector: { [zone]: "z2" } } },
        "no-selector": { spec: near({ topologyKey: zone }) },
        "near-and-far": {
          spec: {
            affinity: {
              podAffinity: {
                requiredDuringSchedulingIgnoredDuringExecution: [{ ...selects({ app: "web" }), topologyKey: zone }],
              },
              podAntiAffinity: {
                requiredDuringSchedulingIgnoredDuringExecution: [
                  { ...selects({ app: "web" }), topologyKey: "kubernetes.io/hostname" },
                ],
              },
            },
          },
        },
      });
    },
  },
  {
    name: "pod-affinity-namespaces",
    async play(world) {
      await world.makeNamespace("pod-affinity-other", { team: "blue" });
      await node(world, "ns-a", { labels: { [zone]: "z1" } });
      await node(world, "ns-b", { labels: { [zone]: "z2" } });
      await world.create({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "guest", namespace: "pod-affinity-other", labels: { app: "web" } },
        spec: {
          nodeName: "ns-a",
          containers: [{ name: "main", image: "example/app:1" }],
          ...far({ ...selects({ app: "shy" }), topologyKey: zone, namespaceSelector: {} }),
        },
      });
      const term = (more: object): object => ({ ...selects({ app: "web" }), topologyKey: zone, ...more });
      await each(world, {
        own: { spec: near(term({})) },
        named: { spec: near(term({ namespaces: ["pod-affinity-other"] })) },
        selected: { spec: near(term({ namespaceSelector: { matchLabels: { team: "blue" } } })) },
        "selected-none": { spec: near(term({ namespaceSelector: { matchLabels: { team: "red" } } })) },
        all: { spec: far(term({ namespaceSelector: {} })) },
        shy: { labels: { app: "shy" } },
      });
    },
  },
  {
    name: "match-label-keys",
    async play(world) {
      await node(world, "keys-a", { labels: { [zone]: "z1" } });
      await node(world, "keys-b", { labels: { [zone]: "z2" } });
      await running(world, "old", "keys-a", began, { labels: { app: "web", rev: "1" } });
      await running(world, "new", "keys-b", began, { labels: { app: "web", rev: "2" } });
      const term = (more: object): object => ({ ...selects({ app: "web" }), topologyKey: zone, ...more });
      await each(world, {
        same: { labels: { app: "web", rev: "2" }, spec: near(term({ matchLabelKeys: ["rev"] })) },
        other: { labels: { rev: "2" }, spec: near(term({ mismatchLabelKeys: ["rev"] })) },
        "far-same": { labels: { rev: "1" }, spec: far(term({ matchLabelKeys: ["rev"] })) },
        lacking: { labels: { rev: "3" }, spec: near(term({ matchLabelKeys: ["rev"] })) },
        without: { labels: {}, spec: near(term({ matchLabelKeys: ["rev"] })) },
      });
    },
  },
  {
    name: "spreading",
    async play(world) {
      await node(world, "spread-a", { labels: { [zone]: "z1" } });
      await node(world, "spread-b", { labels: { [zone]: "z2" } });
      await node(world, "spread-c", { labels: { [zone]: "z3" }, taints: [{ key: "k", effect: "NoSchedule" }] });
      await node(world, "spread-d");
      for (const name of ["w1", "w2"])
        await running(world, name, "spread-a", began, { labels: { app: "web", rev: "1" } });
      await running(world, "w3", "spread-b", began, { labels: { app: "web", rev: "2" } });
      const web = { app: "web" };
      await each(world, {
        "taints-honoured": { spec: spread(evenly({ nodeTaintsPolicy: "Honor" })) },
        "taints-ignored": { labels: web, spec: spread(evenly()) },
        "min-domains": { labels: web, spec: spread(evenly({ minDomains: 5 })) },
        "affinity-honoured": { labels: web, spec: { ...spread(evenly()), nodeSelector: { [zone]: "z1" } } },
        "affinity-ignored": {
          labels: web,
          spec: { ...spread(evenly({ nodeAffinityPolicy: "Ignore" })), nodeSelector: { [zone]: "z1" } },
        },
        "not-self": { spec: spread(evenly({ maxSkew: 2 }), evenly({ topologyKey: "rack" })) },
        keys: {
          labels: { app: "web", rev: "1" },
          spec: { ...spread(evenly({ matchLabelKeys: ["rev"] })), tolerations: [{ operator: "Exists" }] },
        },
        "no-selector": {
          spec: {
            ...spread({ maxSkew: 1, topologyKey: zone, whenUnsatisfiable: "DoNotSchedule" }),
            nodeSelector: { [zone]: "z1" },
          },
        },
        missing: { spec: { ...spread(evenly({ topologyKey: "rack" })) } },
      });
    },
  },
  {
    name: "spreading-goes-on",
    async play(world) {
      await node(world, "on-a", { labels: { [zone]: "z1" } });
      await node(world, "on-b", { labels: { [zone]: "z2" }, unschedulable: true });
      await running(world, "w1", "on-a", began, { labels: { app: "web" } });
      await pod(world, "waits", { labels: { app: "web" }, spec: spread(evenly()) });
      await decided(world, "waits");
      await world.see("waits");
      await running(world, "w2", "on-b", began, { labels: { app: "web" } });
      await bound(world, "waits");
      await world.see("another came");
    },
  },
  {
    name: "scoring",
    async play(world) {
      const big = { cpu: "8", memory: "16Gi", pods: "110" };
      const images = (name: string, sizeBytes: number): object[] => [{ names: [name], sizeBytes }];
      await node(world, "score-a", { allocatable: big, labels: { disk: "ssd" } });
      await node(world, "score-b", { allocatable: { cpu: "4", memory: "4Gi", pods: "110" } });
      await node(world, "score-c", {
        allocatable: big,
        taints: [{ key: "soft", effect: "PreferNoSchedule" }],
        images: images("example/big:1", 900_000_000) as never,
      });
      await running(world, "load", "score-a", began, { requests: { cpu: "6", memory: "1Gi" } });
      const preferred = (weight: number, key: string): Spec => ({
        affinity: {
          nodeAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              { weight, preference: { matchExpressions: [{ key, operator: "Exists" }] } },
            ],
          },
        },
      });
      await each(world, {
        least: { requests: { cpu: "1", memory: "1Gi" } },
        soft: { requests: { cpu: "1", memory: "1Gi" }, spec: { tolerations: [{ key: "soft", operator: "Exists" }] } },
        preferred: { requests: { cpu: "500m", memory: "1Gi" }, spec: preferred(100, "disk") },
        image: {
          requests: { cpu: "1", memory: "3Gi" },
          spec: {
            tolerations: [{ operator: "Exists" }],
            containers: [{ name: "c", image: "example/big:1", resources: { requests: { cpu: "1" } } }],
          },
        },
        nothing: {},
        balanced: { requests: { cpu: "100m", memory: "3Gi" } },
      });
    },
  },
  {
    name: "scoring-near",
    async play(world) {
      await node(world, "pref-a", { labels: { [zone]: "z1" } });
      await node(world, "pref-b", { labels: { [zone]: "z2" } });
      await node(world, "pref-c", { labels: { [zone]: "z2" } });
      await running(world, "web", "pref-b", began, { labels: { app: "web" } });
      await running(world, "hermit", "pref-a", began, {
        labels: { app: "hermit" },
        spec: {
          affinity: {
            podAntiAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                { weight: 100, podAffinityTerm: { ...selects({ app: "new" }), topologyKey: zone } },
              ],
            },
          },
        },
      });
      const preferred = (side: string, ...terms: object[]): Spec => ({
        affinity: {
          [side]: {
            preferredDuringSchedulingIgnoredDuringExecution: terms.map((podAffinityTerm) => ({
              weight: 100,
              podAffinityTerm,
            })),
          },
        },
      });
      const onNode = { ...selects({ app: "web" }), topologyKey: "kubernetes.io/hostname" };
      await each(world, {
        near: { spec: preferred("podAffinity", onNode) },
        far: { spec: preferred("podAntiAffinity", { ...onNode, topologyKey: zone }) },
        new: { labels: { app: "new" }, spec: preferred("podAntiAffinity", onNode) },
      });
      await world.create({
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "s" },
        spec: { selector: { spread: "yes" }, ports: [{ port: 80 }] },
      });
      for (const name of ["s1", "s2", "s3"])
        await running(world, name, name === "s1" ? "pref-a" : "pref-b", began, { labels: { spread: "yes" } });
      await running(world, "s4", "pref-a", began, { labels: { spread: "yes" } });
      await pod(world, "s5", { labels: { spread: "yes" } });
      await bound(world, "s5");
      await world.see("a Service's pods spread");
    },
  },
  {
    name: "scoring-spread",
    async play(world) {
      for (const [name, where] of [
        ["any-a", "z1"],
        ["any-b", "z2"],
        ["any-c", "z2"],
      ] as const)
        await node(world, name, { labels: { [zone]: where } });
      await running(world, "w1", "any-a", began, { labels: { app: "web" } });
      await running(world, "w2", "any-b", began, { labels: { app: "web" } });
      const soft = (more: object = {}): Spec => spread(evenly({ whenUnsatisfiable: "ScheduleAnyway", ...more }));
      await each(world, {
        "by-host": { labels: { app: "web" }, spec: soft({ topologyKey: "kubernetes.io/hostname" }) },
        "by-both": {
          labels: { app: "web" },
          spec: spread(
            evenly({ whenUnsatisfiable: "ScheduleAnyway" }),
            evenly({ whenUnsatisfiable: "ScheduleAnyway", topologyKey: "kubernetes.io/hostname" }),
          ),
        },
      });
    },
  },
];
