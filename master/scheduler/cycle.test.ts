import { describe, expect, test } from "bun:test";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { namespaces } from "#shared/api/resources.ts";
import type { PodDisruptionBudget } from "#shared/api/types/policy-v1.generated.ts";
import { explainUnfit, feasibleWanted, type Unfit } from "./cycle.ts";
import { PodInfo } from "./pod-info.ts";
import { TestCluster, testNode, testPod } from "./testing.ts";

describe("resources", () => {
  const nodes = [
    testNode("a", { allocatable: { cpu: "1", memory: "1Gi" } }),
    testNode("b", { allocatable: { cpu: "2", memory: "2Gi" } }),
  ];

  test("a pod goes where it fits", () => {
    expect(new TestCluster(nodes).node(testPod("p", {}, { requests: { cpu: "1500m" } }))).toBe("b");
  });

  test("the emptier node is better", () => {
    const busy = testPod("busy", {}, { requests: { cpu: "1900m" } });
    expect(new TestCluster(nodes, [[busy, "b"]]).node(testPod("p", {}, { requests: { cpu: "100m" } }))).toBe("a");
  });

  test("says what is lacking, as upstream words it", () => {
    const cluster = new TestCluster([
      ...nodes,
      testNode("c", { spec: { taints: [{ key: "dedicated", value: "x", effect: "NoSchedule" }] } }),
      testNode("d", { spec: { unschedulable: true } }),
    ]);
    expect(cluster.node(testPod("p", {}, { requests: { cpu: "3", memory: "1500Mi", "example.com/gpu": "1" } }))).toBe(
      "0/4 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, 2 Insufficient cpu, 2 Insufficient example.com/gpu.",
    );
  });

  test("the number of pods is a resource", () => {
    const cluster = new TestCluster([testNode("a", { allocatable: { pods: "1" } })], [[testPod("x"), "a"]]);
    expect(cluster.node(testPod("p"))).toBe("0/1 nodes are available: 1 Too many pods.");
  });

  test("ended pods give their room back", () => {
    const done = testPod("done", {}, { requests: { cpu: "2" }, status: { phase: "Succeeded" } });
    expect(new TestCluster(nodes, [[done, "b"]]).node(testPod("p", {}, { requests: { cpu: "2" } }))).toBe("b");
  });
});

describe("node selection", () => {
  const nodes = [
    testNode("a", { labels: { disk: "ssd", size: "4" } }),
    testNode("b", { labels: { disk: "sd", size: "8" } }),
  ];
  const term = (key: string, operator: string, values?: string[]) => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key, operator, ...(values ? { values } : {}) }] }],
        },
      },
    },
  });

  test("nodeSelector and required affinity", () => {
    const cluster = new TestCluster(nodes);
    expect(cluster.node(testPod("p", { nodeSelector: { disk: "ssd" } }))).toBe("a");
    expect(cluster.node(testPod("p", term("disk", "NotIn", ["ssd"])))).toBe("b");
    expect(cluster.node(testPod("p", term("size", "Gt", ["5"])))).toBe("b");
    expect(cluster.node(testPod("p", term("none", "Exists")))).toBe(
      "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
    );
  });

  test("a pin by name looks at that node alone", () => {
    const pin = (name: string) => ({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: [name] }] }],
          },
        },
      },
    });
    expect(new TestCluster(nodes).node(testPod("p", pin("b")))).toBe("b");
    expect(new TestCluster(nodes).node(testPod("p", pin("c")))).toBe(
      "0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity].",
    );
  });

  test("preferred affinity outweighs nothing else", () => {
    const prefer = {
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 10, preference: { matchExpressions: [{ key: "disk", operator: "In", values: ["sd"] }] } },
          ],
        },
      },
    };
    expect(new TestCluster(nodes).node(testPod("p", prefer))).toBe("b");
  });

  test("PreferNoSchedule makes a node less liked", () => {
    const tainted = testNode("a", { spec: { taints: [{ key: "k", effect: "PreferNoSchedule" }] } });
    expect(new TestCluster([tainted, testNode("b")]).node(testPod("p"))).toBe("b");
  });

  test("host ports", () => {
    const ports = (hostIP?: string) => ({
      containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 80, ...(hostIP ? { hostIP } : {}) }] }],
    });
    const cluster = new TestCluster([testNode("a")], [[testPod("x", ports("10.0.0.1")), "a"]]);
    expect(cluster.node(testPod("p", ports()))).toContain("didn't have free ports");
    expect(cluster.node(testPod("p", ports("10.0.0.2")))).toBe("a");
  });
});

describe("pods beside pods", () => {
  const nodes = ["a", "b", "c"].map((name, index) => testNode(name, { labels: { zone: index < 2 ? "z1" : "z2" } }));
  const web = { labels: { app: "web" } };
  const anti = (topologyKey: string) => ({
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchLabels: { app: "web" } }, topologyKey },
        ],
      },
    },
  });
  const near = (topologyKey: string) => ({
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchLabels: { app: "web" } }, topologyKey },
        ],
      },
    },
  });

  test("anti-affinity keeps away, in both directions", () => {
    expect(new TestCluster(nodes, [[testPod("x", {}, web), "a"]]).node(testPod("p", anti("zone"), web))).toBe("c");
    expect(new TestCluster(nodes, [[testPod("x", anti("zone"), web), "a"]]).node(testPod("p", {}, web))).toBe("c");
    expect(
      new TestCluster(nodes, [
        [testPod("x", {}, web), "a"],
        [testPod("y", {}, web), "c"],
      ]).node(testPod("p", anti("zone"))),
    ).toBe("0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.");
  });

  test("affinity draws near; the first of a group may go anywhere", () => {
    expect(new TestCluster(nodes, [[testPod("x", {}, web), "c"]]).node(testPod("p", near("zone")))).toBe("c");
    expect(new TestCluster(nodes).node(testPod("p", near("zone"), web))).toBe("a");
    expect(new TestCluster(nodes).node(testPod("p", near("zone")))).toBe(
      "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.",
    );
  });

  test("namespace selectors", () => {
    const other = testPod("x", {}, { ...web, namespace: "other" });
    const spec = near("zone");
    const [required] = spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution;
    const spread = {
      affinity: {
        podAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { topologyKey: "zone", ...required, namespaceSelector: { matchLabels: { team: "t" } } },
          ],
        },
      },
    };
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "other", labels: { team: "t" } } };
    const cluster = new TestCluster(nodes, [[other, "c"]], [[namespaces as ResourceRef<never>, namespace]]);
    expect(cluster.node(testPod("p", spread))).toBe("c");
    expect(cluster.node(testPod("p", spec))).toContain("didn't match pod affinity rules");
  });

  test("hard topology spread", () => {
    const spread = {
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "zone",
          whenUnsatisfiable: "DoNotSchedule",
          labelSelector: { matchLabels: { app: "web" } },
        },
      ],
    };
    const cluster = new TestCluster(nodes, [[testPod("x", {}, web), "a"]]);
    expect(cluster.node(testPod("p", spread, web))).toBe("c");
    expect(new TestCluster([testNode("n")]).node(testPod("p", spread, web))).toBe(
      "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label).",
    );
  });

  test("soft topology spread", () => {
    const spread = {
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: { app: "web" } },
        },
      ],
    };
    const cluster = new TestCluster(nodes, [
      [testPod("x", {}, web), "a"],
      [testPod("y", {}, web), "c"],
    ]);
    expect(cluster.node(testPod("p", spread, web))).toBe("b");
  });
});

describe("preemption", () => {
  const low = (
    name: string,
    cpu: string,
    options: { priority?: number; labels?: Record<string, string>; start?: string } = {},
  ) =>
    testPod(
      name,
      { priority: options.priority ?? 0 },
      {
        requests: { cpu },
        ...(options.labels ? { labels: options.labels } : {}),
        status: { startTime: options.start ?? "2026-01-01T00:00:00Z" },
      },
    );
  const high = (cpu: string, spec = {}) => testPod("high", { priority: 100, ...spec }, { requests: { cpu } });

  test("takes as few as needed and spares the important", () => {
    const cluster = new TestCluster(
      [testNode("a", { allocatable: { cpu: "3" } })],
      [
        [low("x", "1", { priority: 1 }), "a"],
        [low("y", "1", { priority: 2 }), "a"],
        [low("z", "1", { priority: 3 }), "a"],
      ],
    );
    const plan = cluster.preempt(high("2"));
    if (plan.kind !== "preempt") throw new Error("no preemption");
    expect(plan.candidate.victims.map(({ key }) => key)).toEqual(["default/y", "default/x"]);
  });

  test("chooses the node that hurts least", () => {
    const nodes = ["a", "b"].map((name) => testNode(name, { allocatable: { cpu: "1" } }));
    const cluster = new TestCluster(nodes, [
      [low("x", "1", { priority: 5 }), "a"],
      [low("y", "1", { priority: 4 }), "b"],
    ]);
    expect(cluster.preempt(high("1"))).toMatchObject({ kind: "preempt", candidate: { node: "b" } });
  });

  test("respects disruption budgets where it can", () => {
    const nodes = ["a", "b"].map((name) => testNode(name, { allocatable: { cpu: "1" } }));
    const cluster = new TestCluster(nodes, [
      [low("x", "1", { priority: 5 }), "a"],
      [low("y", "1", { priority: 4, labels: { app: "db" } }), "b"],
    ]);
    const budget: PodDisruptionBudget = {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "db", namespace: "default" },
      spec: { selector: { matchLabels: { app: "db" } } },
      status: { disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
    };
    expect(cluster.preempt(high("1"), [budget])).toMatchObject({ kind: "preempt", candidate: { node: "a" } });
  });

  test("does not help where the node is too small or the pods are as important", () => {
    const cluster = new TestCluster(
      [testNode("a", { allocatable: { cpu: "1" } }), testNode("b", { allocatable: { cpu: "4" } })],
      [
        [low("x", "1"), "a"],
        [low("y", "4", { priority: 100 }), "b"],
      ],
    );
    const unfit = cluster.decide(high("2")) as Unfit;
    const plan = cluster.preempt(high("2"));
    expect(plan).toEqual({
      kind: "none",
      clearNomination: true,
      message:
        "preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.",
    });
    expect(explainUnfit(unfit, plan.kind === "none" ? plan.message : "")).toBe(
      "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.",
    );
    expect(cluster.preempt(high("2", { preemptionPolicy: "Never" }))).toMatchObject({
      message: "preemption: not eligible due to preemptionPolicy=Never.",
    });
  });

  test("nominated pods keep their room against those of lower priority", () => {
    const cluster = new TestCluster([testNode("a", { allocatable: { cpu: "1" } })]);
    cluster.nominated.nominate(new PodInfo(high("1")), "a");
    expect(cluster.node(low("x", "1"))).toBe("0/1 nodes are available: 1 Insufficient cpu.");
    expect(cluster.node(low("x", "1", { priority: 200 }))).toBe("a");
  });
});

test("a big fleet is searched in part", () => {
  expect([50, 100, 1000, 5000].map((nodes) => feasibleWanted(nodes))).toEqual([50, 100, 420, 500]);
});

test("without nodes no plugin has rejected a pod: whatever changes may help", () => {
  const volumes = [{ name: "v", persistentVolumeClaim: { claimName: "missing" } }];
  const unfit = new TestCluster([]).decide(testPod("p", { volumes })) as Unfit;
  expect([unfit.nodeCount, unfit.general, [...unfit.plugins]]).toEqual([0, undefined, []]);
});

test("what is wrong with a pod before its devices are looked at leaves nothing to say of them, and no room to make", () => {
  const volumes = [{ name: "v", persistentVolumeClaim: { claimName: "missing" } }];
  const unfit = new TestCluster([testNode("a")]).decide(testPod("p", { volumes })) as Unfit;
  expect([explainUnfit(unfit), unfit.postFilterFailure]).toEqual([
    '0/1 nodes are available: persistentvolumeclaim "missing" not found.',
    "not found",
  ]);
});

test("a pod whose nominated node was not even looked at may take others' places", () => {
  const going = testPod(
    "going",
    { priority: 1 },
    { status: { conditions: [{ type: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler" }] } },
  );
  going.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
  const cluster = new TestCluster([testNode("a"), testNode("b")], [[going, "a"]]);
  const pinned = { key: "metadata.name", operator: "In", values: ["b"] };
  const affinity = {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields: [pinned] }] },
    },
  };
  const high = testPod(
    "high",
    { priority: 9, affinity },
    { requests: { cpu: "9" }, status: { nominatedNodeName: "a" } },
  );
  expect(cluster.preempt(high)).toMatchObject({ kind: "none", clearNomination: true });
});
