import type { ContainerStatus } from "#agent/runtime/runtime.ts";
import type { Container, LifecycleHandler, Pod, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";

/** Annotations that a kubelet leaves on containers, named as upstream's kuberuntime does. */
const annotation = {
  hash: "io.kubernetes.container.hash",
  restartCount: "io.kubernetes.container.restartCount",
  terminationMessagePath: "io.kubernetes.container.terminationMessagePath",
  terminationMessagePolicy: "io.kubernetes.container.terminationMessagePolicy",
  preStopHandler: "io.kubernetes.container.preStopHandler",
  ports: "io.kubernetes.container.ports",
  resources: "bramble.dev/container.resources",
  podDeletionGrace: "io.kubernetes.pod.deletionGracePeriod",
  podTerminationGrace: "io.kubernetes.pod.terminationGracePeriod",
} as const;

/** Changes when what may not change under a running container does: its name or image. */
export function containerHash(container: Container): string {
  return fnv1a([container.name, container.image ?? ""]);
}

/** What failed starts of a container are counted under: with another image or other resources it is tried anew at once. */
export function backOffKey(podUid: string, { name, image, resources }: Container): string {
  return `${podUid}_${name}_${fnv1a([image, resources])}`;
}

function fnv1a(parts: readonly unknown[]): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(JSON.stringify(parts))) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16);
}

/** What lets a kubelet that starts later recognise a container and stop it well, also when its pod is forgotten. */
export function containerAnnotations(pod: Pod, container: Container, attempt: number): Record<string, string> {
  const { deletionGracePeriodSeconds } = pod.metadata;
  const { terminationGracePeriodSeconds } = pod.spec;
  return {
    [annotation.hash]: containerHash(container),
    [annotation.restartCount]: String(attempt),
    [annotation.terminationMessagePath]: container.terminationMessagePath ?? "",
    [annotation.terminationMessagePolicy]: container.terminationMessagePolicy ?? "",
    ...(deletionGracePeriodSeconds === undefined
      ? {}
      : { [annotation.podDeletionGrace]: String(deletionGracePeriodSeconds) }),
    ...(terminationGracePeriodSeconds === undefined
      ? {}
      : { [annotation.podTerminationGrace]: String(terminationGracePeriodSeconds) }),
    ...(container.lifecycle?.preStop
      ? { [annotation.preStopHandler]: JSON.stringify(container.lifecycle.preStop) }
      : {}),
    ...(container.resources ? { [annotation.resources]: JSON.stringify(container.resources) } : {}),
    ...(container.ports?.length ? { [annotation.ports]: JSON.stringify(container.ports) } : {}),
  };
}

export function containerLabels(pod: Pod, container: Container): Record<string, string> {
  return {
    "io.kubernetes.pod.name": pod.metadata.name ?? "",
    "io.kubernetes.pod.namespace": pod.metadata.namespace ?? "",
    "io.kubernetes.pod.uid": pod.metadata.uid ?? "",
    "io.kubernetes.container.name": container.name,
  };
}

/** Undefined on a container that carries none, for instance one started by another kubelet. */
export function hashOf(status: ContainerStatus): string | undefined {
  return status.annotations[annotation.hash];
}

/** The resources that a container was made with; undefined on one that does not tell. */
export function resourcesOf(status: ContainerStatus): ResourceRequirements | undefined {
  return parsed<ResourceRequirements>(status.annotations[annotation.resources]);
}

/**
 * The pod of containers that nobody asks for any more, as far as they tell of it: enough to stop them with their grace
 * period and preStop hook.
 */
export function podFromContainers(statuses: readonly ContainerStatus[]): Pod | undefined {
  const first = statuses[0];
  if (!first) return undefined;
  const number = (name: string): number | undefined => {
    const value = Number(first.annotations[name]);
    return first.annotations[name] === undefined || !Number.isFinite(value) ? undefined : value;
  };
  const containers = new Map<string, Container>();
  for (const status of statuses) {
    if (containers.has(status.name)) continue;
    const preStop = parsed<LifecycleHandler>(status.annotations[annotation.preStopHandler]);
    const ports = parsed<Container["ports"]>(status.annotations[annotation.ports]);
    containers.set(status.name, {
      name: status.name,
      image: status.image,
      terminationMessagePath: status.annotations[annotation.terminationMessagePath],
      ...(ports ? { ports } : {}),
      ...(preStop ? { lifecycle: { preStop } } : {}),
    });
  }
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...first.pod, deletionGracePeriodSeconds: number(annotation.podDeletionGrace) },
    spec: {
      containers: [...containers.values()],
      terminationGracePeriodSeconds: number(annotation.podTerminationGrace),
    },
  };
}

function parsed<T>(text: string | undefined): T | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    // Written by something else: the container is stopped without it.
    return undefined;
  }
}
