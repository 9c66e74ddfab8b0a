import { compareQuantities, parseQuantity } from "../quantity.ts";
import { labelSelectorOrNone } from "../selector/label-selector.ts";
import { storageClassNameOf } from "../storage-class-name.ts";
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
  migratedTo: "pv.kubernetes.io/migrated-to",
} as const;

/** The provisioner of classes whose volumes somebody makes by hand. */
const noProvisioner = "kubernetes.io/no-provisioner";

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
  if (compareQuantities(capacityOf(volume), sizeOf(claim)) < 0) return "requested PV is too small";
  if (!isOfClass(volume, claim)) return "storageClassName does not match";
  if ((spec.volumeAttributesClassName ?? "") !== (wanted.volumeAttributesClassName ?? ""))
    return "volumeAttributesClassName does not match";
  if ((spec.volumeMode ?? "Filesystem") !== (wanted.volumeMode ?? "Filesystem")) return "incompatible volumeMode";
  const modes = wanted.accessModes ?? [];
  return modes.every((mode) => spec.accessModes?.includes(mode)) ? undefined : "incompatible accessMode";
}

const capacityOf = ({ spec }: PersistentVolume) => parseQuantity(spec?.capacity?.["storage"] ?? "0");

/** How much the claim asks for. */
export const sizeOf = ({ spec }: Pick<PersistentVolumeClaim, "spec">) =>
  parseQuantity(spec?.resources?.requests?.["storage"] ?? "0");

/** Whether pods on the node can use the volume. */
export function volumeReaches({ spec }: PersistentVolume, node: Node): boolean {
  const required = spec?.nodeAffinity?.required;
  return !required || matchesNodeSelector(required, node);
}

/** What also a volume that is reserved for the claim has to be: big enough, of its mode, and not going. */
function serves(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const { metadata, spec = {} } = volume;
  const { spec: wanted = {} } = claim;
  if (metadata.deletionTimestamp) return false;
  if ((spec.volumeMode ?? "Filesystem") !== (wanted.volumeMode ?? "Filesystem")) return false;
  if ((spec.volumeAttributesClassName ?? "") !== (wanted.volumeAttributesClassName ?? "")) return false;
  return compareQuantities(capacityOf(volume), sizeOf(claim)) >= 0;
}

/** Whether anybody's claim of the kind may have the volume: free, of its class, with its labels. */
const isFreeFor = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  !volume.spec?.claimRef &&
  (volume.status?.phase ?? "Available") === "Available" &&
  isOfClass(volume, claim) &&
  (!claim.spec?.selector || labelSelectorOrNone(claim.spec.selector).matches(volume.metadata.labels));

const isOfClass = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  storageClassNameOf(volume) === storageClassNameOf(claim);

const hasModesOf = ({ spec }: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  (claim.spec?.accessModes ?? []).every((mode) => spec?.accessModes?.includes(mode));

const smallest = (volumes: readonly PersistentVolume[]): PersistentVolume | undefined =>
  volumes.toSorted(
    (a, b) =>
      compareQuantities(capacityOf(a), capacityOf(b)) || (a.metadata.name ?? "").localeCompare(b.metadata.name ?? ""),
  )[0];

/**
 * The volume that the binder gives to a claim: of those with the fewest access modes that have the claim's, one that is
 * reserved for it, whatever its class and labels, else the smallest free one (ties by name).
 * @param free "left": free ones are for the scheduler to choose, on the node of the claim's first pod.
 */
export function findVolume(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  free: "taken" | "left",
): PersistentVolume | undefined {
  const fits = volumes.filter((volume) => hasModesOf(volume, claim) && serves(volume, claim));
  const byModes = Map.groupBy(fits, ({ spec }) => (spec?.accessModes ?? []).toSorted().join());
  const nearestFirst = [...byModes.values()].sort((a, b) => modeCount(a[0]) - modeCount(b[0]));
  for (const group of nearestFirst) {
    const reserved = group.find((volume) => isReservedFor(volume, claim));
    const found = reserved ?? (free === "taken" ? smallest(group.filter((one) => isFreeFor(one, claim))) : undefined);
    if (found) return found;
  }
  return undefined;
}

const modeCount = (volume: PersistentVolume | undefined): number => volume?.spec?.accessModes?.length ?? 0;

/**
 * The volume that a claim would get on a node: of its class, the one that is reserved for it, else the smallest free one
 * (ties by name). A reserved one that does not reach the node leaves none.
 */
export function findVolumeOnNode(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  { node, taken }: { readonly node: Node; readonly taken: ReadonlySet<string> },
): PersistentVolume | undefined {
  const fits = volumes.filter(
    (volume) => !taken.has(volume.metadata.name ?? "") && isOfClass(volume, claim) && serves(volume, claim),
  );
  const reserved = fits.find((volume) => isReservedFor(volume, claim));
  if (reserved) return volumeReaches(reserved, node) ? reserved : undefined;
  return smallest(
    fits.filter((volume) => isFreeFor(volume, claim) && hasModesOf(volume, claim) && volumeReaches(volume, node)),
  );
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
