/** What monitoring of devices asks a kubelet: which container has which (podresources.v1). */
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { type MessageOf, message, nested, optional, repeated, string } from "#shared/grpc/message.ts";
import { GrpcServer } from "#shared/grpc/server.ts";
import type { CpuManager } from "../cpus/cpu-manager.ts";
import type { PreparedClaims } from "../dra/prepared-claims.ts";
import { isTerminalPhase, podUid } from "../pod-containers.ts";
import type { DeviceManager } from "./device-manager.ts";
import { type Device, TopologyInfo } from "./device-messages.ts";

const ContainerDevices = message({
  resourceName: string(1),
  deviceIds: repeated(2, "string"),
  topology: nested(3, TopologyInfo),
});
const ClaimResource = message({
  cdiDevices: repeated(1, message({ name: string(1) })),
  driverName: string(2),
  poolName: string(3),
  deviceName: string(4),
  shareId: optional(5, "string"),
});
const DynamicResource = message({
  claimName: string(2),
  claimNamespace: string(3),
  claimResources: repeated(4, ClaimResource),
});
const ContainerResources = message({
  name: string(1),
  devices: repeated(2, ContainerDevices),
  cpuIds: repeated(3, "integer"),
  dynamicResources: repeated(5, DynamicResource),
});
const PodResources = message({
  name: string(1),
  namespace: string(2),
  containers: repeated(3, ContainerResources),
});
export const ListPodResourcesResponse = message({ podResources: repeated(1, PodResources) });
export const AllocatableResourcesResponse = message({
  devices: repeated(1, ContainerDevices),
  cpuIds: repeated(2, "integer"),
});
const GetPodResourcesRequest = message({ podName: string(1), podNamespace: string(2) });
const GetPodResourcesResponse = message({ podResources: nested(1, PodResources) });

const service = "/v1.PodResourcesLister";
export const podResourcesPaths = {
  list: `${service}/List`,
  allocatable: `${service}/GetAllocatableResources`,
  get: `${service}/Get`,
} as const;

export interface PodResourcesSource {
  readonly manager: DeviceManager;
  /** Undefined while no pod has had a claim. */
  claims(): PreparedClaims | undefined;
  pods(): readonly Pod[];
  /** Undefined: no container has CPUs of its own. */
  cpus(): Pick<CpuManager, "own" | "allocatable"> | undefined;
}

/** The server of /var/lib/kubelet/pod-resources/kubelet.sock. */
export function podResourcesServer(source: PodResourcesSource): GrpcServer {
  return new GrpcServer({
    unary: {
      [podResourcesPaths.list]: () => {
        const active = source.pods().filter(({ status }) => !isTerminalPhase(status?.phase));
        return ListPodResourcesResponse.encode({ podResources: active.map((pod) => resourcesOf(pod, source)) });
      },
      [podResourcesPaths.get]: (request) => {
        const { podName, podNamespace } = GetPodResourcesRequest.decode(request);
        const pod = source
          .pods()
          .find(({ metadata }) => metadata.name === podName && metadata.namespace === podNamespace);
        if (!pod) throw new GrpcError(GrpcCode.NotFound, `pod ${podName} in namespace ${podNamespace} not found`, true);
        return GetPodResourcesResponse.encode({ podResources: resourcesOf(pod, source) });
      },
      [podResourcesPaths.allocatable]: () =>
        AllocatableResourcesResponse.encode({
          devices: source.manager
            .devices()
            .flatMap(({ resource, devices }) => devices.map((device) => deviceOf(resource, device))),
          cpuIds: source.cpus()?.allocatable() ?? [],
        }),
    },
  });
}

const deviceOf = (resourceName: string, { id, topology }: Device): MessageOf<typeof ContainerDevices> => ({
  resourceName,
  deviceIds: [id],
  topology,
});

function resourcesOf(
  pod: Pod,
  { manager: { allocations }, claims, cpus }: PodResourcesSource,
): MessageOf<typeof PodResources> {
  const { name = "", namespace = "" } = pod.metadata;
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  const containers = [...sidecars, ...pod.spec.containers].map((container) => ({
    name: container.name,
    devices: allocations
      .of(podUid(pod), container.name)
      .map(({ resource, deviceIds }) => ({ resourceName: resource, deviceIds, topology: undefined })),
    cpuIds: cpus()?.own(podUid(pod), container.name) ?? [],
    dynamicResources: dynamicResources(pod, container, claims()),
  }));
  return { name, namespace, containers };
}

function dynamicResources(
  pod: Pod,
  container: Container,
  claims: PreparedClaims | undefined,
): MessageOf<typeof DynamicResource>[] {
  const named = new Set((container.resources?.claims ?? []).map(({ name }) => name));
  return (claims?.preparedFor(pod, named) ?? []).map(({ namespace, name, devices }) => ({
    claimName: name,
    claimNamespace: namespace,
    claimResources: Object.entries(devices).flatMap(([driverName, own]) =>
      own.map(({ poolName, deviceName, cdiDeviceIds, shareId }) => ({
        cdiDevices: cdiDeviceIds.map((id) => ({ name: id })),
        driverName,
        poolName,
        deviceName,
        shareId,
      })),
    ),
  }));
}
