/**
 * What is used of the Container Runtime Interface, runtime.v1 (k8s.io/cri-api v0.35, api.proto). Fields that nobody here
 * reads or writes are left out.
 */
import { bool, bytes, integer, type MessageOf, map, message, nested, repeated, string } from "#shared/grpc/message.ts";

export const runtimeService = "/runtime.v1.RuntimeService/";
export const imageService = "/runtime.v1.ImageService/";

export const Empty = message({});
const wrappedInteger = message({ value: integer(1) });

export const VersionResponse = message({
  runtimeName: string(2),
  runtimeVersion: string(3),
  runtimeApiVersion: string(4),
});
export const StatusRequest = message({ verbose: bool(1) });
const Condition = message({ type: string(1), status: bool(2), reason: string(3), message: string(4) });
const HandlerFeatures = message({ recursiveReadOnlyMounts: bool(1), userNamespaces: bool(2) });
export const StatusResponse = message({
  status: nested(1, message({ conditions: repeated(1, Condition) })),
  info: map(2, "string"),
  runtimeHandlers: repeated(3, message({ name: string(1), features: nested(2, HandlerFeatures) })),
  features: nested(4, message({ supplementalGroupsPolicy: bool(1) })),
});
export type StatusResponse = MessageOf<typeof StatusResponse>;
/** `cgroupDriver`: 0 systemd, 1 cgroupfs. */
export const RuntimeConfigResponse = message({ linux: nested(1, message({ cgroupDriver: integer(1) })) });

// Sandboxes

export const namespaceMode = { pod: 0, container: 1, node: 2, target: 3 } as const;
const NamespaceOption = message({ network: integer(1), pid: integer(2), ipc: integer(3), targetId: string(4) });
export type NamespaceOption = MessageOf<typeof NamespaceOption>;
export const securityProfile = { runtimeDefault: 0, unconfined: 1, localhost: 2 } as const;
const SecurityProfile = message({ profileType: integer(1), localhostRef: string(2) });
const Resources = message({
  cpuPeriod: integer(1),
  cpuQuota: integer(2),
  cpuShares: integer(3),
  memoryLimit: integer(4),
  oomScoreAdj: integer(5),
  cpusetCpus: string(6),
  hugepageLimits: repeated(8, message({ pageSize: string(1), limit: integer(2) })),
  unified: map(9, "string"),
});
export type Resources = MessageOf<typeof Resources>;
const Metadata = message({ name: string(1), uid: string(2), namespace: string(3), attempt: integer(4) });
export const SandboxConfig = message({
  metadata: nested(1, Metadata),
  hostname: string(2),
  logDirectory: string(3),
  dnsConfig: nested(
    4,
    message({ servers: repeated(1, "string"), searches: repeated(2, "string"), options: repeated(3, "string") }),
  ),
  portMappings: repeated(
    5,
    message({ protocol: integer(1), containerPort: integer(2), hostPort: integer(3), hostIp: string(4) }),
  ),
  labels: map(6, "string"),
  annotations: map(7, "string"),
  linux: nested(
    8,
    message({
      cgroupParent: string(1),
      securityContext: nested(
        2,
        message({ namespaceOptions: nested(1, NamespaceOption), seccomp: nested(9, SecurityProfile) }),
      ),
      sysctls: map(3, "string"),
    }),
  ),
});
export type SandboxConfig = MessageOf<typeof SandboxConfig>;
export const RunSandboxRequest = message({ config: nested(1, SandboxConfig), runtimeHandler: string(2) });
export const SandboxId = message({ id: string(1) });
export const IdWithVerbose = message({ id: string(1), verbose: bool(2) });
export const sandboxReady = 0;
export const SandboxStatus = message({
  id: string(1),
  metadata: nested(2, Metadata),
  state: integer(3),
  createdAt: integer(4),
  network: nested(5, message({ ip: string(1), additionalIps: repeated(2, message({ ip: string(1) })) })),
  linux: nested(6, message({ namespaces: nested(1, message({ options: nested(2, NamespaceOption) })) })),
  labels: map(7, "string"),
  annotations: map(8, "string"),
});
export type SandboxStatus = MessageOf<typeof SandboxStatus>;
export const SandboxStatusResponse = message({ status: nested(1, SandboxStatus), info: map(2, "string") });
const Sandbox = message({
  id: string(1),
  metadata: nested(2, Metadata),
  state: integer(3),
  createdAt: integer(4),
  labels: map(5, "string"),
  annotations: map(6, "string"),
});
export const ListSandboxesRequest = message({
  filter: nested(1, message({ id: string(1), labelSelector: map(3, "string") })),
});
export const ListSandboxesResponse = message({ items: repeated(1, Sandbox) });

// Containers

const ImageSpec = message({ image: string(1), userSpecifiedImage: string(18) });
const Capability = message({ add: repeated(1, "string"), drop: repeated(2, "string") });
const ContainerSecurity = message({
  capabilities: nested(1, Capability),
  privileged: bool(2),
  namespaceOptions: nested(3, NamespaceOption),
  runAsUser: nested(5, wrappedInteger),
  runAsUsername: string(6),
  readonlyRootfs: bool(7),
  supplementalGroups: repeated(8, "integer"),
  noNewPrivs: bool(11),
  runAsGroup: nested(12, wrappedInteger),
  maskedPaths: repeated(13, "string"),
  readonlyPaths: repeated(14, "string"),
  seccomp: nested(15, SecurityProfile),
  apparmor: nested(16, SecurityProfile),
});
const Mount = message({
  containerPath: string(1),
  hostPath: string(2),
  readonly: bool(3),
  propagation: integer(5),
  recursiveReadOnly: bool(8),
});
export const ContainerConfig = message({
  metadata: nested(1, message({ name: string(1), attempt: integer(2) })),
  image: nested(2, ImageSpec),
  command: repeated(3, "string"),
  args: repeated(4, "string"),
  workingDir: string(5),
  envs: repeated(6, message({ key: string(1), value: string(2) })),
  mounts: repeated(7, Mount),
  devices: repeated(8, message({ containerPath: string(1), hostPath: string(2), permissions: string(3) })),
  labels: map(9, "string"),
  annotations: map(10, "string"),
  logPath: string(11),
  stdin: bool(12),
  stdinOnce: bool(13),
  tty: bool(14),
  linux: nested(15, message({ resources: nested(1, Resources), securityContext: nested(2, ContainerSecurity) })),
  cdiDevices: repeated(17, message({ name: string(1) })),
  stopSignal: integer(18),
});
export type ContainerConfig = MessageOf<typeof ContainerConfig>;
export const CreateContainerRequest = message({
  sandboxId: string(1),
  config: nested(2, ContainerConfig),
  sandboxConfig: nested(3, SandboxConfig),
});
export const ContainerId = message({ id: string(1) });
export const StopContainerRequest = message({ id: string(1), timeout: integer(2) });
export const containerState = { created: 0, running: 1, exited: 2, unknown: 3 } as const;
export const ListContainersRequest = message({ filter: nested(1, message({ labelSelector: map(4, "string") })) });
const Container = message({
  id: string(1),
  sandboxId: string(2),
  metadata: nested(3, message({ name: string(1), attempt: integer(2) })),
  state: integer(6),
  createdAt: integer(7),
  labels: map(8, "string"),
  annotations: map(9, "string"),
});
export type Container = MessageOf<typeof Container>;
export const ListContainersResponse = message({ containers: repeated(1, Container) });
export const ContainerStatus = message({
  id: string(1),
  metadata: nested(2, message({ name: string(1), attempt: integer(2) })),
  state: integer(3),
  createdAt: integer(4),
  startedAt: integer(5),
  finishedAt: integer(6),
  exitCode: integer(7),
  image: nested(8, ImageSpec),
  imageRef: string(9),
  reason: string(10),
  message: string(11),
  labels: map(12, "string"),
  annotations: map(13, "string"),
  logPath: string(15),
});
export type ContainerStatus = MessageOf<typeof ContainerStatus>;
export const ContainerStatusResponse = message({ status: nested(1, ContainerStatus), info: map(2, "string") });
export const UpdateResourcesRequest = message({ id: string(1), linux: nested(2, Resources) });
export const CheckpointRequest = message({ id: string(1), location: string(2), timeout: integer(3) });

// Streams

export const ExecSyncRequest = message({ id: string(1), command: repeated(2, "string"), timeout: integer(3) });
export const ExecSyncResponse = message({ stdout: bytes(1), stderr: bytes(2), exitCode: integer(3) });
export const ExecRequest = message({
  id: string(1),
  command: repeated(2, "string"),
  tty: bool(3),
  stdin: bool(4),
  stdout: bool(5),
  stderr: bool(6),
});
export const AttachRequest = message({ id: string(1), stdin: bool(2), tty: bool(3), stdout: bool(4), stderr: bool(5) });
export const UrlResponse = message({ url: string(1) });

// Images

const Image = message({
  id: string(1),
  repoTags: repeated(2, "string"),
  repoDigests: repeated(3, "string"),
  size: integer(4),
  uid: nested(5, wrappedInteger),
  username: string(6),
  pinned: bool(8),
});
export type Image = MessageOf<typeof Image>;
export const ImageRequest = message({ image: nested(1, ImageSpec), verbose: bool(2) });
export const ImageStatusResponse = message({ image: nested(1, Image), info: map(2, "string") });
export const ListImagesResponse = message({ images: repeated(1, Image) });
const Auth = message({
  username: string(1),
  password: string(2),
  serverAddress: string(4),
  identityToken: string(5),
  registryToken: string(6),
});
export const PullImageRequest = message({
  image: nested(1, ImageSpec),
  auth: nested(2, Auth),
  sandboxConfig: nested(3, SandboxConfig),
});
export const PullImageResponse = message({ imageRef: string(1) });
const FilesystemUsage = message({
  fsId: nested(2, message({ mountpoint: string(1) })),
  usedBytes: nested(3, wrappedInteger),
});
export const ImageFsInfoResponse = message({ imageFilesystems: repeated(1, FilesystemUsage) });

// Watching

const Usage = message({ usage: nested(2, wrappedInteger) });
const Memory = message({
  workingSet: nested(2, wrappedInteger),
  usage: nested(4, wrappedInteger),
  rss: nested(5, wrappedInteger),
});
export const ContainerStats = message({
  cpu: nested(2, Usage),
  memory: nested(3, Memory),
  writableLayer: nested(4, FilesystemUsage),
});
export type ContainerStats = MessageOf<typeof ContainerStats>;
export const ContainerStatsResponse = message({ stats: nested(1, ContainerStats) });
export const ContainerEvent = message({
  containerId: string(1),
  type: integer(2),
  sandbox: nested(4, message({ metadata: nested(2, Metadata) })),
});

/**
 * containerd's own events, on the same socket: its CRI tells none before 1.7 (api/services/events/v1, api/events).
 * Every task event begins with the container's id.
 */
export const containerdEvents = "/containerd.services.events.v1.Events/Subscribe";
export const SubscribeRequest = message({ filters: repeated(1, "string") });
export const Envelope = message({
  topic: string(3),
  event: nested(4, message({ value: bytes(2) })),
});
export const TaskEvent = message({ containerId: string(1) });
export const TaskExit = message({ containerId: string(1), id: string(2) });
