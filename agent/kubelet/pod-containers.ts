import type { Container, EphemeralContainer, Pod, PodSpec, Volume } from "#shared/api/types/core-v1.generated.ts";

export type ContainerType = "init" | "regular" | "ephemeral";

export interface PodContainer {
  readonly type: ContainerType;
  readonly container: Container | EphemeralContainer;
}

/** Init, regular and ephemeral containers of a pod, in the order of the spec. */
export function podContainers(spec: PodSpec): PodContainer[] {
  return [
    ...(spec.initContainers ?? []).map((container) => ({ type: "init" as const, container })),
    ...spec.containers.map((container) => ({ type: "regular" as const, container })),
    ...(spec.ephemeralContainers ?? []).map((container) => ({ type: "ephemeral" as const, container })),
  ];
}

export function findContainer(spec: PodSpec, name: string): PodContainer | undefined {
  return podContainers(spec).find(({ container }) => container.name === name);
}

/** The volumes that its containers mount: others are not made present. */
export function mountedVolumes(spec: PodSpec): Volume[] {
  const used = new Set(
    podContainers(spec).flatMap(({ container: { volumeMounts = [], volumeDevices = [] } }) =>
      [...volumeMounts, ...volumeDevices].map(({ name }) => name),
    ),
  );
  return (spec.volumes ?? []).filter(({ name }) => used.has(name));
}

/** A sidecar: an init container with restartPolicy Always (KEP-753). */
export function isRestartableInit(container: Container): boolean {
  return container.restartPolicy === "Always";
}

/** `name_namespace(uid)`: how messages of a kubelet name a pod. */
export function formatPod(pod: Pod): string {
  const { name, namespace, uid } = pod.metadata;
  return `${name}_${namespace}(${uid})`;
}

export function podUid(pod: Pod): string {
  return pod.metadata.uid ?? "";
}

/** Static pods carry where they come from; those from the API say `api` or nothing. */
export function isStaticPod(pod: Pod): boolean {
  const source = pod.metadata.annotations?.["kubernetes.io/config.source"];
  return source !== undefined && source !== "api";
}

/** The API's picture of a static pod. */
export function isMirrorPod(pod: Pod): boolean {
  return pod.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;
}

/** The identity of what a static pod runs, which its mirror repeats. */
export function mirroredUid(pod: Pod): string | undefined {
  return pod.metadata.annotations?.["kubernetes.io/config.mirror"];
}

export function isTerminalPhase(phase: string | undefined): boolean {
  return phase === "Succeeded" || phase === "Failed";
}
