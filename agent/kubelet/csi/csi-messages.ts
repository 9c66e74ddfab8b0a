/** The messages of CSI's node service, as far as a kubelet speaks them (container-storage-interface/spec, csi.proto). */
import { bool, integer, type MessageOf, map, message, nested, repeated, string } from "#shared/grpc/message.ts";

export const csiPaths = {
  getInfo: "/csi.v1.Node/NodeGetInfo",
  getCapabilities: "/csi.v1.Node/NodeGetCapabilities",
  stage: "/csi.v1.Node/NodeStageVolume",
  unstage: "/csi.v1.Node/NodeUnstageVolume",
  publish: "/csi.v1.Node/NodePublishVolume",
  unpublish: "/csi.v1.Node/NodeUnpublishVolume",
  expand: "/csi.v1.Node/NodeExpandVolume",
  stats: "/csi.v1.Node/NodeGetVolumeStats",
} as const;

export const Empty = message({});

const Topology = message({ segments: map(1, "string") });
export const NodeGetInfoResponse = message({
  nodeId: string(1),
  maxVolumesPerNode: integer(2),
  accessibleTopology: nested(3, Topology),
});
export type NodeInfo = MessageOf<typeof NodeGetInfoResponse>;

const NodeServiceCapability = message({ rpc: nested(1, message({ type: integer(1) })) });
export const NodeGetCapabilitiesResponse = message({ capabilities: repeated(1, NodeServiceCapability) });

/** NodeServiceCapability.RPC.Type */
export const nodeCapabilities = {
  stageUnstage: 1,
  volumeStats: 2,
  expand: 3,
  volumeCondition: 4,
  singleNodeMultiWriter: 5,
  volumeMountGroup: 6,
} as const;

/** VolumeCapability.AccessMode.Mode */
export const accessModes = {
  singleNodeWriter: 1,
  multiNodeReaderOnly: 3,
  multiNodeMultiWriter: 5,
  singleNodeSingleWriter: 6,
  singleNodeMultiWriter: 7,
} as const;

const MountVolume = message({ fsType: string(1), mountFlags: repeated(2, "string"), volumeMountGroup: string(3) });
export const VolumeCapability = message({
  block: nested(1, message({})),
  mount: nested(2, MountVolume),
  accessMode: nested(3, message({ mode: integer(1) })),
});
export type VolumeCapability = MessageOf<typeof VolumeCapability>;

export const NodeStageVolumeRequest = message({
  volumeId: string(1),
  publishContext: map(2, "string"),
  stagingTargetPath: string(3),
  volumeCapability: nested(4, VolumeCapability),
  secrets: map(5, "string"),
  volumeContext: map(6, "string"),
});
export const NodeUnstageVolumeRequest = message({ volumeId: string(1), stagingTargetPath: string(2) });

export const NodePublishVolumeRequest = message({
  volumeId: string(1),
  publishContext: map(2, "string"),
  stagingTargetPath: string(3),
  targetPath: string(4),
  volumeCapability: nested(5, VolumeCapability),
  readonly: bool(6),
  secrets: map(7, "string"),
  volumeContext: map(8, "string"),
});
export const NodeUnpublishVolumeRequest = message({ volumeId: string(1), targetPath: string(2) });

export const NodeExpandVolumeRequest = message({
  volumeId: string(1),
  volumePath: string(2),
  capacityRange: nested(3, message({ requiredBytes: integer(1), limitBytes: integer(2) })),
  stagingTargetPath: string(4),
  volumeCapability: nested(5, VolumeCapability),
  secrets: map(6, "string"),
});
export const NodeExpandVolumeResponse = message({ capacityBytes: integer(1) });

export const NodeGetVolumeStatsRequest = message({
  volumeId: string(1),
  volumePath: string(2),
  stagingTargetPath: string(3),
});
/** VolumeUsage.Unit */
export const usageUnits = { bytes: 1, inodes: 2 } as const;
const VolumeUsage = message({ available: integer(1), total: integer(2), used: integer(3), unit: integer(4) });
export const NodeGetVolumeStatsResponse = message({
  usage: repeated(1, VolumeUsage),
  condition: nested(2, message({ abnormal: bool(1), message: string(2) })),
});
