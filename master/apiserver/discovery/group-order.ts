/** In which order clients are shown the groups and their versions, which is the order in which they choose among them. Pure. */
import { compareVersions } from "./version-order.ts";

export interface Priority {
  /** Of the group, as this version of it has it: the highest counts. */
  readonly group: number;
  readonly version: number;
}

/** Of each group, then of its versions (kube-apiserver's list). */
const builtIn: Readonly<Record<string, readonly [group: number, versions: Readonly<Record<string, number>>]>> = {
  "": [18000, { v1: 1 }],
  // Before all others, whatever they ask for.
  "apiregistration.k8s.io": [20001, { v1: 0 }],
  apps: [17800, { v1: 15 }],
  "events.k8s.io": [17750, { v1: 15 }],
  "authentication.k8s.io": [17700, { v1: 15 }],
  "authorization.k8s.io": [17600, { v1: 15 }],
  autoscaling: [17500, { v1: 15, v2: 30 }],
  batch: [17400, { v1: 15 }],
  "certificates.k8s.io": [17300, { v1: 15 }],
  "networking.k8s.io": [17200, { v1: 15 }],
  policy: [17100, { v1: 15 }],
  "rbac.authorization.k8s.io": [17000, { v1: 15 }],
  "storage.k8s.io": [16800, { v1: 15 }],
  "apiextensions.k8s.io": [16700, { v1: 15 }],
  "admissionregistration.k8s.io": [16700, { v1: 15, v1beta1: 12 }],
  "scheduling.k8s.io": [16600, { v1: 15 }],
  "coordination.k8s.io": [16500, { v1: 15 }],
  "node.k8s.io": [16300, { v1: 15 }],
  "discovery.k8s.io": [16200, { v1: 15 }],
  "resource.k8s.io": [16200, { v1: 21, v1beta2: 15, v1beta1: 9 }],
  "flowcontrol.apiserver.k8s.io": [16100, { v1: 21 }],
  // As metrics-server registers it.
  "metrics.k8s.io": [100, { v1beta1: 100 }],
  "bramble.dev": [90, { v1: 15 }],
};

/** Of groups that CustomResourceDefinitions define. */
export const customPriority: Priority = { group: 1000, version: 100 };

/** undefined: no version of a built-in group. */
export function builtInPriority(group: string, version: string): Priority | undefined {
  const [groupPriority, versions] = builtIn[group] ?? [];
  const versionPriority = versions?.[version];
  return groupPriority === undefined || versionPriority === undefined
    ? undefined
    : { group: groupPriority, version: versionPriority };
}

export interface Ranked {
  readonly group: string;
  readonly versions: readonly { readonly version: string; readonly priority: Priority }[];
}

/** Groups by their highest priority, then by name; versions by theirs, then as Kubernetes prefers one to another. */
export function inOrder<T extends Ranked>(groups: Iterable<T>): T[] {
  return [...groups]
    .map((group) => ({ ...group, versions: group.versions.toSorted(byVersion) }))
    .sort((a, b) => priorityOf(b) - priorityOf(a) || (a.group < b.group ? -1 : 1));
}

const byVersion = (a: Ranked["versions"][number], b: Ranked["versions"][number]): number =>
  b.priority.version - a.priority.version || compareVersions(a.version, b.version);

const priorityOf = ({ versions }: Ranked): number => Math.max(...versions.map(({ priority }) => priority.group));
