import type {
  ContainerConfig,
  ContainerResources,
  ImageStatus,
  PodIdentity,
  SandboxConfig,
} from "#agent/runtime/runtime.ts";
import type { Container, EphemeralContainer, Pod } from "#shared/api/types/core-v1.generated.ts";
import { containerAnnotations, containerLabels } from "../container-identity.ts";
import { latest, type ObservedPod } from "../planner/observed-pod.ts";
import { podUid } from "../pod-containers.ts";
import { configError } from "./container-error.ts";
import { blockDevices, containerMounts, type MountInput } from "./container-mounts.ts";
import { containerSecurity } from "./container-security.ts";
import { containerEnvironment, type EnvironmentSources } from "./environment.ts";
import { expand } from "./expansion.ts";
import type { DnsConfig } from "./pod-dns.ts";
import { podHostname } from "./pod-hostname.ts";

const podIdentity = (pod: Pod): PodIdentity => ({
  uid: podUid(pod),
  namespace: pod.metadata.namespace ?? "",
  name: pod.metadata.name ?? "",
});

export interface ContainerConfigInput extends Omit<MountInput, "environment"> {
  readonly sources: EnvironmentSources;
  readonly image: ImageStatus | undefined;
  readonly seccompRoot: string;
  /** What a container gets that names no profile. */
  readonly seccompDefault: boolean;
  readonly resources: ContainerResources;
  /** The container that an ephemeral one looks into. */
  readonly targetContainerId?: string | undefined;
}

/** What the runtime is told of a container. Rejects with ContainerStartError. */
export async function containerConfig(input: ContainerConfigInput): Promise<ContainerConfig> {
  const { pod, container, attempt } = input;
  const security = containerSecurity(pod, container, input.image, {
    root: input.seccompRoot,
    isDefault: input.seccompDefault,
  });
  const environment = await containerEnvironment(container, input.sources);
  const values = new Map(environment.map(({ name, value }) => [name, value]));
  const expanded = (words: readonly string[] | undefined): string[] | undefined =>
    words?.map((word) => expand(word, (name) => values.get(name)));
  return {
    pod: podIdentity(pod),
    name: container.name,
    attempt,
    image: container.image ?? "",
    command: expanded(container.command),
    args: expanded(container.args),
    workingDir: container.workingDir,
    env: environment,
    mounts: await containerMounts({ ...input, environment }),
    devices: blockDevices(input),
    labels: containerLabels(pod, container),
    annotations: containerAnnotations(pod, container, attempt),
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    resources: input.resources,
    security,
    stopSignal: container.lifecycle?.stopSignal,
    pidTargetContainerId: input.targetContainerId,
  };
}

/**
 * The container whose processes an ephemeral one is to see. Whether one that has ended can be joined is for the runtime to say.
 * Throws ContainerStartError (CreateContainerConfigError) when there is none.
 */
export function targetContainerId(
  container: Container | EphemeralContainer,
  observed: Pick<ObservedPod, "containers">,
): string | undefined {
  const name = "targetContainerName" in container ? container.targetContainerName : undefined;
  if (!name) return undefined;
  const target = latest(observed, name);
  if (!target) throw configError(`unable to find target container ${name}`);
  return target.id;
}

/** What the runtime is told of a pod's sandbox. Throws for a host name that cannot be. */
export function sandboxConfig(
  pod: Pod,
  attempt: number,
  dns: DnsConfig,
  clusterDomain: string,
  runtimeHandler: string | undefined,
): SandboxConfig {
  const { spec, metadata } = pod;
  const identity = podIdentity(pod);
  return {
    pod: identity,
    attempt,
    hostname: spec.hostNetwork ? "" : podHostname(pod, clusterDomain).kernelHostname,
    labels: {
      ...metadata.labels,
      "io.kubernetes.pod.name": identity.name,
      "io.kubernetes.pod.namespace": identity.namespace,
      "io.kubernetes.pod.uid": identity.uid,
    },
    annotations: { ...metadata.annotations },
    network: spec.hostNetwork ? "host" : "pod",
    hostPID: spec.hostPID ?? false,
    hostIPC: spec.hostIPC ?? false,
    shareProcessNamespace: spec.shareProcessNamespace ?? false,
    sysctls: Object.fromEntries(
      (spec.securityContext?.sysctls ?? []).map(({ name, value }) => [name.replaceAll("/", "."), value]),
    ),
    portMappings: spec.hostNetwork ? [] : portMappings(pod),
    dns,
    runtimeHandler,
  };
}

function portMappings(pod: Pod): SandboxConfig["portMappings"] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers].flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, protocol = "TCP", hostIP }) =>
      hostPort ? [{ hostPort, containerPort, protocol: protocol as "TCP" | "UDP" | "SCTP", hostIP }] : [],
    ),
  );
}
