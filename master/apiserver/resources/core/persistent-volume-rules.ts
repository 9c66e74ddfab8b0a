/** PersistentVolumes (ValidatePersistentVolume* in pkg/apis/core/validation), also as inline specs of attachments. */
import type { FieldError } from "#shared/api/errors.ts";
import { parseQuantity } from "#shared/api/quantity.ts";
import type { PersistentVolume, PersistentVolumeSpec, SecretReference } from "#shared/api/types/core-v1.generated.ts";
import {
  collect,
  difference,
  type Field,
  immutable,
  immutableMessage,
  oneOf,
  semanticEqual,
} from "../validation/field.ts";
import { isDns1123Label, isDns1123Subdomain } from "../validation/names.ts";
import { isNegative, validatePositiveAmount } from "../validation/quantities.ts";
import { validateNodeSelector } from "../validation/selectors.ts";
import { validateAccessModes, volumeModes } from "./claim-spec.ts";
import {
  requireFields,
  validateAzureDisk,
  validateCSIDriverName,
  validateFC,
  validateFlex,
  validateFlocker,
  validateHostPath,
  validateISCSI,
  validateNFS,
  validateNoBacksteps,
  validatePartition,
  validateQuobyte,
  validateStorageOS,
} from "./volume-sources.ts";

type SourceName = Exclude<
  keyof PersistentVolumeSpec,
  | "capacity"
  | "accessModes"
  | "claimRef"
  | "persistentVolumeReclaimPolicy"
  | "storageClassName"
  | "mountOptions"
  | "volumeMode"
  | "nodeAffinity"
  | "volumeAttributesClassName"
>;

/** In the order in which upstream looks for them. */
const sources: { readonly [K in SourceName]: (source: NonNullable<PersistentVolumeSpec[K]>, field: Field) => void } = {
  hostPath: validateHostPath,
  gcePersistentDisk: (disk, field) => {
    requireFields(disk, ["pdName"], field);
    validatePartition(disk.partition, field);
  },
  awsElasticBlockStore: (disk, field) => {
    requireFields(disk, ["volumeID"], field);
    validatePartition(disk.partition, field);
  },
  glusterfs: ({ endpoints, path, endpointsNamespace: namespace }, field) => {
    requireFields({ endpoints, path }, ["endpoints", "path"], field);
    const at = field.at("endpointsNamespace");
    if (namespace === "") at.invalid("", "if the endpointnamespace is set, it must be a valid namespace name");
    else if (namespace !== undefined) at.invalidEach(namespace, isDns1123Label(namespace));
  },
  flocker: validateFlocker,
  nfs: validateNFS,
  rbd: (source, field) => requireFields(source, ["monitors", "image"], field),
  quobyte: validateQuobyte,
  cephfs: (source, field) => requireFields(source, ["monitors"], field),
  iscsi: (source, field) => {
    validateISCSI(source, field);
    if (source.secretRef && !source.secretRef.name) field.at("secretRef", "name").required();
  },
  cinder: (source, field) => {
    requireFields(source, ["volumeID"], field);
    if (source.secretRef) requireFields(source.secretRef, ["name", "namespace"], field.at("secretRef"));
  },
  fc: validateFC,
  flexVolume: validateFlex,
  azureFile: (source, field) => {
    requireFields(source, ["secretName", "shareName"], field);
    if (source.secretNamespace === "") field.at("secretNamespace").required();
  },
  vsphereVolume: (source, field) => requireFields(source, ["volumePath"], field),
  photonPersistentDisk: (source, field) => requireFields(source, ["pdID"], field),
  portworxVolume: (source, field) => requireFields(source, ["volumeID"], field),
  azureDisk: validateAzureDisk,
  scaleIO: (source, field) => requireFields(source, ["gateway", "system", "volumeName"], field),
  local: ({ path = "" }, field) => {
    if (path === "") field.at("path").required();
    else validateNoBacksteps(path, field.at("path"));
  },
  storageos: (source, field) => {
    const { secretRef, volumeName, volumeNamespace } = source;
    validateStorageOS({ volumeName, volumeNamespace, secretRef }, field);
    if (secretRef && !secretRef.namespace) field.at("secretRef", "namespace").required();
  },
  csi: (source, field) => {
    validateCSIDriverName(source.driver, field.at("driver"));
    requireFields(source, ["volumeHandle"], field);
    const references = [
      "controllerPublishSecretRef",
      "controllerExpandSecretRef",
      "nodePublishSecretRef",
      "nodeExpandSecretRef",
    ] as const;
    for (const key of references) if (source[key]) validateSecretReference(source[key], field.at(key));
  },
};

/** Where upstream reports under another name than the field's. */
const reportedAt: Partial<Record<SourceName, string>> = { gcePersistentDisk: "persistentDisk" };
const secondReportedAt: Partial<Record<SourceName, string>> = { cephfs: "cephFS" };

function validateSecretReference({ name, namespace }: SecretReference, field: Field): void {
  if (!name) field.at("name").required();
  else field.at("name").invalidEach(name, isDns1123Subdomain(name));
  if (!namespace) field.at("namespace").required();
  else field.at("namespace").invalidEach(namespace, isDns1123Label(namespace));
}

function validateSources(spec: PersistentVolumeSpec, field: Field): void {
  let count = 0;
  for (const name of Object.keys(sources) as SourceName[]) {
    const source = spec[name];
    if (source === undefined) continue;
    // Upstream forgets to count before it looks at a flexVolume.
    const isFurther = count > 0 && name !== "flexVolume";
    count++;
    if (isFurther) {
      field.at(secondReportedAt[name] ?? name).forbidden("may not specify more than 1 volume type");
      continue;
    }
    (sources[name] as (source: object, field: Field) => void)(source, field.at(reportedAt[name] ?? name));
    if (name === "local" && !spec.nodeAffinity)
      field.at("nodeAffinity").required("Local volume requires node affinity");
  }
  if (count === 0) field.required("must specify a volume type");
}

export function validatePersistentVolume({ metadata, spec }: PersistentVolume): FieldError[] {
  return collect((root) => {
    const field = root.at("spec");
    validateCommon(spec, field);
    validateCapacity(spec.capacity, field.at("capacity"));
    const { persistentVolumeReclaimPolicy: policy, nodeAffinity, storageClassName, volumeMode } = spec;
    if (policy) oneOf(policy, ["Delete", "Recycle", "Retain"], field.at("persistentVolumeReclaimPolicy"));
    if (nodeAffinity) {
      const at = field.at("nodeAffinity", "required");
      if (nodeAffinity.required) validateNodeSelector(nodeAffinity.required, at, "values of node affinity");
      else at.required("must specify required node constraints");
    }
    validateSources(spec, field);
    if (spec.hostPath?.path && /^\/(\.?\/)*\.?$/.test(spec.hostPath.path) && policy === "Recycle") {
      field.at("persistentVolumeReclaimPolicy").forbidden("may not be 'recycle' for a hostPath mount of '/'");
    }
    if (storageClassName)
      field.at("storageClassName").invalidEach(storageClassName, isDns1123Subdomain(storageClassName));
    if (volumeMode !== undefined) oneOf(volumeMode, volumeModes, field.at("volumeMode"));
    validateAttributesClass(spec, field);
    if (metadata.annotations?.[mountOptions] !== undefined)
      validateMountOptions(spec, root.at("metadata", "annotations", mountOptions));
  });
}

/** What asked for options of the mount before there was a field for it. */
const mountOptions = "volume.beta.kubernetes.io/mount-options";

/** Sources whose mounts take options by the annotation. The field is taken with any. */
const mountable: readonly SourceName[] = [
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "glusterfs",
  "nfs",
  "rbd",
  "quobyte",
  "cephfs",
  "iscsi",
  "cinder",
  "azureFile",
  "vsphereVolume",
  "azureDisk",
  "photonPersistentDisk",
];

function validateMountOptions(spec: PersistentVolumeSpec, field: Field): void {
  if (mountable.some((name) => spec[name] !== undefined)) return;
  field.forbidden("may not specify mount options for this volume type");
}

function validateCommon(spec: PersistentVolumeSpec, field: Field): void {
  if (!spec.accessModes?.length) field.at("accessModes").required();
  validateAccessModes(spec.accessModes, field.at("accessModes"));
}

function validateCapacity(capacity: PersistentVolumeSpec["capacity"], field: Field): void {
  const names = Object.keys(capacity ?? {});
  if (names.length === 0) field.required();
  if (!names.includes("storage") || names.length > 1) field.notSupported(capacity ?? null, ["storage"]);
  for (const [name, amount] of Object.entries(capacity ?? {})) {
    if (isNegative(parseQuantity(amount))) field.key(name).invalid(Number(amount), "must be a valid resource quantity");
    validatePositiveAmount(amount, field.key(name));
  }
}

function validateAttributesClass({ volumeAttributesClassName: name, csi }: PersistentVolumeSpec, field: Field): void {
  if (name === undefined) return;
  const at = field.at("volumeAttributesClassName");
  if (name === "") at.required("an empty string is disallowed");
  else at.invalidEach(name, isDns1123Subdomain(name));
  if (!csi) field.at("csi").required("has to be specified when using volumeAttributesClassName");
}

/** A volume described in a VolumeAttachment: only what attaching needs may be there. */
export function validateInlineVolumeSpec(spec: PersistentVolumeSpec, field: Field): void {
  const message = "may not be specified in the context of inline volumes";
  if (spec.claimRef) field.at("claimRef").forbidden(message);
  if (Object.keys(spec.capacity ?? {}).length > 0) field.at("capacity").forbidden(message);
  if (!spec.csi) field.at("csi").required("has to be specified in the context of inline volumes");
  validateCommon(spec, field);
  const policy = spec.persistentVolumeReclaimPolicy;
  if (policy && policy !== "Retain") {
    field.at("persistentVolumeReclaimPolicy").forbidden("may only be Retain in the context of inline volumes");
  }
  if (spec.nodeAffinity) field.at("nodeAffinity").forbidden(message);
  validateSources(spec, field);
  if (spec.storageClassName) field.at("storageClassName").forbidden(message);
  if (spec.volumeMode !== undefined && spec.volumeMode !== "Filesystem") {
    field
      .at("volumeMode")
      .forbidden("may not specify volumeMode other than Filesystem in the context of inline volumes");
  }
  validateAttributesClass(spec, field);
}

const sourcesOf = (spec: PersistentVolumeSpec): Partial<PersistentVolumeSpec> =>
  Object.fromEntries((Object.keys(sources) as SourceName[]).map((name) => [name, spec[name]]));

/** Labels that got new names; a volume's affinity may follow. */
const renamedLabels: Readonly<Record<string, string>> = {
  "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
  "beta.kubernetes.io/os": "kubernetes.io/os",
  "beta.kubernetes.io/arch": "kubernetes.io/arch",
  "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
};

function withNewLabels(affinity: PersistentVolumeSpec["nodeAffinity"]): unknown {
  return JSON.parse(JSON.stringify(affinity ?? null), (key, value) =>
    key === "key" && typeof value === "string" ? (renamedLabels[value] ?? value) : value,
  );
}

export function validatePersistentVolumeUpdate(
  volume: PersistentVolume,
  old: Readonly<PersistentVolume>,
): FieldError[] {
  return [
    ...validatePersistentVolume(volume),
    ...collect((root) => {
      const after = sourcesOf(volume.spec);
      const before = sourcesOf(old.spec);
      if (after.csi && before.csi && before.csi.controllerExpandSecretRef === undefined) {
        after.csi = { ...after.csi, controllerExpandSecretRef: undefined };
      }
      if (!semanticEqual(after, before)) {
        root
          .at("spec", "persistentvolumesource")
          .forbidden(`spec.persistentvolumesource is immutable after creation\n${difference(before, after)}`);
      }
      immutable(volume.spec.volumeMode, old.spec.volumeMode, root.at("volumeMode"));
      const [affinity, oldAffinity] = [volume.spec.nodeAffinity, old.spec.nodeAffinity];
      const same = semanticEqual(affinity, oldAffinity) || semanticEqual(affinity, withNewLabels(oldAffinity));
      if (oldAffinity && !same) {
        root.at("nodeAffinity").invalid(affinity, `${immutableMessage}, except for updating from beta label to GA`);
      }
      if (old.spec.volumeAttributesClassName !== undefined && volume.spec.volumeAttributesClassName === undefined) {
        root.at("spec", "volumeAttributesClassName").forbidden("update from non-nil value to nil is forbidden");
      }
    }),
  ];
}
