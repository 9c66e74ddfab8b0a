import { isServedIngress, servesIngress } from "#shared/api/ingress.ts";
import { localPathNodeLabel } from "#shared/api/local-path.ts";
import { keyOf, type ObjectKey, splitKey } from "#shared/api/object.ts";
import { claimNameOf } from "#shared/api/pod-claims.ts";
import {
  ingressClasses,
  ingresses,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  resourceSlices,
  secrets,
  volumeAttachments,
} from "#shared/api/resources.ts";
import type { Container, PersistentVolume, Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import { KeyIndex } from "#shared/client/store-index.ts";
import type { ResourceReader } from "../registry/reader.ts";

export type RelatedKind =
  | "pod"
  | "secret"
  | "configMap"
  | "claim"
  | "volume"
  /** A volume that is a folder of the node's own. */
  | "folder"
  | "resourceClaim"
  | "serviceAccount"
  | "volumeAttachment"
  | "resourceSlice";

/**
 * Which objects a node has to do with, through the pods bound to it and the Ingresses that it serves. Only the keys of a node's
 * pods are held; what a pod refers to is read from it when asked, since a board runs some hundred pods at most and asks seldom.
 */
export class NodeGraph {
  /** An empty name of a node: the pod is on none, or gone. */
  readonly #podsByNode = new KeyIndex<string>((node) => (node === "" ? [] : [node]));
  readonly #stop: () => void;

  constructor(private readonly reader: ResourceReader) {
    this.#stop = reader.onChange(pods, (pod, type) =>
      this.#podsByNode.set(keyOf(pod), type === "DELETED" ? "" : (pod.spec?.nodeName ?? "")),
    );
    for (const { key, value } of reader.fields(pods, "spec.nodeName")) this.#podsByNode.set(key, value);
  }

  stop(): void {
    this.#stop();
  }

  isRelated(node: string, kind: RelatedKind, key: ObjectKey): boolean {
    switch (kind) {
      case "pod":
        return this.#podsByNode.has(`${key.namespace ?? ""}/${key.name}`, node);
      case "volume":
        return this.#mountsVolume(node, this.reader.get(persistentVolumes, { name: key.name }));
      case "folder":
        return this.reader.get(persistentVolumes, { name: key.name })?.metadata.labels?.[localPathNodeLabel] === node;
      case "volumeAttachment":
        return this.reader.get(volumeAttachments, { name: key.name })?.spec.nodeName === node;
      case "resourceSlice":
        return this.reader.get(resourceSlices, { name: key.name })?.spec.nodeName === node;
      case "secret":
        return (
          this.#anyPod(node, key.namespace, (pod) => namesOf(pod, kind).includes(key.name)) ||
          this.#volumeNeeds(node, key) ||
          this.#ingressNeeds(node, key)
        );
      default:
        return this.#anyPod(node, key.namespace, (pod) => namesOf(pod, kind).includes(key.name));
    }
  }

  #anyPod(node: string, namespace: string | undefined, matches: (pod: Pod) => boolean): boolean {
    for (const key of this.#podsByNode.keys(node)) {
      const podKey = splitKey(key);
      if (namespace !== undefined && podKey.namespace !== namespace) continue;
      const pod = this.reader.get(pods, podKey);
      // A mirror pod is made by the node itself: it must never open anything to it.
      if (!pod || pod.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined) continue;
      if (matches(pod)) return true;
    }
    return false;
  }

  #mountsVolume(node: string, volume: PersistentVolume | undefined): boolean {
    const claim = volume?.spec?.claimRef;
    const name = claim?.name;
    if (name === undefined) return false;
    return this.#anyPod(node, claim?.namespace ?? "", (pod) => namesOf(pod, "claim").includes(name));
  }

  /** node ← pod ← claim ← volume ← secret */
  #volumeNeeds(node: string, secret: ObjectKey): boolean {
    return this.#anyPod(node, undefined, (pod) =>
      namesOf(pod, "claim").some((claim) => {
        const { namespace } = pod.metadata;
        const found = this.reader.get(persistentVolumeClaims, { namespace, name: claim });
        const volume = found?.spec?.volumeName
          ? this.reader.get(persistentVolumes, { name: found.spec.volumeName })
          : undefined;
        const claimRef = volume?.spec?.claimRef;
        return (
          volume !== undefined &&
          claimRef?.name === claim &&
          claimRef.namespace === namespace &&
          secretsOfVolume(volume).some((one) => one.namespace === secret.namespace && one.name === secret.name)
        );
      }),
    );
  }

  /** Certificates that a served Ingress of their namespace names, for boards that serve Ingresses; no other Secrets. */
  #ingressNeeds(node: string, key: ObjectKey): boolean {
    const classes = this.reader.list(ingressClasses);
    const isNamed = this.reader
      .list(ingresses, key.namespace)
      .some(
        (ingress) =>
          isServedIngress(ingress, classes) && ingress.spec.tls?.some(({ secretName }) => secretName === key.name),
      );
    return (
      isNamed &&
      this.reader.get(secrets, key)?.type === "kubernetes.io/tls" &&
      this.reader.get(nodes, { name: node }) !== undefined &&
      servesIngress(node, this.reader.list(nodes))
    );
  }
}

/** Names, in the pod's namespace, of what a pod refers to. */
export function namesOf(
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

/** Only those that a kubelet uses; a CSI controller's own secrets are not for boards. */
function secretsOfVolume(volume: PersistentVolume): { namespace: string; name: string }[] {
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
