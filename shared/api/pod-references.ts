import { claimNameOf } from "./pod-claims.ts";
import type { Container, PersistentVolume, Pod, Volume } from "./types/core-v1.generated.ts";

/** Names, in the pod's namespace, of what a pod refers to. */
export function referencedNames(
  pod: Pod,
  kind: "secret" | "configMap" | "claim" | "resourceClaim" | "serviceAccount",
): string[] {
  const { spec } = pod;
  if (!spec) return [];
  switch (kind) {
    case "serviceAccount":
      return spec.serviceAccountName ? [spec.serviceAccountName] : [];
    case "claim":
      return (spec.volumes ?? []).flatMap((volume) => claimNameOf(pod, volume) ?? []);
    case "resourceClaim":
      return [
        ...(spec.resourceClaims ?? []).flatMap((claim) => claim.resourceClaimName ?? []),
        ...(pod.status?.resourceClaimStatuses ?? []).flatMap((claim) => claim.resourceClaimName ?? []),
        pod.status?.extendedResourceClaimStatus?.resourceClaimName ?? [],
      ].flat();
    case "secret":
      return [
        ...(spec.imagePullSecrets ?? []).flatMap((reference) => reference.name ?? []),
        ...containersOf(pod).flatMap((container) => [
          ...(container.envFrom ?? []).flatMap((source) => source.secretRef?.name ?? []),
          ...(container.env ?? []).flatMap((variable) => variable.valueFrom?.secretKeyRef?.name ?? []),
        ]),
        ...(spec.volumes ?? []).flatMap(secretsOfPodVolume),
      ];
    case "configMap":
      return [
        ...containersOf(pod).flatMap((container) => [
          ...(container.envFrom ?? []).flatMap((source) => source.configMapRef?.name ?? []),
          ...(container.env ?? []).flatMap((variable) => variable.valueFrom?.configMapKeyRef?.name ?? []),
        ]),
        ...(spec.volumes ?? []).flatMap((volume) => volume.configMap?.name ?? []),
        ...(spec.volumes ?? [])
          .flatMap((volume) => volume.projected?.sources ?? [])
          .flatMap((source) => source.configMap?.name ?? []),
      ];
  }
}

function containersOf(pod: Pod): readonly Pick<Container, "env" | "envFrom">[] {
  const { spec } = pod;
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])];
}

function secretsOfPodVolume(volume: Volume): string[] {
  return [
    volume.secret?.secretName,
    ...(volume.projected?.sources ?? []).map((source) => source.secret?.name),
    volume.csi?.nodePublishSecretRef?.name,
    volume.azureFile?.secretName,
    volume.cephfs?.secretRef?.name,
    volume.cinder?.secretRef?.name,
    volume.flexVolume?.secretRef?.name,
    volume.rbd?.secretRef?.name,
    volume.scaleIO?.secretRef?.name,
    volume.iscsi?.secretRef?.name,
    volume.storageos?.secretRef?.name,
  ].filter((name) => name !== undefined);
}

/** Secrets that a kubelet uses for a volume; a CSI controller's own secrets are not for boards. */
export function secretsOfVolume(volume: PersistentVolume): { namespace: string; name: string }[] {
  const { csi, flexVolume, iscsi, rbd, cephfs, azureFile } = volume.spec ?? {};
  const claimNamespace = volume.spec?.claimRef?.namespace;
  const inOwnNamespace = [
    flexVolume?.secretRef,
    iscsi?.secretRef,
    rbd?.secretRef,
    cephfs?.secretRef,
    csi?.nodePublishSecretRef,
    csi?.nodeStageSecretRef,
    csi?.nodeExpandSecretRef,
    azureFile ? { name: azureFile.secretName, namespace: azureFile.secretNamespace } : undefined,
  ];
  return inOwnNamespace.flatMap((reference) => {
    const namespace = reference?.namespace || claimNamespace;
    return reference?.name && namespace ? [{ namespace, name: reference.name }] : [];
  });
}
