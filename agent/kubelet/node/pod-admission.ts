import { matchesNodeSelection } from "#shared/api/scheduling/node-affinity.ts";
import { addAmounts, amountsOf, podRequests } from "#shared/api/scheduling/pod-resources.ts";
import { tolerates } from "#shared/api/scheduling/taints.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { isStaticPod } from "../pod-containers.ts";
import { refuseUnderPressure } from "./eviction.ts";
import { refuseSysctls } from "./sysctls.ts";

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/**
 * May a pod start on this node beside the others? The checks of the scheduler that a node repeats, because a pod may
 * come without one. Reasons and messages as upstream's (`OutOfcpu`, `NodeAffinity`, `NodePorts`).
 */
export function refuse(pod: Pod, node: Node, others: readonly Pod[]): Refusal | undefined {
  const beyond =
    refuseUnderPressure(pod, node.status?.conditions ?? []) ?? refuseSysctls(pod) ?? lackingResource(pod, node, others);
  if (beyond) return beyond;
  if (pod.spec.os && pod.spec.os.name !== "linux") {
    const message = "Failed to admit pod as the OS field doesn't match node OS";
    return { reason: "PodOSNotSupported", message };
  }
  if (wantsStrictGroups(pod) && node.status?.features?.supplementalGroupsPolicy !== true) {
    const message = "SupplementalGroupsPolicy=Strict is not supported in this node";
    return { reason: "SupplementalGroupsPolicyNotSupported", message };
  }
  if (isStaticPod(pod)) return undefined;
  if (!matchesNodeSelection(pod, node)) {
    return {
      reason: "NodeAffinity",
      message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    };
  }
  if (portsClash(pod, others)) {
    return {
      reason: "NodePorts",
      message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
    };
  }
  const untolerated = (node.spec.taints ?? []).some(
    (taint) =>
      taint.effect === "NoExecute" && !pod.spec.tolerations?.some((toleration) => tolerates(toleration, taint)),
  );
  return untolerated ? { reason: "TaintToleration", message: "Predicate TaintToleration failed" } : undefined;
}

/** To run it with more groups than it asks for would open to it what it must not have. */
const wantsStrictGroups = ({ spec }: Pod): boolean => spec.securityContext?.supplementalGroupsPolicy === "Strict";

function lackingResource(pod: Pod, node: Node, others: readonly Pod[]): Refusal | undefined {
  const allocatable = amountsOf(node.status?.allocatable);
  const pods = allocatable.get("pods") ?? 0;
  if (others.length + 1 > pods) return outOf("pods", 1, others.length, pods);
  const used = new Map<string, number>();
  for (const other of others) addAmounts(used, podRequests(other));
  for (const [name, wanted] of podRequests(pod)) {
    const capacity = allocatable.get(name);
    // A resource that this node does not count is the device plugin's business.
    if (wanted === 0 || (capacity === undefined && name.includes("/"))) continue;
    const taken = used.get(name) ?? 0;
    if (taken + wanted > (capacity ?? 0)) return outOf(name, wanted, taken, capacity ?? 0);
  }
  return undefined;
}

const outOf = (resource: string, wanted: number, used: number, capacity: number): Refusal => ({
  reason: `OutOf${resource}`,
  message: `Node didn't have enough resource: ${resource}, requested: ${wanted}, used: ${used}, capacity: ${capacity}`,
});

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
