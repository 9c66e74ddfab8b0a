import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { namespaces } from "#shared/api/resources.ts";
import type { Container, Node, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { PodDisruptionBudget } from "#shared/api/types/policy-v1.generated.ts";
import { ObjectStore } from "#shared/client/store-index.ts";
import { ClusterCache } from "./cluster-cache.ts";
import { defaultProfile } from "./configuration/profile.ts";
import { type Decision, decide, explainUnfit, type SearchQuestion } from "./cycle.ts";
import type { ClusterView } from "./framework.ts";
import { NominatedPods } from "./nominated-pods.ts";
import { PodInfo } from "./pod-info.ts";
import { preemptionCandidates, preemptionPlan } from "./preemption.ts";

let sequence = 0;

/** A pod for tests: what is not said is as small as can be. */
export function testPod(
  name: string,
  spec: Partial<PodSpec> = {},
  options: {
    readonly requests?: Record<string, string> | undefined;
    readonly labels?: Record<string, string> | undefined;
    readonly namespace?: string | undefined;
    readonly status?: Pod["status"];
  } = {},
): Pod {
  const container: Container = {
    name: "main",
    image: "example/image:1",
    ...(options.requests ? { resources: { requests: options.requests } } : {}),
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: options.namespace ?? "default",
      uid: `uid-${name}-${sequence++}`,
      ...(options.labels ? { labels: options.labels } : {}),
    },
    spec: { containers: [container], schedulerName: "default-scheduler", ...spec },
    ...(options.status ? { status: options.status } : {}),
  };
}

export function testNode(
  name: string,
  options: {
    readonly allocatable?: Record<string, string> | undefined;
    readonly labels?: Record<string, string> | undefined;
    readonly spec?: Node["spec"];
    readonly images?: NonNullable<Node["status"]>["images"];
  } = {},
): Node {
  const allocatable = { cpu: "4", memory: "4Gi", pods: "110", ...options.allocatable };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, ...options.labels } },
    spec: options.spec ?? {},
    status: { allocatable, capacity: allocatable, ...(options.images ? { images: options.images } : {}) },
  };
}

const { plugins: defaultPlugins, preemption = { minCandidateNodesPercentage: 10, minCandidateNodesAbsolute: 100 } } =
  defaultProfile();

/** A cluster that stands still, for decisions of upstream's default profile. */
export class TestCluster {
  readonly cache = new ClusterCache();
  readonly nominated = new NominatedPods();
  readonly stores = new Map<string, ObjectStore<KubeObject>>();

  constructor(
    nodes: readonly Node[],
    pods: readonly (readonly [Pod, string])[] = [],
    objects: readonly [ResourceRef<never>, KubeObject][] = [],
  ) {
    for (const node of nodes) this.cache.setNode(node);
    for (const [pod, nodeName] of pods)
      this.cache.setPod({ ...pod, spec: { ...(pod.spec ?? { containers: [] }), nodeName } });
    for (const [ref, object] of objects) this.store(ref).set(object);
  }

  store(ref: ResourceRef<never>): ObjectStore<KubeObject> {
    const known = this.stores.get(ref.plural) ?? new ObjectStore<KubeObject>();
    this.stores.set(ref.plural, known);
    return known;
  }

  readonly view: ClusterView = {
    nodes: () => this.cache.nodes(),
    node: (name) => this.cache.node(name),
    namespaceLabels: (name) => this.store(namespaces as ResourceRef<never>).get(name)?.metadata.labels ?? {},
    lister: (ref) => this.store(ref as ResourceRef<never>) as never,
  };

  question(pod: PodInfo): SearchQuestion {
    const { view: cluster, nominated } = this;
    return { pod, plugins: defaultPlugins, cluster, nominated, search: { nextStart: 0 } };
  }

  decide(pod: Pod, random = 0): Decision {
    return decide(this.question(new PodInfo(pod)), () => random);
  }

  node(pod: Pod): string {
    const decision = this.decide(pod);
    return decision.kind === "fits" ? decision.node : explainUnfit(decision);
  }

  preempt(pod: Pod, budgets: readonly PodDisruptionBudget[] = []) {
    const decision = this.decide(pod);
    if (decision.kind === "fits") throw new Error("it fits");
    return preemptionPlan(preemptionCandidates(this.question(new PodInfo(pod)), decision, budgets, preemption));
  }
}
