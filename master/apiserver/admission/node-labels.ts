/** Labels in kubernetes.io and k8s.io that a kubelet may set on its own Node. */
const kubeletLabels = new Set([
  "kubernetes.io/hostname",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
  "node.kubernetes.io/instance-type",
  "beta.kubernetes.io/instance-type",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
]);
const kubeletNamespaces = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const restricted = "node-restriction.kubernetes.io";

type Labels = Readonly<Record<string, string>>;

/** Keys that a node has changed and may not, sorted. Labels in other domains are free. */
export function forbiddenNodeLabels(labels: Labels, old: Labels): string[] {
  const changed = new Set([...Object.keys(labels), ...Object.keys(old)].filter((key) => labels[key] !== old[key]));
  return [...changed].filter(isForbidden).sort();
}

/** Keys of labels by which somebody keeps pods to a node or away from it, sorted. */
export const restrictedNodeLabels = (labels: Labels): string[] =>
  Object.keys(labels)
    .filter((key) => isWithin(domainOf(key), restricted))
    .sort();

const domainOf = (key: string): string => key.slice(0, Math.max(0, key.indexOf("/")));

function isForbidden(key: string): boolean {
  const namespace = domainOf(key);
  if (isWithin(namespace, restricted)) return true;
  if (!isWithin(namespace, "kubernetes.io") && !isWithin(namespace, "k8s.io")) return false;
  return !kubeletLabels.has(key) && !kubeletNamespaces.some((allowed) => isWithin(namespace, allowed));
}

const isWithin = (namespace: string, domain: string): boolean =>
  namespace === domain || namespace.endsWith(`.${domain}`);
