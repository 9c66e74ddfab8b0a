/** The specification of a claim, in PersistentVolumeClaims and in templates of them. */
import type {
  PersistentVolumeClaimSpec,
  PersistentVolumeClaimTemplate,
  TypedObjectReference,
} from "#shared/api/types/core-v1.generated.ts";
import { type Field, oneOf, semanticEqual } from "../validation/field.ts";
import { isDns1123Label, isDns1123Subdomain } from "../validation/names.ts";
import { validateTemplateMetadata } from "../validation/object-meta.ts";
import { validateAmount, validatePositiveAmount } from "../validation/quantities.ts";
import { validateLabelSelector } from "../validation/selectors.ts";

const accessModes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
export const volumeModes = ["Block", "Filesystem"];

/** Access modes of a claim or a volume; absence is for the caller to judge. */
export function validateAccessModes(modes: readonly string[] | undefined, field: Field): void {
  for (const mode of modes ?? []) oneOf(mode, accessModes, field);
  const others = (modes ?? []).some((mode) => mode !== "ReadWriteOncePod" && accessModes.includes(mode));
  if (modes?.includes("ReadWriteOncePod") && others) {
    field.forbidden("may not use ReadWriteOncePod with other access modes");
  }
}

export function validateClaimSpec(
  spec: PersistentVolumeClaimSpec | undefined,
  field: Field,
  tolerant?: "tolerant",
): void {
  const {
    accessModes: modes,
    selector,
    resources,
    storageClassName,
    volumeMode,
    dataSource,
    dataSourceRef,
  } = spec ?? {};
  if (!modes?.length) field.at("accessModes").required("at least 1 access mode is required");
  validateLabelSelector(selector, field.at("selector"), "values of its selector");
  validateAccessModes(modes, field.at("accessModes"));
  validateStorageRequest(resources?.requests?.["storage"], field.at("resources").key("storage"));
  if (storageClassName)
    field.at("storageClassName").invalidEach(storageClassName, isDns1123Subdomain(storageClassName));
  if (volumeMode !== undefined) oneOf(volumeMode, volumeModes, field.at("volumeMode"));
  if (dataSource) validateDataSource(dataSource, field.at("dataSource"), tolerant);
  if (dataSourceRef) {
    validateDataSource(dataSourceRef, field.at("dataSourceRef"), tolerant);
    const { namespace } = dataSourceRef;
    if (namespace) field.at("dataSourceRef", "namespace").invalidEach(namespace, isDns1123Label(namespace));
  }
  if (dataSource && dataSourceRef) {
    if (dataSourceRef.namespace) field.invalid({}, "may not be specified when dataSourceRef.namespace is specified");
    else if (!semanticEqual(dataSource, dataSourceRef)) field.invalid({}, "must match dataSourceRef");
  }
  const attributes = spec?.volumeAttributesClassName;
  if (attributes) field.at("volumeAttributesClassName").invalidEach(attributes, isDns1123Subdomain(attributes));
}

function validateStorageRequest(amount: string | number | undefined, field: Field): void {
  if (amount === undefined) {
    field.required();
    return;
  }
  const { field: apart, errors } = field.apart();
  validatePositiveAmount(amount, apart);
  if (errors.length === 0) validateAmount("storage", amount, apart);
  field.addAll(errors);
}

function validateDataSource({ name, kind, apiGroup }: TypedObjectReference, field: Field, tolerant?: "tolerant"): void {
  if (!name) field.at("name").required();
  if (!kind) field.at("kind").required();
  if (!apiGroup && kind !== "PersistentVolumeClaim") {
    field.invalid(kind ?? "", "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
  }
  if (apiGroup && !tolerant) field.at("apiGroup").invalidEach(apiGroup, isDns1123Subdomain(apiGroup));
}

/** A template of an ephemeral volume's claim: of its metadata only labels and annotations may be set. */
export function validateClaimTemplate(template: PersistentVolumeClaimTemplate, field: Field): void {
  validateTemplateMetadata(template.metadata ?? {}, field.at("metadata"));
  validateClaimSpec(template.spec, field.at("spec"));
}
