/** Rules for the metadata of every kind (api/validation/objectmeta.go of apimachinery, and the registry's own). */
import type { FieldError } from "#shared/api/errors.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import type { ManagedFieldsEntry, ObjectMeta, OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import { collect, each, type Field, immutable, nonNegative, oneOf } from "./field.ts";
import {
  isDns1123Label,
  isDns1123Subdomain,
  isLabelValue,
  isPathSegment,
  isQualifiedName,
  maskTrailingDash,
} from "./names.ts";

const maxAnnotations_bytes = 256 * 1024;
const maxFieldManager_bytes = 128;
const maxSubresource_bytes = 256;
const orphan = "orphan";
const foreground = "foregroundDeletion";
const standardFinalizers = ["kubernetes", orphan, foreground];

export function validateLabelName(name: string, field: Field): void {
  field.invalidEach(name, isQualifiedName(name));
}

export function validateLabels(labels: Readonly<Record<string, string>> | undefined, field: Field): void {
  for (const key in labels) {
    const value = labels[key] ?? "";
    validateLabelName(key, field);
    field.invalidEach(value, isLabelValue(value));
  }
}

export function validateAnnotations(annotations: Readonly<Record<string, string>> | undefined, field: Field): void {
  let size_bytes = 0;
  for (const key in annotations) {
    const value = annotations[key] ?? "";
    field.invalidEach(key, isQualifiedName(key.toLowerCase()));
    size_bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size_bytes > maxAnnotations_bytes) field.tooLong(maxAnnotations_bytes);
}

/** What a template may not say of the objects that are made of it, by upstream's names of the fields. */
const ownOfObjects: readonly (readonly [keyof ObjectMeta, string])[] = [
  ["name", "name"],
  ["generateName", "generateName"],
  ["namespace", "namespace"],
  ["selfLink", "selfLink"],
  ["uid", "uID"],
  ["resourceVersion", "resourceVersion"],
  ["generation", "generation"],
  ["creationTimestamp", "creationTimestamp"],
  ["deletionTimestamp", "deletionTimestamp"],
  ["deletionGracePeriodSeconds", "deletionGracePeriodSeconds"],
  ["ownerReferences", "ownerReferences"],
  ["finalizers", "finalizers"],
  ["managedFields", "managedFields"],
];

/** Of an object that is made of a template and named by whoever makes it: only labels and annotations come from there. */
export function validateTemplateMetadata(metadata: Readonly<ObjectMeta>, field: Field): void {
  validateAnnotations(metadata.annotations, field.at("annotations"));
  validateLabels(metadata.labels, field.at("labels"));
  for (const [key, shown] of ownOfObjects) {
    const value = metadata[key];
    if (value !== undefined && value !== null && value !== "") field.at(shown).forbidden("cannot be set");
  }
}

function validateOwnerReferences(owners: readonly OwnerReference[] | undefined, field: Field): void {
  let controller = "";
  for (const owner of owners ?? []) {
    const { group, version } = parseApiVersion(owner.apiVersion ?? "");
    if (version === "") field.at("apiVersion").invalid(owner.apiVersion ?? "", "version must not be empty");
    for (const key of ["kind", "name", "uid"] as const) {
      if (!owner[key]) field.at(key).invalid(owner[key] ?? "", "must not be empty");
    }
    if (group === "" && version === "v1" && owner.kind === "Event") {
      field.invalid(owner, "/v1, Kind=Event is disallowed from being an owner");
    }
    if (!owner.controller) continue;
    const name = `${owner.kind}/${owner.name}`;
    if (controller === "") controller = name;
    else {
      field.invalid(
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`,
      );
    }
  }
}

export function validateFinalizerName(name: string, field: Field): void {
  field.invalidEach(name, isQualifiedName(name));
}

/** Finalizers of built-in kinds without a domain must be known ones; custom resources are free. */
export function validateStandardFinalizer(name: string, field: Field): void {
  if (name.includes("/") || standardFinalizers.includes(name)) return;
  field.invalid(name, "name is neither a standard finalizer name nor is it fully qualified");
}

function validateFinalizers(finalizers: readonly string[], field: Field): void {
  for (const name of finalizers) validateFinalizerName(name, field);
  if (finalizers.includes(orphan) && finalizers.includes(foreground)) {
    field.invalid(finalizers, `finalizer ${orphan} and ${foreground} cannot be both set`);
  }
}

function validateManagedFields(entries: readonly ManagedFieldsEntry[] | undefined, field: Field): void {
  each(entries, field, (entry, at) => {
    if (entry.operation !== "Apply" && entry.operation !== "Update") {
      at.at("operation").invalid(entry.operation ?? "", "must be `Apply` or `Update`");
    }
    if (entry.fieldsType && entry.fieldsType !== "FieldsV1") {
      at.at("fieldsType").invalid(entry.fieldsType, "must be `FieldsV1`");
    }
    validateFieldManager(entry.manager ?? "", at.at("manager"));
    if ((entry.subresource ?? "").length > maxSubresource_bytes) at.at("subresource").tooLong(maxSubresource_bytes);
  });
}

const printableText = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;

/** A field manager's name, in managedFields or in the options of a write. */
export function validateFieldManager(manager: string, field: Field): void {
  if (Buffer.byteLength(manager) > maxFieldManager_bytes) field.tooLong(maxFieldManager_bytes);
  if (printableText.test(manager)) return;
  for (const [position, character] of [...manager].entries()) {
    if (/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character)) continue;
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    field.invalid(manager, `invalid character U+${code} (at position ${position})`);
  }
}

/**
 * Who judges an object's metadata, besides what holds for every kind: the kind's own rules for names, and for finalizers
 * without a domain ("kind"); for names alone ("names"); nobody ("common").
 */
export type MetadataRules = "kind" | "names" | "common";

export interface ObjectMetaRules {
  readonly namespaced: boolean;
  /** Absent: a DNS-1123 subdomain. */
  readonly validateName?: ((name: string) => string[]) | undefined;
  /** Absent: "names". */
  readonly metadataRules?: MetadataRules | undefined;
  /** The name that is generated is judged, not what it is generated from. */
  readonly ignoresGenerateName?: boolean | undefined;
}

/** What upstream's strategy of a kind finds wrong with the metadata of an object; `generateName` must have become `name`. */
export function validateKindMeta(metadata: ObjectMeta, rules: ObjectMetaRules): FieldError[] {
  if (rules.metadataRules === "common") return [];
  const { metadataRules, ignoresGenerateName = false } = rules;
  const judge = rules.validateName ?? isDns1123Subdomain;
  return collect((root) => {
    const field = root.at("metadata");
    validateObjectMeta(metadata, rules, judge, ignoresGenerateName, field);
    if (metadataRules === "kind") validateKnownFinalizers(metadata, field.at("finalizers"));
  });
}

/** What upstream's strategy of a kind finds wrong with what a name would be generated from. */
export const validateGenerateName = (metadata: ObjectMeta, rules: ObjectMetaRules): FieldError[] =>
  rules.ignoresGenerateName
    ? []
    : collect((root) => judgeGenerateName(metadata, rules.validateName ?? isDns1123Subdomain, root.at("metadata")));

function judgeGenerateName({ generateName }: ObjectMeta, judge: (name: string) => string[], field: Field): void {
  if (generateName) field.at("generateName").invalidEach(generateName, judge(maskTrailingDash(generateName)));
}

/** What holds for the metadata of every kind. */
export const validateCommonMeta = (metadata: ObjectMeta, rules: Pick<ObjectMetaRules, "namespaced">): FieldError[] =>
  collect((root) => validateObjectMeta(metadata, rules, isPathSegment, false, root.at("metadata")));

/** What is left of the common rules for metadata in which those of its kind found nothing wrong: both are the same but for
 *  what a name may be. */
export function validateFurtherMeta(metadata: ObjectMeta, rules: ObjectMetaRules): FieldError[] {
  if (rules.metadataRules === "common") return validateCommonMeta(metadata, rules);
  return collect((root) => {
    const field = root.at("metadata");
    judgeGenerateName(metadata, isPathSegment, field);
    field.at("name").invalidEach(metadata.name, isPathSegment(metadata.name ?? ""));
  });
}

function validateObjectMeta(
  metadata: ObjectMeta,
  rules: Pick<ObjectMetaRules, "namespaced">,
  judge: (name: string) => string[],
  ignoresGenerateName: boolean,
  field: Field,
): void {
  const { name = "", namespace = "" } = metadata;
  if (!ignoresGenerateName) judgeGenerateName(metadata, judge, field);
  if (name === "") field.at("name").required("name or generateName is required");
  else field.at("name").invalidEach(name, judge(name));
  if (rules.namespaced) {
    if (namespace === "") field.at("namespace").required();
    else field.at("namespace").invalidEach(namespace, isDns1123Label(namespace));
  } else if (namespace !== "") field.at("namespace").forbidden("not allowed on this type");
  nonNegative(metadata.generation, field.at("generation"));
  validateCommon(metadata, field);
  validateFinalizers(metadata.finalizers ?? [], field.at("finalizers"));
}

function validateCommon(metadata: ObjectMeta, field: Field): void {
  validateLabels(metadata.labels, field.at("labels"));
  validateAnnotations(metadata.annotations, field.at("annotations"));
  validateOwnerReferences(metadata.ownerReferences, field.at("ownerReferences"));
  validateManagedFields(metadata.managedFields, field.at("managedFields"));
}

function validateKnownFinalizers(metadata: ObjectMeta, field: Field): void {
  each(metadata.finalizers, field, validateStandardFinalizer);
}

/** What upstream finds wrong with the metadata of an update, of an object or its status. */
export function validateObjectMetaUpdate(
  metadata: ObjectMeta,
  old: Readonly<ObjectMeta>,
  rules: Pick<ObjectMetaRules, "namespaced" | "metadataRules">,
): FieldError[] {
  return collect((root) => {
    const field = root.at("metadata");
    if (old.deletionTimestamp !== undefined) {
      const before = new Set(old.finalizers);
      const extra = (metadata.finalizers ?? []).filter((name) => !before.has(name)).sort();
      if (extra.length > 0) {
        const list = `[]string{${extra.map((name) => JSON.stringify(name)).join(", ")}}`;
        field
          .at("finalizers")
          .forbidden(`no new finalizers can be added if the object is being deleted, found new finalizers ${list}`);
      }
    }
    if (!metadata.resourceVersion) field.at("resourceVersion").invalid("", "must be specified for an update");
    if ((metadata.generation ?? 0) < (old.generation ?? 0)) {
      field.at("generation").invalid(metadata.generation ?? 0, "must not be decremented");
    }
    for (const key of ["name", "namespace", "uid"] as const)
      immutable(metadata[key] ?? "", old[key] ?? "", field.at(key));
    for (const key of ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] as const) {
      immutable(metadata[key], old[key], field.at(key));
    }
    root.addAll(validateCommonMeta(metadata, rules));
    if (rules.metadataRules === "kind") validateKnownFinalizers(metadata, field.at("finalizers"));
  });
}

export const conditionStatuses = ["False", "True", "Unknown"] as const;

/** A list of metav1.Condition. */
export function validateConditions(
  conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly observedGeneration?: number | undefined;
    readonly lastTransitionTime?: string | undefined;
    readonly reason?: string | undefined;
    readonly message?: string | undefined;
  }[],
  field: Field,
): void {
  const seen = new Set<string>();
  for (const [index, condition] of conditions.entries()) {
    const at = field.index(index);
    if (seen.has(condition.type)) at.at("type").duplicate(condition.type);
    seen.add(condition.type);
    validateLabelName(condition.type, at.at("type"));
    oneOf(condition.status, conditionStatuses, at.at("status"));
    if ((condition.observedGeneration ?? 0) < 0) {
      at.at("observedGeneration").invalid(condition.observedGeneration, "must be greater than or equal to zero");
    }
    if (!condition.lastTransitionTime) at.at("lastTransitionTime").required();
    validateConditionReason(condition.reason ?? "", at.at("reason"));
    if (Buffer.byteLength(condition.message ?? "") > 32 * 1024) at.at("message").tooLong(32 * 1024);
  }
}

function validateConditionReason(reason: string, field: Field): void {
  if (reason === "") {
    field.required();
    return;
  }
  const pattern = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?";
  if (!new RegExp(`^${pattern}$`).test(reason)) {
    field.invalid(
      reason,
      `a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '${pattern}')`,
    );
  }
  if (Buffer.byteLength(reason) > 1024) field.tooLong(1024);
}
