import { referencedNames } from "#shared/api/pod-references.ts";
import type { Pod, Volume, VolumeProjection } from "#shared/api/types/core-v1.generated.ts";

/** Volumes that need nothing from the API. */
const selfContained: ReadonlySet<string> = new Set([
  "awsElasticBlockStore",
  "azureDisk",
  "cephfs",
  "cinder",
  "downwardAPI",
  "emptyDir",
  "fc",
  "flexVolume",
  "flocker",
  "gcePersistentDisk",
  "gitRepo",
  "hostPath",
  "image",
  "iscsi",
  "nfs",
  "photonPersistentDisk",
  "portworxVolume",
  "quobyte",
  "rbd",
  "scaleIO",
  "storageos",
  "vsphereVolume",
]);

const referencing: Readonly<Record<string, string>> = {
  configMap: "configmaps (via configmap volumes)",
  secret: "secrets (via secret volumes)",
  csi: "csidrivers (via CSI volumes)",
  glusterfs: "endpoints (via glusterFS volumes)",
  persistentVolumeClaim: "persistentvolumeclaims",
  ephemeral: "persistentvolumeclaims (via ephemeral volumes)",
  azureFile: "secrets (via azureFile volumes)",
};

const referencingProjection: Readonly<Record<keyof VolumeProjection, string>> = {
  configMap: "configmaps (via projected volumes)",
  secret: "secrets (via projected volumes)",
  serviceAccountToken: "serviceaccounts (via projected volumes)",
  clusterTrustBundle: "clustertrustbundles",
  podCertificate: "podcertificates",
  downwardAPI: "",
};

/** What in the API a pod refers to, as a refusal names it; undefined when nothing. A mirror pod must refer to nothing,
 *  since its node makes it itself. A volume of a kind not known here counts as referring. */
export function referencedApiObject(pod: Pod): string | undefined {
  if (pod.spec?.serviceAccountName) return "serviceaccounts";
  if (referencedNames(pod, "secret").length > 0) return "secrets";
  if (referencedNames(pod, "configMap").length > 0) return "configmaps";
  if (pod.spec?.resourceClaims?.length) return "resourceclaims";
  for (const volume of pod.spec?.volumes ?? []) {
    const found = ofVolume(volume);
    if (found) return found;
  }
  return undefined;
}

function ofVolume(volume: Volume): string | undefined {
  const source = Object.entries(volume).find(([field, value]) => field !== "name" && value !== undefined)?.[0] ?? "";
  if (source === "projected") {
    for (const projection of volume.projected?.sources ?? [])
      for (const [field, value] of Object.entries(projection)) {
        if (value === undefined) continue;
        const found = (referencingProjection as Record<string, string>)[field] ?? `an unknown projection (${field})`;
        if (found) return found;
      }
    return undefined;
  }
  return selfContained.has(source) ? undefined : (referencing[source] ?? `an unknown volume type (${source})`);
}
