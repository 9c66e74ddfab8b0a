import { milliValue } from "#shared/api/quantity.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { Container, Pod, ResourceFieldSelector } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceList } from "../pod-qos.ts";

export interface PodFacts {
  readonly pod: Pod;
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  /** What the board has for pods: the limit of a container that sets none. */
  readonly allocatable: ResourceList;
}

/** Value of a downward API field. Throws Error with upstream's wording for one that is not offered. */
export function fieldValue(fieldPath: string, facts: PodFacts): string {
  const { pod } = facts;
  const { metadata, spec, status } = pod;
  const subscript = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/.exec(fieldPath);
  if (subscript) {
    const [, path, key = ""] = subscript;
    return (path === "metadata.labels" ? metadata.labels : metadata.annotations)?.[key] ?? "";
  }
  switch (fieldPath) {
    case "metadata.annotations":
      return formatMap(metadata.annotations);
    case "metadata.labels":
      return formatMap(metadata.labels);
    case "metadata.name":
      return metadata.name ?? "";
    case "metadata.namespace":
      return metadata.namespace ?? "";
    case "metadata.uid":
      return metadata.uid ?? "";
    case "spec.nodeName":
    case "spec.host":
      return spec.nodeName ?? "";
    case "spec.serviceAccountName":
      return spec.serviceAccountName ?? "";
    case "spec.restartPolicy":
      return spec.restartPolicy ?? "";
    case "spec.schedulerName":
      return spec.schedulerName ?? "";
    case "status.phase":
      return status?.phase ?? "";
    case "status.hostIP":
      return facts.hostIPs[0] ?? "";
    case "status.hostIPs":
      return facts.hostIPs.join(",");
    case "status.podIP":
      return facts.podIPs[0] ?? "";
    case "status.podIPs":
      return facts.podIPs.join(",");
    default:
      throw new Error(`field label not supported: ${fieldPath}`);
  }
}

/** `key="value"` lines, sorted by key, values quoted as Go does. */
export function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.keys(map ?? {})
    .sort()
    .map((key) => `${key}=${goQuote(map?.[key] ?? "")}`)
    .join("\n");
}

/** Value of `limits.cpu` and the like, in units of the divisor and rounded up. Throws Error for what is not offered. */
export function resourceFieldValue(selector: ResourceFieldSelector, container: Container, facts: PodFacts): string {
  const [kind, name = ""] = splitOnce(selector.resource, ".");
  const known = ["cpu", "memory", "ephemeral-storage"].includes(name) || name.startsWith("hugepages-");
  if ((kind !== "limits" && kind !== "requests") || !known) {
    throw new Error(`unsupported container resource : ${selector.resource}`);
  }
  const { limits = {}, requests = {} } = container.resources ?? {};
  const value =
    kind === "limits" ? (nonZero(limits[name]) ?? limitAround(name, facts)) : (requests[name] ?? limits[name]);
  const divisor_m = nonZero(selector.divisor) === undefined ? 1000 : milliValue(selector.divisor ?? 1);
  const value_m = value === undefined ? 0 : milliValue(value);
  if (name === "cpu") return String(Math.ceil(value_m / divisor_m));
  return String(Math.ceil(Math.ceil(value_m / 1000) / Math.max(1, Math.ceil(divisor_m / 1000))));
}

/** What a container without a limit of its own may take: what its pod may (KEP-2837), else what the board has; of huge pages none. */
function limitAround(name: string, { pod, allocatable }: PodFacts): string | number | undefined {
  if (name.startsWith("hugepages-")) return undefined;
  const ofPod = name === "cpu" || name === "memory" ? pod.spec.resources?.limits?.[name] : undefined;
  return nonZero(ofPod) ?? allocatable[name];
}

function nonZero(value: string | number | undefined): string | number | undefined {
  return value === undefined || milliValue(value) === 0 ? undefined : value;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
