/** The controller side of a CSI driver for tests: volumes and snapshots are folders, made and removed as asked for. */
import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Empty, VolumeCapability } from "#agent/kubelet/csi/csi-messages.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { bool, integer, type MessageOf, map, message, nested, repeated, string } from "#shared/grpc/message.ts";
import type { UnaryMethod } from "#shared/grpc/server.ts";

const CapacityRange = message({ requiredBytes: integer(1), limitBytes: integer(2) });
const Topology = message({ segments: map(1, "string") });
const ContentSource = message({
  snapshot: nested(1, message({ snapshotId: string(1) })),
  volume: nested(2, message({ volumeId: string(1) })),
});
const CreateVolumeRequest = message({
  name: string(1),
  capacityRange: nested(2, CapacityRange),
  capabilities: repeated(3, VolumeCapability),
  parameters: map(4, "string"),
  source: nested(6, ContentSource),
  topology: nested(7, message({ requisite: repeated(1, Topology), preferred: repeated(2, Topology) })),
});
const Volume = message({
  capacityBytes: integer(1),
  volumeId: string(2),
  context: map(3, "string"),
  source: nested(4, ContentSource),
  topology: repeated(5, Topology),
});
const Snapshot = message({
  sizeBytes: integer(1),
  snapshotId: string(2),
  sourceVolumeId: string(3),
  creationTime: nested(4, message({ seconds: integer(1) })),
  readyToUse: bool(5),
});
const VolumeId = message({ id: string(1) });
const PublishRequest = message({ volumeId: string(1), nodeId: string(2), capability: nested(3, VolumeCapability) });
const ExpandRequest = message({ volumeId: string(1), capacityRange: nested(2, CapacityRange) });
const ValidateRequest = message({
  volumeId: string(1),
  context: map(2, "string"),
  capabilities: repeated(3, VolumeCapability),
  parameters: map(4, "string"),
});
const Confirmed = message({
  context: map(1, "string"),
  capabilities: repeated(2, VolumeCapability),
  parameters: map(3, "string"),
});
const CreateSnapshotRequest = message({ sourceVolumeId: string(1), name: string(2) });
const ServiceCapability = message({
  service: nested(1, message({ type: integer(1) })),
  expansion: nested(2, message({ type: integer(1) })),
});
const ControllerCapability = message({ rpc: nested(1, message({ type: integer(1) })) });

/** PluginCapability.Service.Type and PluginCapability.VolumeExpansion.Type */
const serviceCapabilities = { controller: 1, accessibility: 2 };
const onlineExpansion = 1;
/** ControllerServiceCapability.RPC.Type */
const controllerCapabilities = { createDelete: 1, publish: 2, snapshots: 5, clone: 7, expand: 9 };

interface MadeVolume {
  readonly name: string;
  capacity_bytes: number;
  readonly source: MessageOf<typeof ContentSource> | undefined;
}

/** What the node side answers in `publish_context`. */
export const attachedTo = "attached.test/node";

export class CsiTestController {
  readonly volumes = new Map<string, MadeVolume>();
  readonly snapshots = new Map<string, MessageOf<typeof Snapshot>>();
  /** Nodes that volumes are attached to. */
  readonly attached = new Map<string, string>();

  constructor(
    readonly name: string,
    /** Where the node side looks for volumes. */
    readonly data: string,
    readonly nodeId: string,
    readonly segments: Readonly<Record<string, string>>,
  ) {}

  /** For the driver's socket, beside those of the node side. */
  methods(): Readonly<Record<string, UnaryMethod>> {
    const own: Record<string, UnaryMethod> = {
      "Identity/GetPluginInfo": () =>
        message({ name: string(1), version: string(2) }).encode({ name: this.name, version: "1" }),
      "Identity/GetPluginCapabilities": () =>
        message({ capabilities: repeated(1, ServiceCapability) }).encode({
          capabilities: [
            ...Object.values(serviceCapabilities).map((type) => ({ service: { type }, expansion: undefined })),
            { service: undefined, expansion: { type: onlineExpansion } },
          ],
        }),
      "Identity/Probe": () => Empty.encode({}),
      "Controller/ControllerGetCapabilities": () =>
        message({ capabilities: repeated(1, ControllerCapability) }).encode({
          capabilities: Object.values(controllerCapabilities).map((type) => ({ rpc: { type } })),
        }),
      "Controller/CreateVolume": (request) => this.#create(CreateVolumeRequest.decode(request)),
      "Controller/DeleteVolume": (request) => {
        const id = required(VolumeId.decode(request).id, "volume id");
        this.volumes.delete(id);
        rmSync(join(this.data, id), { recursive: true, force: true });
        return Empty.encode({});
      },
      "Controller/ControllerPublishVolume": (request) => this.#attach(PublishRequest.decode(request)),
      "Controller/ControllerUnpublishVolume": (request) => {
        this.attached.delete(required(PublishRequest.decode(request).volumeId, "volume id"));
        return Empty.encode({});
      },
      "Controller/ControllerExpandVolume": (request) => {
        const { volumeId, capacityRange } = ExpandRequest.decode(request);
        const volume = this.#volume(volumeId);
        if (!capacityRange) throw new GrpcError(GrpcCode.InvalidArgument, "no capacity range", true);
        volume.capacity_bytes = Math.max(volume.capacity_bytes, capacityRange.requiredBytes);
        const answer = { capacityBytes: volume.capacity_bytes, nodeExpansionRequired: true };
        return message({ capacityBytes: integer(1), nodeExpansionRequired: bool(2) }).encode(answer);
      },
      "Controller/ValidateVolumeCapabilities": (request) => {
        const { volumeId, context, capabilities, parameters } = ValidateRequest.decode(request);
        this.#volume(volumeId);
        if (capabilities.length === 0) throw new GrpcError(GrpcCode.InvalidArgument, "no volume capabilities", true);
        return message({ confirmed: nested(1, Confirmed) }).encode({
          confirmed: { context, capabilities, parameters },
        });
      },
      "Controller/CreateSnapshot": (request) => this.#snapshot(CreateSnapshotRequest.decode(request)),
      "Controller/DeleteSnapshot": (request) => {
        const id = required(VolumeId.decode(request).id, "snapshot id");
        this.snapshots.delete(id);
        rmSync(join(this.data, id), { recursive: true, force: true });
        return Empty.encode({});
      },
    };
    return Object.fromEntries(Object.entries(own).map(([method, answer]) => [`/csi.v1.${method}`, answer]));
  }

  #volume(id: string): MadeVolume {
    const volume = this.volumes.get(required(id, "volume id"));
    if (!volume) throw new GrpcError(GrpcCode.NotFound, `there is no volume ${id}`, true);
    return volume;
  }

  #create({ name, capacityRange, capabilities, source }: MessageOf<typeof CreateVolumeRequest>): Buffer {
    required(name, "name");
    if (capabilities.length === 0) throw new GrpcError(GrpcCode.InvalidArgument, "no volume capabilities", true);
    const wanted_bytes = capacityRange?.requiredBytes || 1024 ** 2;
    const id = `made-${name}`;
    const known = this.volumes.get(id);
    if (known && known.capacity_bytes < wanted_bytes)
      throw new GrpcError(GrpcCode.AlreadyExists, `${name} is there, and smaller`, true);
    const from = source?.snapshot?.snapshotId ?? source?.volume?.volumeId;
    if (from !== undefined && !this.snapshots.has(from) && !this.volumes.has(from))
      throw new GrpcError(GrpcCode.NotFound, `there is no ${from}`, true);
    const volume = known ?? { name, capacity_bytes: wanted_bytes, source };
    if (!known) {
      mkdirSync(join(this.data, id), { recursive: true });
      if (from !== undefined) cpSync(join(this.data, from), join(this.data, id), { recursive: true });
      this.volumes.set(id, volume);
    }
    const made = {
      volumeId: id,
      capacityBytes: volume.capacity_bytes,
      context: { made: "yes" },
      source,
      topology: [{ segments: this.segments }],
    };
    return message({ volume: nested(1, Volume) }).encode({ volume: made });
  }

  #attach({ volumeId, nodeId, capability }: MessageOf<typeof PublishRequest>): Buffer {
    this.#volume(volumeId);
    required(nodeId, "node id");
    if (!capability) throw new GrpcError(GrpcCode.InvalidArgument, "no volume capability", true);
    if (nodeId !== this.nodeId) throw new GrpcError(GrpcCode.NotFound, `there is no node ${nodeId}`, true);
    this.attached.set(volumeId, nodeId);
    return message({ context: map(1, "string") }).encode({ context: { [attachedTo]: nodeId } });
  }

  #snapshot({ sourceVolumeId, name }: MessageOf<typeof CreateSnapshotRequest>): Buffer {
    const { capacity_bytes } = this.#volume(sourceVolumeId);
    const id = `snap-${required(name, "name")}`;
    const known = this.snapshots.get(id);
    if (known && known.sourceVolumeId !== sourceVolumeId)
      throw new GrpcError(GrpcCode.AlreadyExists, `${name} is of another volume`, true);
    const snapshot = known ?? {
      sizeBytes: capacity_bytes,
      snapshotId: id,
      sourceVolumeId,
      creationTime: { seconds: Math.floor(Date.now() / 1000) },
      readyToUse: true,
    };
    const folder = join(this.data, id);
    if (!existsSync(folder)) cpSync(join(this.data, sourceVolumeId), folder, { recursive: true });
    this.snapshots.set(id, snapshot);
    return message({ snapshot: nested(1, Snapshot) }).encode({ snapshot });
  }
}

function required(value: string, what: string): string {
  if (value === "") throw new GrpcError(GrpcCode.InvalidArgument, `no ${what} is given`, true);
  return value;
}
