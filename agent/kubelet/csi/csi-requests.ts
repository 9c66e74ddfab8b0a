/** What a driver is told of a volume, and what it says of one (pure). */
import { createHash } from "node:crypto";
import type { PersistentVolume, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { CSIDriver } from "#shared/api/types/storage-v1.generated.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import type { MessageOf } from "#shared/grpc/message.ts";
import { podUid } from "../pod-containers.ts";
import type { GrowthTrouble } from "../volumes/volume-growth.ts";
import type { VolumeUsage } from "../volumes/volume-stats.ts";
import { accessModes, type NodeGetVolumeStatsResponse, usageUnits, type VolumeCapability } from "./csi-messages.ts";

/** A CSI volume of a pod, from a PersistentVolume or from the pod's own spec. */
export interface CsiSource {
  /** Absent for a volume that lives and dies with its pod. */
  readonly volume: PersistentVolume | undefined;
  readonly driver: string;
  readonly volumeHandle: string;
  readonly specVolID: string;
  readonly fsType: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly readOnly: boolean;
  readonly block: boolean;
}

export function accessMode(volume: PersistentVolume | undefined, knowsSingleWriters: boolean): number {
  if (!volume) return accessModes.singleNodeWriter;
  switch (volume.spec.accessModes?.[0]) {
    case "ReadOnlyMany":
      return accessModes.multiNodeReaderOnly;
    case "ReadWriteMany":
      return accessModes.multiNodeMultiWriter;
    case "ReadWriteOncePod":
      return knowsSingleWriters ? accessModes.singleNodeSingleWriter : accessModes.singleNodeWriter;
    default:
      return knowsSingleWriters ? accessModes.singleNodeMultiWriter : accessModes.singleNodeWriter;
  }
}

export function capabilityOf(source: CsiSource, mode: number, mountGroup: number | undefined): VolumeCapability {
  const accessMode = { mode };
  if (source.block) return { block: {}, mount: undefined, accessMode };
  const mountFlags = source.volume?.spec.mountOptions ?? [];
  const volumeMountGroup = mountGroup === undefined ? "" : String(mountGroup);
  return { block: undefined, mount: { fsType: source.fsType, mountFlags, volumeMountGroup }, accessMode };
}

/** Should the kubelet itself give the volume to the pod's group (CSIDriver fsGroupPolicy)? */
export function ownsFiles(source: CsiSource, driver: CSIDriver | undefined): boolean {
  if (source.block || source.readOnly) return false;
  switch (driver?.spec.fsGroupPolicy ?? "ReadWriteOnceWithFSType") {
    case "None":
      return false;
    case "File":
      return true;
    default:
      if (source.fsType === "") return false;
      return (
        !source.volume || (source.volume.spec.accessModes?.some((mode) => mode.startsWith("ReadWriteOnce")) ?? false)
      );
  }
}

/** The volume's attributes, with the pod's names where the driver wants them. */
export function volumeContext(source: CsiSource, driver: CSIDriver | undefined, pod: Pod): Record<string, string> {
  if (driver?.spec.podInfoOnMount !== true) return { ...source.attributes };
  const prefix = "csi.storage.k8s.io/";
  return {
    ...source.attributes,
    [`${prefix}pod.name`]: pod.metadata.name ?? "",
    [`${prefix}pod.namespace`]: pod.metadata.namespace ?? "",
    [`${prefix}pod.uid`]: podUid(pod),
    [`${prefix}serviceAccount.name`]: pod.spec.serviceAccountName ?? "",
    [`${prefix}ephemeral`]: String(source.volume === undefined),
  };
}

/** The handle of a volume that lives with its pod, as upstream makes it. */
export const ephemeralHandle = (pod: Pod, volumeName: string): string =>
  `csi-${createHash("sha256")
    .update(`${podUid(pod)}${volumeName}`)
    .digest("hex")}`;

/** Throws where the driver says that it does not serve such volumes. */
export function assertLifecycleMode(source: CsiSource, driver: CSIDriver | undefined): void {
  const mode = source.volume ? "Persistent" : "Ephemeral";
  if (!driver) {
    if (source.volume) return;
    throw new Error(`volume mode "${mode}" not supported by driver ${source.driver} (no CSIDriver object)`);
  }
  const modes = driver.spec.volumeLifecycleModes ?? ["Persistent"];
  if (modes.includes(mode)) return;
  const supported = modes.map((each) => JSON.stringify(each)).join(" ");
  throw new Error(`volume mode "${mode}" not supported by driver ${source.driver} (only supports [${supported}])`);
}

/** What it means for a volume that its driver did not grow it, as upstream takes the driver's codes. */
export function growthTrouble(error: unknown): GrowthTrouble {
  const cause = error instanceof GrpcError ? error : (error as Error).cause;
  // It never came to a call, or nobody knows what came of it.
  if (!(cause instanceof GrpcError)) return "uncertain";
  switch (cause.code) {
    case GrpcCode.Cancelled:
    case GrpcCode.DeadlineExceeded:
    case GrpcCode.Unavailable:
    case GrpcCode.ResourceExhausted:
    case GrpcCode.Aborted:
      return "uncertain";
    case GrpcCode.FailedPrecondition:
      return "inUse";
    case GrpcCode.InvalidArgument:
    case GrpcCode.OutOfRange:
    case GrpcCode.NotFound:
      return "infeasible";
    default:
      return "failed";
  }
}

export const tokensKey = "csi.storage.k8s.io/serviceAccount.tokens";

/** What a driver says of a volume's use; of bytes and inodes either may be missing. */
export function volumeUsage(
  usage: MessageOf<typeof NodeGetVolumeStatsResponse>["usage"],
  condition: VolumeUsage["condition"],
): VolumeUsage {
  const bytes = usage.find(({ unit }) => unit === usageUnits.bytes);
  const inodes = usage.find(({ unit }) => unit === usageUnits.inodes);
  return {
    capacity_bytes: bytes?.total,
    available_bytes: bytes?.available,
    used_bytes: bytes?.used,
    inodes: inodes?.total,
    inodesFree: inodes?.available,
    inodesUsed: inodes?.used,
    condition,
  };
}
