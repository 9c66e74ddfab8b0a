import { parseQuantity, type Quantity, type QuantityFormat, quantityOf } from "#shared/api/quantity.ts";
import { podLimits, podRequests, type ResourceAmounts } from "#shared/api/scheduling/pod-resources.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import { one, type QuotaAmounts } from "./amounts.ts";

const compute = ["cpu", "memory", "ephemeral-storage"];
const podNames: ReadonlySet<string> = new Set([
  "count/pods",
  "pods",
  ...compute.flatMap((name) => [name, `requests.${name}`, `limits.${name}`]),
]);
const standardInRequests = new Set([
  "requests.cpu",
  "requests.memory",
  "requests.ephemeral-storage",
  "requests.storage",
]);
/** Quotas on these make it a duty of every container to say how much it wants. */
const demanded = ["cpu", "memory"].flatMap((name) => [name, `requests.${name}`, `limits.${name}`]);

/** Whether pods are counted under a quota's name. */
export function isPodResource(name: string): boolean {
  if (podNames.has(name) || name.startsWith("hugepages-") || name.startsWith("requests.hugepages-")) return true;
  if (!name.startsWith("requests.") || standardInRequests.has(name)) return false;
  return isExtended(name.slice("requests.".length));
}

/** What a pod is charged: `count/pods` as long as it is stored, the rest until it has ended, or has been going for longer
 *  than its grace period. */
export function podUsage(pod: Pod, now_ms: number): QuotaAmounts {
  const usage = new Map<string, Quantity>([["count/pods", one]]);
  if (!isCharged(pod, now_ms)) return usage;
  usage.set("pods", one);
  const requests = asQuantities(pod, podRequests(pod, { useStatus: true }));
  const limits = asQuantities(pod, podLimits(pod));
  for (const name of compute) {
    const request = requests.get(name);
    const limit = limits.get(name);
    if (request) usage.set(name, request).set(`requests.${name}`, request);
    if (limit) usage.set(`limits.${name}`, limit);
  }
  for (const [name, request] of requests) {
    if (name.startsWith("hugepages-")) usage.set(name, request);
    if (name.startsWith("hugepages-") || isExtended(name)) usage.set(`requests.${name}`, request);
  }
  return usage;
}

/** Why a pod may not be made under a quota that limits `names`: a container does not say how much it wants. */
export function podConstraint(names: readonly string[], { spec }: Pod): string | undefined {
  const atPodLevel = [spec?.resources?.requests, spec?.resources?.limits].some(
    (list) => list && Object.keys(list).length > 0,
  );
  if (atPodLevel) return undefined;
  const missing = demanded
    .filter((name) => names.includes(name))
    .sort()
    .flatMap((name) => {
      const silent = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
        .filter((container) => !says(container, name))
        .map((container) => container.name);
      return silent.length > 0 ? [`${name} for: ${[...new Set(silent)].sort().join(",")}`] : [];
    });
  return missing.length > 0 ? `must specify ${missing.join("; ")}` : undefined;
}

function says({ resources }: Container, name: string): boolean {
  const [kind, resource] = name.includes(".") ? name.split(".") : ["requests", name];
  const list = kind === "limits" ? resources?.limits : resources?.requests;
  return list?.[resource ?? ""] !== undefined;
}

function isCharged({ metadata, status }: Pod, now_ms: number): boolean {
  if (status?.phase === "Failed" || status?.phase === "Succeeded") return false;
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds === undefined) return true;
  return now_ms <= Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000;
}

/** Not one of Kubernetes' own: it has a domain, and that is not kubernetes.io. */
function isExtended(name: string): boolean {
  return name.includes("/") && !/(^|\.)kubernetes\.io\//.test(name);
}

/** Amounts in the notation in which the pod gives them, so that a used of `252Mi` does not read as bytes. */
function asQuantities(pod: Pod, amounts: ResourceAmounts): Map<string, Quantity> {
  return new Map(
    [...amounts].map(([name, amount]) => [
      name,
      name === "cpu" ? quantityOf(amount, "DecimalSI", -3) : quantityOf(amount, formatOf(pod, name)),
    ]),
  );
}

function formatOf({ spec }: Pod, name: string): QuantityFormat {
  for (const { resources } of [
    { resources: spec?.resources },
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []),
  ]) {
    const value = resources?.requests?.[name] ?? resources?.limits?.[name];
    if (value !== undefined) return parseQuantity(value).format;
  }
  return "DecimalSI";
}
