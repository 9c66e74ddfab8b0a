import type { Container, Node, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";

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
