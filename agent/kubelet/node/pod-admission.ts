import type {
  Node,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Pod,
  Taint,
  Toleration,
} from "#shared/api/types/core-v1.generated.ts";
import { isStaticPod } from "../pod-containers.ts";
import { milliOf } from "../pod-qos.ts";
import { podRequests_m } from "./pod-requests.ts";

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/**
 * May a pod start on this node beside the others? The checks of the scheduler that a node repeats, because a pod may
 * come without one. Reasons and messages as upstream's (`OutOfcpu`, `NodeAffinity`, `NodePorts`).
 */
export function refuse(pod: Pod, node: Node, others: readonly Pod[]): Refusal | undefined {
  const lacking = lackingResource(pod, node, others);
  if (lacking) return lacking;
  if (pod.spec.os && pod.spec.os.name !== "linux") {
    const message = "Failed to admit pod as the OS field doesn't match node OS";
    return { reason: "PodOSNotSupported", message };
  }
  if (isStaticPod(pod)) return undefined;
  if (!matchesNode(pod, node)) {
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

function lackingResource(pod: Pod, node: Node, others: readonly Pod[]): Refusal | undefined {
  const allocatable = node.status?.allocatable ?? {};
  const pods = Math.floor(milliOf(allocatable, "pods") / 1000);
  if (others.length + 1 > pods) return outOf("pods", 1, others.length, pods);
  const used = new Map<string, number>();
  for (const other of others) {
    for (const [name, value] of podRequests_m(other)) used.set(name, (used.get(name) ?? 0) + value);
  }
  for (const [name, wanted] of podRequests_m(pod)) {
    // A resource that this node does not count is the device plugin's business.
    if (wanted === 0 || (allocatable[name] === undefined && name.includes("/"))) continue;
    const capacity = milliOf(allocatable, name);
    const taken = used.get(name) ?? 0;
    if (taken + wanted <= capacity) continue;
    const unit = name === "cpu" ? 1 : 1000;
    return outOf(name, Math.ceil(wanted / unit), Math.ceil(taken / unit), Math.floor(capacity / unit));
  }
  return undefined;
}

const outOf = (resource: string, wanted: number, used: number, capacity: number): Refusal => ({
  reason: `OutOf${resource}`,
  message: `Node didn't have enough resource: ${resource}, requested: ${wanted}, used: ${used}, capacity: ${capacity}`,
});

/** nodeSelector and required node affinity. */
export function matchesNode(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  const selector = pod.spec.nodeSelector ?? {};
  if (!Object.entries(selector).every(([key, value]) => labels[key] === value)) return false;
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || required.nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  const fields: Record<string, string | undefined> = { "metadata.name": node.metadata.name };
  return (
    matchExpressions.every((requirement) => matchesRequirement(requirement, labels[requirement.key])) &&
    matchFields.every((requirement) => matchesRequirement(requirement, fields[requirement.key]))
  );
}

function matchesRequirement({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number(value) > Number(values[0]);
    case "Lt":
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
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

function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === "Exists") return true;
  return toleration.key !== undefined && (toleration.value ?? "") === (taint.value ?? "");
}
