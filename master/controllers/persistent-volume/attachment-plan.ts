import { attachmentName, type CsiVolumeName, uniqueVolumeName } from "#shared/api/csi-names.ts";
import { wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { Node, PersistentVolume, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { VolumeAttachment } from "#shared/api/types/storage-v1.generated.ts";
import { readyCondition } from "../node/health.ts";

/** A node that is not ready may keep what it has mounted so long; then it is taken away (upstream's figure). */
export const longestUnmount_ms = 360_000;

/** A volume that pods of a node need there. */
export interface WantedVolume {
  readonly volume: PersistentVolume;
  readonly pods: readonly Pod[];
}

export interface AttachmentFacts {
  /** Absent: the node is gone. */
  readonly node: Node | undefined;
  readonly nodeName: string;
  readonly wanted: readonly WantedVolume[];
  /** The node's attachments of CSI volumes that are known, with the volume. */
  readonly present: readonly { readonly attachment: VolumeAttachment; readonly volume: PersistentVolume }[];
  /** Names of other nodes that have the volume, or are about to. */
  elsewhere(volumeName: string): readonly string[];
  /** Pods that use the volume on one of these nodes: of the same namespace all, since a volume has one claim. */
  usersOn(volume: PersistentVolume, nodes: readonly string[]): readonly Pod[];
  /** Since when nobody there has needed it, ms. */
  unneededFor_ms(attachmentName: string): number;
}

export type AttachmentStep =
  | { readonly kind: "attach"; readonly name: string; readonly volume: PersistentVolume }
  /** The volume is on another node and allows one only, or its driver could not attach it. */
  | {
      readonly kind: "refuse";
      readonly why: "conflict" | "failure";
      readonly wanted: WantedVolume;
      readonly message: string;
    }
  | {
      readonly kind: "detach";
      readonly attachment: VolumeAttachment;
      readonly volume: PersistentVolume;
      /** Why it is taken away though it is still mounted. */
      readonly forced?: ForcedDetach | undefined;
    }
  | { readonly kind: "succeeded"; readonly wanted: WantedVolume };

export type ForcedDetach = "timeout" | "out-of-service";

export interface AttachmentPlan {
  readonly steps: readonly AttachmentStep[];
  /** What `status.volumesAttached` of the node should say before anything is detached. */
  readonly reported: readonly string[];
}

const csiName = ({ spec }: PersistentVolume): CsiVolumeName => ({
  driver: spec?.csi?.driver ?? "",
  volumeHandle: spec?.csi?.volumeHandle ?? "",
});

export const attachmentOf = (volume: PersistentVolume, nodeName: string): string =>
  attachmentName(csiName(volume), nodeName);

export const reportedName = (volume: PersistentVolume): string => uniqueVolumeName(csiName(volume));

const manyNodes = new Set(["ReadWriteMany", "ReadOnlyMany"]);

/** What is to be done for one node (pure): attach what pods need, let go of what none needs and nothing has mounted. */
export function planAttachments(facts: AttachmentFacts): AttachmentPlan {
  const { node, nodeName, wanted, present } = facts;
  const steps: AttachmentStep[] = [];
  const inUse = new Set(node?.status?.volumesInUse);
  const wantedNames = new Set(wanted.map(({ volume }) => volume.metadata.name));
  const kept = new Map<string, VolumeAttachment>();
  for (const { attachment, volume } of present) {
    const { name = "", deletionTimestamp } = attachment.metadata;
    const isWanted = wantedNames.has(volume.metadata.name);
    const isFree = !node || !inUse.has(reportedName(volume));
    const forced = isFree ? undefined : forcedDetach(facts, name);
    if (!isWanted && !deletionTimestamp && (isFree || forced)) {
      steps.push({ kind: "detach", attachment, volume, forced });
    } else {
      kept.set(name, attachment);
    }
  }
  for (const one of wanted) {
    const step = stepFor(one, facts, kept.get(attachmentOf(one.volume, nodeName)));
    if (step) steps.push(step);
  }
  const reported = present
    .filter(({ attachment }) => kept.has(attachment.metadata.name ?? "") && attachment.status?.attached)
    .map(({ volume }) => reportedName(volume))
    .sort();
  return { steps, reported };
}

function stepFor(
  wanted: WantedVolume,
  { node, nodeName, elsewhere, usersOn }: AttachmentFacts,
  attachment: VolumeAttachment | undefined,
): AttachmentStep | undefined {
  const { volume } = wanted;
  const { name = "" } = volume.metadata;
  const refuse = (why: "conflict" | "failure", message: string): AttachmentStep => ({
    kind: "refuse",
    why,
    wanted,
    message,
  });
  if (attachment) {
    const { attached, attachError } = attachment.status ?? {};
    if (attached) return { kind: "succeeded", wanted };
    if (!attachError) return undefined;
    return refuse("failure", `AttachVolume.Attach failed for volume "${name}" : ${attachError.message ?? ""}`);
  }
  if (!node) return undefined;
  const there = elsewhere(name);
  const isExclusive = !(volume.spec?.accessModes ?? []).some((mode) => manyNodes.has(mode));
  if (!isExclusive || there.length === 0) return { kind: "attach", name: attachmentOf(volume, nodeName), volume };
  const users = usersOn(volume, there).map(({ metadata }) => metadata.name);
  const holder =
    users.length > 0
      ? `Volume is already used by pod(s) ${users.join(", ")}`
      : "Volume is already exclusively attached to one node and can't be attached to another";
  return refuse("conflict", `Multi-Attach error for volume "${name}" ${holder}`);
}

/** Why a node is not waited for that still has the volume mounted; undefined while it is. */
function forcedDetach({ node, unneededFor_ms }: AttachmentFacts, name: string): ForcedDetach | undefined {
  if (node?.spec?.taints?.some(({ key }) => key === wellKnownTaints.outOfService)) return "out-of-service";
  const isLate = node && readyCondition(node)?.status !== "True" && unneededFor_ms(name) > longestUnmount_ms;
  return isLate ? "timeout" : undefined;
}
