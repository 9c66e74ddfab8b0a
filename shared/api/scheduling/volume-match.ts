import { compareQuantities, parseQuantity } from "../quantity.ts";
import { labelSelectorOf } from "../selector/label-selector.ts";
import type { Node, PersistentVolume, PersistentVolumeClaim } from "../types/core-v1.generated.ts";
import type { StorageClass } from "../types/storage-v1.generated.ts";
import { matchesNodeSelector } from "./node-affinity.ts";

/** Annotations by which the volume controller and the scheduler talk. */
export const volumeAnnotations = {
  bindCompleted: "pv.kubernetes.io/bind-completed",
  boundByController: "pv.kubernetes.io/bound-by-controller",
  selectedNode: "volume.kubernetes.io/selected-node",
  storageProvisioner: "volume.kubernetes.io/storage-provisioner",
  betaStorageProvisioner: "volume.beta.kubernetes.io/storage-provisioner",
  dynamicallyProvisioned: "pv.kubernetes.io/provisioned-by",
} as const;

/** The provisioner of classes whose volumes somebody makes by hand. */
export const noProvisioner = "kubernetes.io/no-provisioner";

/** The claim and the volume name each other and both are done. */
export const isBound = ({ spec, metadata }: PersistentVolumeClaim): boolean =>
  !!spec?.volumeName && metadata.annotations?.[volumeAnnotations.bindCompleted] !== undefined;

/** The volume is reserved for this very claim (a claimRef without a UID is a reservation by hand). */
export function isReservedFor({ spec }: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const reference = spec?.claimRef;
  if (!reference) return false;
  const { name, namespace, uid } = claim.metadata;
  return reference.name === name && reference.namespace === namespace && (!reference.uid || reference.uid === uid);
}

/** What keeps a volume that a claim names from being bound to it, as the binder says it; undefined: nothing. */
export function whyUnsatisfying(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  const { spec = {}, metadata } = volume;
  const wanted = claim.spec ?? {};
  if (metadata.deletionTimestamp) return `the volume is marked for deletion "${metadata.name}"`;
  const size = parseQuantity(wanted.resources?.requests?.["storage"] ?? "0");
  if (compareQuantities(capacityOf(volume), size) < 0) return "requested PV is too small";
  if ((spec.storageClassName ?? "") !== (wanted.storageClassName ?? "")) return "storageClassName does not match";
  if ((spec.volumeAttributesClassName ?? "") !== (wanted.volumeAttributesClassName ?? ""))
    return "volumeAttributesClassName does not match";
  if ((spec.volumeMode ?? "Filesystem") !== (wanted.volumeMode ?? "Filesystem")) return "incompatible volumeMode";
  const modes = wanted.accessModes ?? [];
  return modes.every((mode) => spec.accessModes?.includes(mode)) ? undefined : "incompatible accessMode";
}

/** Whether the volume, by itself, is what the claim asks for: class, modes, size, labels. */
export function volumeSatisfies(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const { spec } = volume;
  const wanted = claim.spec;
  if (!spec || !wanted) return false;
  if ((spec.volumeMode ?? "Filesystem") !== (wanted.volumeMode ?? "Filesystem")) return false;
  if ((spec.storageClassName ?? "") !== (wanted.storageClassName ?? "")) return false;
  if ((spec.volumeAttributesClassName ?? "") !== (wanted.volumeAttributesClassName ?? "")) return false;
  if (!(wanted.accessModes ?? []).every((mode) => spec.accessModes?.includes(mode))) return false;
  if (wanted.selector && !labelSelectorOf(wanted.selector).matches(volume.metadata.labels)) return false;
  return compareQuantities(capacityOf(volume), parseQuantity(wanted.resources?.requests?.["storage"] ?? "0")) >= 0;
}

const capacityOf = ({ spec }: PersistentVolume) => parseQuantity(spec?.capacity?.["storage"] ?? "0");

/** Whether pods on the node can use the volume. */
export function volumeReaches({ spec }: PersistentVolume, node: Node): boolean {
  const required = spec?.nodeAffinity?.required;
  return !required || matchesNodeSelector(required, node);
}

/**
 * The volume to bind to the claim: one reserved for it, else the smallest free one that satisfies it (ties by name), on
 * the node if one is given.
 */
export function findVolume(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  options: { readonly node?: Node | undefined; readonly taken?: ReadonlySet<string> | undefined } = {},
): PersistentVolume | undefined {
  const { node, taken } = options;
  const fits = volumes.filter(
    (volume) =>
      !taken?.has(volume.metadata.name ?? "") &&
      !volume.metadata.deletionTimestamp &&
      volumeSatisfies(volume, claim) &&
      (!node || volumeReaches(volume, node)),
  );
  const reserved = fits.find((volume) => isReservedFor(volume, claim));
  if (reserved) return reserved;
  return fits
    .filter(({ spec, status }) => !spec?.claimRef && (status?.phase ?? "Available") === "Available")
    .sort(
      (a, b) =>
        compareQuantities(capacityOf(a), capacityOf(b)) || (a.metadata.name ?? "").localeCompare(b.metadata.name ?? ""),
    )[0];
}

/** Whether a volume of the class could be made for pods on the node. */
export function canProvisionOn(storageClass: StorageClass, node: Node): boolean {
  if (storageClass.provisioner === noProvisioner) return false;
  const terms = storageClass.allowedTopologies;
  if (!terms || terms.length === 0) return true;
  return terms.some(({ matchLabelExpressions = [] }) =>
    matchLabelExpressions.every(({ key, values }) => values.includes(node.metadata.labels?.[key] ?? "")),
  );
}
