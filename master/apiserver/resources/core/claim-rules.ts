/** PersistentVolumeClaims as a whole: create, update, status (pkg/apis/core/validation, pkg/api/persistentvolumeclaim). */
import type { FieldError } from "#shared/api/errors.ts";
import { parseQuantity } from "#shared/api/quantity.ts";
import { storageClassAnnotation } from "#shared/api/storage-class-name.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "#shared/api/types/core-v1.generated.ts";
import { collect, difference, type Field, immutable, oneOf, semanticEqual } from "../validation/field.ts";
import { isQualifiedName } from "../validation/names.ts";
import { compareAmounts, isNativeResource, isNegative, validateAmount } from "../validation/quantities.ts";
import { validateClaimSpec } from "./claim-spec.ts";

/** dataSource and dataSourceRef show the same thing where both can; what the old field never took is dropped from it. */
export function keepOldDataSources(
  spec: PersistentVolumeClaimSpec,
  old: Readonly<PersistentVolumeClaimSpec> | undefined,
): void {
  const { dataSource: source } = spec;
  if (old?.dataSource === undefined && old?.dataSourceRef === undefined && spec.dataSourceRef === undefined && source) {
    const isClaim = source.kind === "PersistentVolumeClaim" && !source.apiGroup;
    const isSnapshot = source.kind === "VolumeSnapshot" && source.apiGroup === "snapshot.storage.k8s.io";
    if (!isClaim && !isSnapshot) delete spec.dataSource;
  }
  if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource };
  else if (spec.dataSourceRef && !spec.dataSource && !spec.dataSourceRef.namespace) {
    const { namespace: _, ...reference } = spec.dataSourceRef;
    spec.dataSource = reference;
  }
}

export function validateClaim(claim: PersistentVolumeClaim): FieldError[] {
  return collect((root) => validateClaimSpec(claim.spec, root.at("spec")));
}

type Claim = Readonly<PersistentVolumeClaim>;

/** A claim from before storageClassName may say in it what its annotation says, and one without a class may get one. */
function isClassUpgrade(claim: Claim, old: Claim): "fromAnnotation" | "fromNothing" | undefined {
  const [name, before] = [claim.spec.storageClassName, old.spec.storageClassName];
  const [annotation, oldAnnotation] = [claim, old].map(
    ({ metadata }) => metadata.annotations?.[storageClassAnnotation],
  );
  if (name === undefined || before !== undefined) return undefined;
  if (
    oldAnnotation !== undefined &&
    name === oldAnnotation &&
    (annotation === undefined || annotation === oldAnnotation)
  ) {
    return "fromAnnotation";
  }
  return oldAnnotation === undefined ? "fromNothing" : undefined;
}

/** Where one has been set, groups were not looked at in the old days. */
const namesGroup = ({ spec }: Readonly<PersistentVolumeClaim>): boolean =>
  spec.dataSource?.apiGroup !== undefined || spec.dataSourceRef?.apiGroup !== undefined;

export function validateClaimUpdate(claim: PersistentVolumeClaim, old: Claim): FieldError[] {
  return collect((root) => {
    const field = root.at("spec");
    validateClaimSpec(claim.spec, field, namesGroup(old) ? "tolerant" : undefined);
    const upgrade = isClassUpgrade(claim, old);
    if (upgrade !== "fromAnnotation") {
      const [after, before] = [claim, old].map(({ metadata }) => metadata.annotations?.[storageClassAnnotation] ?? "");
      immutable(after, before, root.at("metadata", "annotations", storageClassAnnotation));
    }
    validateSpecChange(claim, old, upgrade !== undefined, field);
    validateSizeChange(claim, old, field.at("resources", "requests", "storage"));
    immutable(claim.spec.volumeMode, old.spec.volumeMode, root.at("volumeMode"));
    validateAttributesChange(claim, old, field.at("volumeAttributesClassName"));
  });
}

function validateSpecChange(claim: Claim, old: Claim, classMayChange: boolean, field: Field): void {
  const masked: PersistentVolumeClaimSpec = { ...claim.spec };
  if (!old.spec.volumeName) masked.volumeName = old.spec.volumeName;
  if (classMayChange) masked.storageClassName = old.spec.storageClassName;
  if (claim.status?.phase === "Bound") {
    masked.volumeAttributesClassName = old.spec.volumeAttributesClassName;
    const storage = old.spec.resources?.requests?.["storage"];
    if (masked.resources?.requests && storage !== undefined) {
      masked.resources = { ...masked.resources, requests: { ...masked.resources.requests, storage } };
    }
  }
  if (semanticEqual(masked, old.spec)) return;
  field.forbidden(
    `spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n${difference(old.spec, masked, "spec")}`,
  );
}

function validateSizeChange(claim: Claim, old: Claim, field: Field): void {
  const size = claim.spec.resources?.requests?.["storage"] ?? 0;
  const before = old.spec.resources?.requests?.["storage"] ?? 0;
  const actual = old.status?.capacity?.["storage"] ?? 0;
  if (compareAmounts(size, before) < 0 && compareAmounts(size, actual) <= 0) {
    field.forbidden("field can not be less than status.capacity");
  }
}

function validateAttributesChange({ spec }: Claim, old: Claim, field: Field): void {
  const name = spec.volumeAttributesClassName;
  if (name === old.spec.volumeAttributesClassName || old.status?.currentVolumeAttributesClassName === undefined) return;
  const when = "is forbidden when status.currentVolumeAttributesClassName is not nil";
  if (name === undefined) field.forbidden(`update to nil ${when}`);
  else if (name === "") field.forbidden(`update to empty string ${when}`);
}

const resizeStatuses = [
  "ControllerResizeInProgress",
  "ControllerResizeInfeasible",
  "NodeResizeInProgress",
  "NodeResizeInfeasible",
  "NodeResizePending",
].sort();

export function validateClaimStatus({ spec, status }: PersistentVolumeClaim): FieldError[] {
  return collect((root) => {
    if (!spec.accessModes?.length) root.at("Spec", "accessModes").required();
    const field = root.at("status");
    for (const [name, amount] of Object.entries(status?.capacity ?? {})) {
      validateBasicAmount(amount, field.at("capacity").key(name));
    }
    for (const [name, resize] of Object.entries(status?.allocatedResourceStatuses ?? {})) {
      validateResourceKey(name, field.at("allocatedResourceStatuses"));
      if (!resizeStatuses.includes(resize)) field.at("allocatedResourceStatuses").notSupported(name, resizeStatuses);
    }
    for (const [name, amount] of Object.entries(status?.allocatedResources ?? {})) {
      if (!validateResourceKey(name, field.at("allocatedResources"))) continue;
      const at = field.at("allocatedResources").key(name);
      if (validateBasicAmount(amount, at)) validateAmount("storage", amount, at);
    }
  });
}

function validateBasicAmount(amount: string | number, field: Field): boolean {
  if (!isNegative(parseQuantity(amount))) return true;
  field.invalid(Number(amount), "must be a valid resource quantity");
  return false;
}

function validateResourceKey(name: string, field: Field): boolean {
  const errors = isQualifiedName(name);
  field.invalidEach(name, errors);
  if (errors.length > 0) return false;
  if (isNativeResource(name)) oneOf(name, ["storage"], field);
  return !isNativeResource(name) || name === "storage";
}
