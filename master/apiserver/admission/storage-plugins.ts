import { defaultStorageClassAnnotations, newestDefault } from "#shared/api/newest-default.ts";
import { compareQuantities, parseQuantity } from "#shared/api/quantity.ts";
import {
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  volumeAttributesClasses,
} from "#shared/api/resources.ts";
import { namesStorageClass, storageClassNameOf } from "#shared/api/storage-class-name.ts";
import type { PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf, isWriteTo, refusal } from "./attributes.ts";

const protectedKinds = [
  [persistentVolumes, "kubernetes.io/pv-protection"],
  [persistentVolumeClaims, "kubernetes.io/pvc-protection"],
  [volumeAttributesClasses, "kubernetes.io/vac-protection"],
] as const;

/** Claims and volumes get the finalizer that keeps them while they are used; the protection controllers take it off. */
export class StorageObjectInUseProtection implements AdmissionPlugin {
  readonly name = "StorageObjectInUseProtection";
  readonly resources = protectedKinds.map(([ref]) => ref);

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const { object, operation } = attributes;
    if (!object || operation !== "CREATE") return;
    const finalizer = protectedKinds.find(([ref]) => isWriteTo(attributes, ref))?.[1];
    if (finalizer === undefined || object.metadata.finalizers?.includes(finalizer)) return;
    object.metadata.finalizers = [...(object.metadata.finalizers ?? []), finalizer];
  }
}

/** A claim that names no class gets the default one. */
export class DefaultStorageClass implements AdmissionPlugin {
  readonly name = "DefaultStorageClass";
  readonly resources = [persistentVolumeClaims];

  constructor(private readonly reader: ResourceReader) {}

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const claim = draftOf(attributes, persistentVolumeClaims);
    if (!claim || attributes.operation !== "CREATE" || namesStorageClass(claim)) return;
    const name = newestDefault(this.reader.list(storageClasses), defaultStorageClassAnnotations);
    if (name !== undefined) claim.spec = { ...claim.spec, storageClassName: name };
  }
}

/** A claim grows only when it is bound and its class allows it. */
export class PersistentVolumeClaimResize implements AdmissionPlugin {
  readonly name = "PersistentVolumeClaimResize";
  readonly resources = [persistentVolumeClaims];

  constructor(private readonly reader: ResourceReader) {}

  async validate(attributes: AdmissionAttributes): Promise<void> {
    const claim = draftOf(attributes, persistentVolumeClaims);
    const old = attributes.oldObject as PersistentVolumeClaim | undefined;
    if (!claim || !old || attributes.operation !== "UPDATE" || !grows(claim, old)) return;
    if (old.status?.phase !== "Bound") throw refusal(attributes, "Only bound persistent volume claims can be expanded");
    const name = storageClassNameOf(claim);
    const isSame = name !== "" && name === storageClassNameOf(old);
    if (isSame && this.reader.get(storageClasses, { name })?.allowVolumeExpansion === true) return;
    throw refusal(
      attributes,
      "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
    );
  }
}

function grows(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): boolean {
  const size = ({ spec }: PersistentVolumeClaim) => parseQuantity(spec?.resources?.requests?.["storage"] ?? 0);
  return compareQuantities(size(claim), size(old)) > 0;
}
