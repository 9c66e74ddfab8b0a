import { isServedIngress, servesIngress } from "#shared/api/ingress.ts";
import { localPathNodeLabel } from "#shared/api/local-path.ts";
import { keyOf, type ObjectKey, splitKey } from "#shared/api/object.ts";
import { referencedNames, secretsOfVolume } from "#shared/api/pod-references.ts";
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
import type { PersistentVolume, Pod } from "#shared/api/types/core-v1.generated.ts";
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
          this.#anyPod(node, key.namespace, (pod) => referencedNames(pod, kind).includes(key.name)) ||
          this.#volumeNeeds(node, key) ||
          this.#ingressNeeds(node, key)
        );
      default:
        return this.#anyPod(node, key.namespace, (pod) => referencedNames(pod, kind).includes(key.name));
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
    return this.#anyPod(node, claim?.namespace ?? "", (pod) => referencedNames(pod, "claim").includes(name));
  }

  /** node ← pod ← claim ← volume ← secret */
  #volumeNeeds(node: string, secret: ObjectKey): boolean {
    return this.#anyPod(node, undefined, (pod) =>
      referencedNames(pod, "claim").some((claim) => {
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
