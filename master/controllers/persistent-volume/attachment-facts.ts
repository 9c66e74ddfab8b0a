import { isTerminal } from "#shared/api/pod-phase.ts";
import {
  csiDrivers,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttachments,
} from "#shared/api/resources.ts";
import { isBound } from "#shared/api/scheduling/volume-match.ts";
import type { PersistentVolume, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { VolumeAttachment } from "#shared/api/types/storage-v1.generated.ts";
import type { ControllerContext } from "#shared/client/controller.ts";
import { podsByNode } from "../node/pods-by-node.ts";
import { type AttachmentFacts, attachmentOf, type WantedVolume } from "./attachment-plan.ts";
import { claimKeysOf } from "./protection.ts";

type Lister = Pick<ControllerContext, "lister">;

/** Of pods: what `attachmentFacts` and `podsOfClaim` look them up by. */
export const podIndexes = { ...podsByNode, claim: claimKeysOf };

const nodeOf = ({ spec }: VolumeAttachment): readonly string[] => [spec.nodeName];
const volumeOf = ({ spec }: VolumeAttachment): readonly string[] =>
  spec.source.persistentVolumeName ? [spec.source.persistentVolumeName] : [];

/** Of VolumeAttachments: what `attachmentFacts` looks them up by. */
export const attachmentIndexes = { node: nodeOf, volume: volumeOf };

/** Pods with the claim of that `namespace/name`. */
export const podsOfClaim = (key: string, { lister }: Lister): readonly Pod[] => lister(pods).byIndex("claim", key);

/** Pods with the claim that the volume is bound to. */
export const podsOfVolume = ({ spec }: PersistentVolume, context: Lister): readonly Pod[] =>
  podsOfClaim(`${spec?.claimRef?.namespace}/${spec?.claimRef?.name}`, context);

/** What the caches show of one node: the volumes that its pods need, and those that it has. */
export function attachmentFacts(
  nodeName: string,
  context: Lister,
  unneededFor_ms: AttachmentFacts["unneededFor_ms"],
): AttachmentFacts {
  const { lister } = context;
  return {
    node: lister(nodes).get(nodeName),
    nodeName,
    wanted: wantedVolumes(nodeName, context),
    present: presentAttachments(nodeName, context),
    elsewhere: (volume) =>
      lister(volumeAttachments)
        .byIndex("volume", volume)
        .map(({ spec }) => spec.nodeName)
        .filter((name) => name !== nodeName),
    usersOn: (volume, others) =>
      podsOfVolume(volume, context).filter((pod) => !isTerminal(pod) && others.includes(pod.spec?.nodeName ?? "")),
    unneededFor_ms,
  };
}

/** CSI volumes of the node's pods, as far as their driver has an attacher. */
function wantedVolumes(nodeName: string, { lister }: Lister): WantedVolume[] {
  const found = new Map<string, { volume: PersistentVolume; pods: Pod[] }>();
  for (const pod of lister(pods).byIndex("node", nodeName)) {
    if (isTerminal(pod)) continue;
    for (const key of claimKeysOf(pod)) {
      const claim = lister(persistentVolumeClaims).get(key);
      const volume = claim && isBound(claim) ? lister(persistentVolumes).get(claim.spec?.volumeName ?? "") : undefined;
      const driver = volume?.spec?.csi?.driver;
      if (!volume || driver === undefined) continue;
      // A driver that says nothing of itself has an attacher.
      if (lister(csiDrivers).get(driver)?.spec.attachRequired === false) continue;
      const name = volume.metadata.name ?? "";
      const entry = found.get(name) ?? { volume, pods: [] };
      entry.pods.push(pod);
      found.set(name, entry);
    }
  }
  return [...found.values()];
}

/** The node's attachments that this controller made or would have made. */
function presentAttachments(nodeName: string, { lister }: Lister): AttachmentFacts["present"] {
  return lister(volumeAttachments)
    .byIndex("node", nodeName)
    .flatMap((attachment) => {
      const volume = lister(persistentVolumes).get(volumeOf(attachment)[0] ?? "");
      const ours = volume?.spec?.csi && attachment.metadata.name === attachmentOf(volume, nodeName);
      return volume && ours ? [{ attachment, volume }] : [];
    });
}
