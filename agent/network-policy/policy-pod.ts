import type { Pod } from "#shared/api/types/core-v1.generated.ts";

/** What NetworkPolicies ask about a pod. */
export interface PolicyPod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the pod network, of both families. */
  readonly ips: readonly string[];
  readonly namedPorts: readonly NamedPort[];
  /** Does it run on this board? Only those are isolated here. */
  readonly isLocal: boolean;
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

/** undefined for pods that policies do not reach: ended ones, whose address may be another's by now, and those on the
 *  host's network, whose traffic is the board's. */
export function policyPod(pod: Pod, nodeName: string): PolicyPod | undefined {
  const { metadata, spec, status } = pod;
  if (!spec || spec.hostNetwork || status?.phase === "Succeeded" || status?.phase === "Failed") return undefined;
  // Sidecars count as containers: their ports are open as long.
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  return {
    uid: metadata.uid ?? "",
    namespace: metadata.namespace ?? "",
    name: metadata.name ?? "",
    labels: metadata.labels ?? {},
    ips: (status?.podIPs ?? []).map(({ ip }) => ip).concat(status?.podIPs?.length ? [] : (status?.podIP ?? [])),
    namedPorts: containers.flatMap(({ ports }) =>
      (ports ?? []).flatMap(({ name, protocol = "TCP", containerPort }) =>
        name === undefined ? [] : [{ name, protocol, port: containerPort }],
      ),
    ),
    isLocal: spec.nodeName === nodeName,
  };
}

/** The pod with nothing but what `policyPod` reads, for a cache of all pods of the cluster. */
export function policyPartOf(pod: Pod): Pod {
  const { name, namespace, uid, labels, resourceVersion } = pod.metadata;
  const named = (containers: NonNullable<Pod["spec"]>["containers"] | undefined) =>
    (containers ?? [])
      .map((container) => ({ name: container.name, ports: (container.ports ?? []).filter((port) => port.name) }))
      .filter(({ ports }) => ports.length > 0);
  const { phase, podIP, podIPs } = pod.status ?? {};
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, uid, labels, resourceVersion },
    spec: {
      nodeName: pod.spec?.nodeName,
      hostNetwork: pod.spec?.hostNetwork,
      containers: named(pod.spec?.containers),
      initContainers: named(pod.spec?.initContainers),
    },
    status: { phase, podIP, podIPs },
  };
}
