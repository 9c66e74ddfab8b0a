import type { Container, PodSpec, Volume } from "#shared/api/types/core-v1.generated.ts";

/**
 * What a pod's spec needs of the API beside itself, in upstream's words (HasAPIObjectReference); undefined when nothing. A static
 * pod may need none: it runs without a master, and nobody has checked whether it may have what it names.
 */
export function apiReference(spec: PodSpec): string | undefined {
  if (spec.serviceAccountName) return "serviceaccounts";
  const containers = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
  const volumes = spec.volumes ?? [];
  if ((spec.imagePullSecrets ?? []).length > 0 || containers.some(usesSecret) || volumes.some(namesSecret))
    return "secrets";
  if (containers.some(usesConfigMap) || volumes.some(namesConfigMap)) return "configmaps";
  if ((spec.resourceClaims ?? []).length > 0) return "resourceclaims";
  return volumes.map(referenceOf).find((reference) => reference !== undefined);
}

const usesSecret = ({ env = [], envFrom = [] }: Container): boolean =>
  env.some(({ valueFrom }) => valueFrom?.secretKeyRef) || envFrom.some(({ secretRef }) => secretRef);

const usesConfigMap = ({ env = [], envFrom = [] }: Container): boolean =>
  env.some(({ valueFrom }) => valueFrom?.configMapKeyRef) || envFrom.some(({ configMapRef }) => configMapRef);

const namesSecret = (volume: Volume): boolean =>
  volume.secret !== undefined || Boolean(volume.projected?.sources?.some(({ secret }) => secret));

const namesConfigMap = (volume: Volume): boolean =>
  volume.configMap !== undefined || Boolean(volume.projected?.sources?.some(({ configMap }) => configMap));

function referenceOf(volume: Volume): string | undefined {
  if (volume.csi) return "csidrivers (via CSI volumes)";
  if (volume.glusterfs) return "endpoints (via glusterFS volumes)";
  if (volume.persistentVolumeClaim) return "persistentvolumeclaims";
  if (volume.ephemeral) return "persistentvolumeclaims (via ephemeral volumes)";
  if (volume.azureFile) return "secrets (via azureFile volumes)";
  for (const source of volume.projected?.sources ?? []) {
    if (source.serviceAccountToken) return "serviceaccounts (via projected volumes)";
    if (source.clusterTrustBundle) return "clustertrustbundles";
    if (source.podCertificate) return "podcertificates";
  }
  return undefined;
}
