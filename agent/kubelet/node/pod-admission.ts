import { matchesNodeSelection } from "#shared/api/scheduling/node-affinity.ts";
import { addAmounts, amountsOf, podRequests } from "#shared/api/scheduling/pod-resources.ts";
import { tolerates } from "#shared/api/scheduling/taints.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { isStaticPod } from "../pod-containers.ts";
import { unfitSpec } from "../unfit-pod.ts";
import { refuseUnderPressure } from "./eviction.ts";
import { refuseSysctls, type SysctlPattern } from "./sysctls.ts";

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** What stands in the way of a pod on this node: too little of a resource, or another check of the scheduler's. */
export type Obstacle =
  | {
      readonly kind: "resource";
      readonly resource: string;
      /** Amounts in the unit of the resource: `cpu` in millicores, everything else whole. */
      readonly wanted: number;
      readonly used: number;
      readonly capacity: number;
    }
  | { readonly kind: "predicate"; readonly name: "NodeAffinity" | "NodePorts" | "TaintToleration" };

const whyNot = {
  NodeAffinity: "node(s) didn't match Pod's node affinity/selector",
  NodePorts: "node(s) didn't have free ports for the requested pod ports",
  TaintToleration: "node(s) had taints that the pod didn't tolerate",
} as const;

/**
 * May a pod start on this node beside the others? The checks of the scheduler that a node repeats, because a pod may
 * come without one. Reasons and messages as upstream's (`OutOfcpu`, `NodeAffinity`, `NodePorts`).
 */
export function refuse(pod: Pod, node: Node, others: readonly Pod[]): Refusal | undefined {
  const [first] = obstacles(pod, node, others);
  return refuseOutright(pod, node) ?? refuseUnfit(pod, node) ?? (first && refusalOf(first));
}

/** What no board could run. */
export function refuseInvalid(pod: Pod): Refusal | undefined {
  const unfit = unfitSpec(pod);
  return unfit === undefined ? undefined : { reason: "FailedValidation", message: `Error validating pod: ${unfit}` };
}

/** Before anything is set aside for the pod. */
export function refuseOutright(pod: Pod, node: Node, sysctls: readonly SysctlPattern[] = []): Refusal | undefined {
  return refuseUnderPressure(pod, node.status?.conditions ?? []) ?? refuseSysctls(pod, sysctls);
}

/** What no room on the node would mend. */
export function refuseUnfit(pod: Pod, node: Node): Refusal | undefined {
  const os = pod.metadata.labels?.["kubernetes.io/os"];
  if (os !== undefined && os !== "linux") {
    const message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
    return { reason: "PodOSSelectorNodeLabelDoesNotMatch", message };
  }
  if (pod.spec.os && pod.spec.os.name !== "linux") {
    const message = "Failed to admit pod as the OS field doesn't match node OS";
    return { reason: "PodOSNotSupported", message };
  }
  if (wantsStrictGroups(pod) && node.status?.features?.supplementalGroupsPolicy !== true) {
    const message = "SupplementalGroupsPolicy=Strict is not supported in this node";
    return { reason: "SupplementalGroupsPolicyNotSupported", message };
  }
  return undefined;
}

/** All that stands in the pod's way, in the order in which upstream looks: it is refused for the first. */
export function obstacles(pod: Pod, node: Node, others: readonly Pod[]): Obstacle[] {
  const predicate = (name: keyof typeof whyNot): Obstacle => ({ kind: "predicate", name });
  return [
    ...lackingResources(pod, node, others),
    ...(matchesNodeSelection(pod, node) ? [] : [predicate("NodeAffinity")]),
    ...(portsClash(pod, others) ? [predicate("NodePorts")] : []),
    ...(isStaticPod(pod) || toleratesNode(pod, node) ? [] : [predicate("TaintToleration")]),
  ];
}

/** The obstacle in the words of upstream's kubelet, as the pod's status tells them. */
export function refusalOf(obstacle: Obstacle): Refusal {
  if (obstacle.kind === "predicate") {
    const { name } = obstacle;
    return { reason: name, message: `Predicate ${name} failed: ${whyNot[name]}` };
  }
  const { resource, wanted, used, capacity } = obstacle;
  const amounts = `requested: ${wanted}, used: ${used}, capacity: ${capacity}`;
  return { reason: `OutOf${resource}`, message: `Node didn't have enough resource: ${resource}, ${amounts}` };
}

/** To run it with more groups than it asks for would open to it what it must not have. */
const wantsStrictGroups = ({ spec }: Pod): boolean => spec.securityContext?.supplementalGroupsPolicy === "Strict";

const toleratesNode = (pod: Pod, node: Node): boolean =>
  (node.spec.taints ?? []).every(
    (taint) => taint.effect !== "NoExecute" || pod.spec.tolerations?.some((toleration) => tolerates(toleration, taint)),
  );

/** Upstream's order: the number of pods, then what every node has, then the rest. */
const lookedAtFirst = ["cpu", "memory", "ephemeral-storage"];

function lackingResources(pod: Pod, node: Node, others: readonly Pod[]): Obstacle[] {
  const allocatable = amountsOf(node.status?.allocatable);
  const used = new Map([["pods", others.length]]);
  for (const other of others) addAmounts(used, podRequests(other));
  const requests = podRequests(pod);
  const names = new Set([...lookedAtFirst.filter((name) => requests.has(name)), ...requests.keys()]);
  const wants: [string, number][] = [
    ["pods", 1],
    ...[...names].map((name): [string, number] => [name, requests.get(name) ?? 0]),
  ];
  return wants.flatMap(([resource, wanted]) => {
    const capacity = allocatable.get(resource);
    // A resource that this node does not count is the device plugin's business.
    if (wanted === 0 || (capacity === undefined && resource.includes("/"))) return [];
    const taken = used.get(resource) ?? 0;
    if (taken + wanted <= (capacity ?? 0)) return [];
    return [{ kind: "resource", resource, wanted, used: taken, capacity: capacity ?? 0 }];
  });
}

function portsClash(pod: Pod, others: readonly Pod[]): boolean {
  const taken = others.flatMap(hostPorts);
  return hostPorts(pod).some((port) =>
    taken.some(
      (other) =>
        other.port === port.port &&
        other.protocol === port.protocol &&
        (other.ip === port.ip || isAny(other.ip) || isAny(port.ip)),
    ),
  );
}

const isAny = (ip: string): boolean => ip === "0.0.0.0" || ip === "::";

function hostPorts({ spec }: Pod): { port: number; protocol: string; ip: string }[] {
  return [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, protocol = "TCP", hostIP }) =>
      hostPort ? [{ port: hostPort, protocol, ip: hostIP || "0.0.0.0" }] : [],
    ),
  );
}
