import type { PodIdentity } from "./runtime.ts";

/**
 * Names and labels of containers, the same as cri-dockerd's, so that tools that look at `docker ps` on a Kubernetes
 * node understand ours (naming: cri-dockerd core/naming.go).
 */
export const label = {
  type: "io.kubernetes.docker.type",
  podName: "io.kubernetes.pod.name",
  podNamespace: "io.kubernetes.pod.namespace",
  podUid: "io.kubernetes.pod.uid",
  containerName: "io.kubernetes.container.name",
  sandboxId: "io.kubernetes.sandbox.id",
  logPath: "io.kubernetes.container.logpath",
  /** Ours: containers are created later than the sandbox and must know which PID namespace to join. */
  pidNamespace: "bramble.sandbox.pid-namespace",
} as const;

export const sandboxType = "podsandbox";
export const containerType = "container";
const annotationPrefix = "annotation.";
const sandboxContainerName = "POD";
const internalLabels: ReadonlySet<string> = new Set([label.type, label.sandboxId, label.logPath, label.pidNamespace]);

export function sandboxName(pod: PodIdentity, attempt: number): string {
  return containerName(pod, sandboxContainerName, attempt);
}

export function containerName(pod: PodIdentity, container: string, attempt: number): string {
  return ["k8s", container, pod.name, pod.namespace, pod.uid, String(attempt)].join("_");
}

/** The attempt number that a container's name ends with; 0 for a name that is not ours. */
export function attemptOf(names: readonly string[]): number {
  const name = names.map((n) => n.replace(/^\//, "")).find((n) => n.startsWith("k8s_"));
  const attempt = Number(name?.split("_")[5]);
  return Number.isSafeInteger(attempt) && attempt >= 0 ? attempt : 0;
}

interface Described {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly pod: PodIdentity;
}

export function sandboxLabels(config: Described, sharedPid: boolean): Record<string, string> {
  return {
    ...describe(config),
    [label.type]: sandboxType,
    [label.containerName]: sandboxContainerName,
    ...(sharedPid ? { [label.pidNamespace]: "pod" } : {}),
  };
}

export function containerLabels(config: Described, name: string, sandboxId: string): Record<string, string> {
  return {
    ...describe(config),
    [label.type]: containerType,
    [label.containerName]: name,
    [label.sandboxId]: sandboxId,
  };
}

function describe({ labels, annotations, pod }: Described): Record<string, string> {
  return {
    ...labels,
    ...Object.fromEntries(Object.entries(annotations).map(([key, value]) => [annotationPrefix + key, value])),
    [label.podName]: pod.name,
    [label.podNamespace]: pod.namespace,
    [label.podUid]: pod.uid,
  };
}

/** The reverse: what the caller gave, apart from what the runtime added for itself. */
export function parseLabels(all: Readonly<Record<string, string>>): Described {
  const labels: Record<string, string> = {};
  const annotations: Record<string, string> = {};
  for (const [key, value] of Object.entries(all)) {
    if (key.startsWith(annotationPrefix)) annotations[key.slice(annotationPrefix.length)] = value;
    else if (!internalLabels.has(key)) labels[key] = value;
  }
  return {
    labels,
    annotations,
    pod: {
      uid: all[label.podUid] ?? "",
      namespace: all[label.podNamespace] ?? "",
      name: all[label.podName] ?? "",
    },
  };
}
