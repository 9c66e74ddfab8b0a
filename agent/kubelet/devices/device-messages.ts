/** Messages between kubelet and device plug-ins (k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1). */
import { bool, integer, type MessageOf, map, message, nested, repeated, string } from "#shared/grpc/message.ts";

export const devicePluginVersion = "v1beta1";

export const devicePaths = {
  register: "/v1beta1.Registration/Register",
  options: "/v1beta1.DevicePlugin/GetDevicePluginOptions",
  listAndWatch: "/v1beta1.DevicePlugin/ListAndWatch",
  preferred: "/v1beta1.DevicePlugin/GetPreferredAllocation",
  allocate: "/v1beta1.DevicePlugin/Allocate",
  preStart: "/v1beta1.DevicePlugin/PreStartContainer",
} as const;

export const Empty = message({});

export const DevicePluginOptions = message({ preStartRequired: bool(1), getPreferredAllocationAvailable: bool(2) });
export type DevicePluginOptions = MessageOf<typeof DevicePluginOptions>;

export const RegisterRequest = message({
  version: string(1),
  endpoint: string(2),
  resourceName: string(3),
  options: nested(4, DevicePluginOptions),
});

const NumaNode = message({ id: integer(1) });
export const TopologyInfo = message({ nodes: repeated(1, NumaNode) });
export const Device = message({ id: string(1), health: string(2), topology: nested(3, TopologyInfo) });
export type Device = MessageOf<typeof Device>;
export const ListAndWatchResponse = message({ devices: repeated(1, Device) });

const ContainerPreferred = message({
  available: repeated(1, "string"),
  mustInclude: repeated(2, "string"),
  size: integer(3),
});
export const PreferredAllocationRequest = message({ containers: repeated(1, ContainerPreferred) });
export const PreferredAllocationResponse = message({
  containers: repeated(1, message({ deviceIds: repeated(1, "string") })),
});

const DeviceIds = message({ deviceIds: repeated(1, "string") });
export const AllocateRequest = message({ containers: repeated(1, DeviceIds) });
export const ContainerAllocateResponse = message({
  envs: map(1, "string"),
  mounts: repeated(2, message({ containerPath: string(1), hostPath: string(2), readOnly: bool(3) })),
  devices: repeated(3, message({ containerPath: string(1), hostPath: string(2), permissions: string(3) })),
  annotations: map(4, "string"),
  cdiDevices: repeated(5, message({ name: string(1) })),
});
export type ContainerAllocateResponse = MessageOf<typeof ContainerAllocateResponse>;
export const AllocateResponse = message({ containers: repeated(1, ContainerAllocateResponse) });

export const PreStartContainerRequest = DeviceIds;
