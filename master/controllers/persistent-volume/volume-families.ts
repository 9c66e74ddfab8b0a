/** How many volumes and claims there are, and where volumes are attached, under upstream's names; counted when somebody asks. */

import { persistentVolumeClaims, persistentVolumes, volumeAttachments } from "#shared/api/resources.ts";
import { storageClassNameOf } from "#shared/api/storage-class-name.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import type { VolumeAttachment } from "#shared/api/types/storage-v1.generated.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import { gaugeFamily } from "#shared/metrics/process-families.ts";
import type { Family, Sample } from "#shared/metrics/prometheus-text.ts";

export interface Volumes {
  readonly volumes: readonly PersistentVolume[];
  readonly claims: readonly PersistentVolumeClaim[];
  readonly attachments: readonly VolumeAttachment[];
}

export const volumeFamiliesOf = (informers: InformerFactory): Family[] =>
  volumeFamilies({
    volumes: informers.lister(persistentVolumes).list(),
    claims: informers.lister(persistentVolumeClaims).list(),
    attachments: informers.lister(volumeAttachments).list(),
  });

export function volumeFamilies({ volumes, claims, attachments }: Volumes): Family[] {
  const [boundVolumes, otherVolumes] = split(volumes);
  const [boundClaims, otherClaims] = split(claims);
  const classOf = (volume: PersistentVolume): Sample["labels"] => ({ storage_class: storageClassNameOf(volume) });
  return [
    gaugeFamily(
      "pv_collector_total_pv_count",
      "Volumes, by what provides them.",
      counted(volumes, (volume) => ({
        plugin_name: pluginOf(volume),
        volume_mode: volume.spec?.volumeMode ?? "Filesystem",
      })),
    ),
    gaugeFamily("pv_collector_bound_pv_count", "Volumes that a claim has.", counted(boundVolumes, classOf)),
    gaugeFamily("pv_collector_unbound_pv_count", "Volumes that none has.", counted(otherVolumes, classOf)),
    gaugeFamily("pv_collector_bound_pvc_count", "Claims that have a volume.", counted(boundClaims, labelsOfClaim)),
    gaugeFamily("pv_collector_unbound_pvc_count", "Claims that have none.", counted(otherClaims, labelsOfClaim)),
    gaugeFamily("attachdetach_controller_total_volumes", "Volumes that are to be attached to a node, and that are.", [
      ...attached(attachments, "desired_state_of_world", ({ metadata }) => metadata.deletionTimestamp === undefined),
      ...attached(attachments, "actual_state_of_world", ({ status }) => status?.attached === true),
    ]),
  ];
}

const split = <T extends { status?: { phase?: string | undefined } | undefined }>(all: readonly T[]): [T[], T[]] => [
  all.filter(({ status }) => status?.phase === "Bound"),
  all.filter(({ status }) => status?.phase !== "Bound"),
];

const labelsOfClaim = (claim: PersistentVolumeClaim): Sample["labels"] => ({
  namespace: claim.metadata.namespace ?? "",
  storage_class: storageClassNameOf(claim),
  volume_attributes_class: claim.spec?.volumeAttributesClassName ?? "",
});

const attached = (
  attachments: readonly VolumeAttachment[],
  state: string,
  isIn: (attachment: VolumeAttachment) => boolean,
): Sample[] =>
  counted(attachments.filter(isIn), ({ spec }) => ({ plugin_name: `kubernetes.io/csi:${spec.attacher}`, state }));

/** As upstream calls the plug-in that is in charge. */
function pluginOf({ spec }: PersistentVolume): string {
  if (spec?.csi) return `kubernetes.io/csi:${spec.csi.driver}`;
  if (spec?.hostPath) return "kubernetes.io/host-path";
  if (spec?.local) return "kubernetes.io/local-volume";
  if (spec?.nfs) return "kubernetes.io/nfs";
  if (spec?.iscsi) return "kubernetes.io/iscsi";
  if (spec?.fc) return "kubernetes.io/fc";
  return "N/A";
}

function counted<T>(all: readonly T[], labelsOf: (one: T) => Sample["labels"]): Sample[] {
  const counts = new Map<string, { labels: Sample["labels"]; value: number }>();
  for (const one of all) {
    const labels = labelsOf(one);
    const key = JSON.stringify(labels);
    const known = counts.get(key);
    if (known) known.value += 1;
    else counts.set(key, { labels, value: 1 });
  }
  return [...counts.values()];
}
