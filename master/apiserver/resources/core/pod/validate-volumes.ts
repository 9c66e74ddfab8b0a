/** Volumes of a pod. */

import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  ProjectedVolumeSource,
  Volume,
  VolumeProjection,
} from "#shared/api/types/core-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import { type Field, oneOf } from "../../validation/field.ts";
import { isDns1123Label, isDns1123Subdomain } from "../../validation/names.ts";
import { isNegative } from "../../validation/quantities.ts";
import { validateClaimTemplate } from "../claim-spec.ts";
import {
  requireFields,
  validateAzureDisk,
  validateCSIDriverName,
  validateFC,
  validateFlex,
  validateFlocker,
  validateHostPath,
  validateISCSI,
  validateLocalDescendingPath,
  validateLocalNonReservedPath,
  validateNFS,
  validatePartition,
  validateQuobyte,
  validateStorageOS,
} from "../volume-sources.ts";
import { validateFieldRef, validateResourceFieldRef, volumeFields } from "./validate-env.ts";

export type Volumes = ReadonlyMap<string, Volume>;

/** Checks a pod's volumes and gives the valid ones by name, for what refers to them. */
export function validateVolumes(
  volumes: readonly Volume[] | undefined,
  pod: ObjectMeta | undefined,
  field: Field,
  isPod: boolean,
): Volumes {
  const valid = new Map<string, Volume>();
  const claims = new Set<string>();
  for (const { name, ephemeral } of volumes ?? []) if (ephemeral && pod?.name) claims.add(`${pod.name}-${name}`);
  for (const [index, volume] of (volumes ?? []).entries()) {
    const at = field.index(index);
    const { field: apart, errors } = at.apart();
    const { name = "" } = volume;
    validateSource(volume, pod, apart, isPod);
    if (name === "") apart.at("name").required();
    else apart.at("name").invalidEach(name, isDns1123Label(name));
    if (valid.has(name)) apart.at("name").duplicate(name);
    if (errors.length === 0) valid.set(name, volume);
    else at.addAll(errors);
    const claim = volume.persistentVolumeClaim?.claimName;
    if (claim !== undefined && claims.has(claim)) {
      at.at("persistentVolumeClaim", "claimName").invalid(
        claim,
        "must not reference a PVC that gets created for an ephemeral volume",
      );
    }
  }
  return valid;
}

type Validator = (volume: Volume, field: Field, isPod: boolean) => void;
type SourceName = Exclude<keyof Volume, "name">;

/** One entry for each source, in upstream's order; the path says where it reports, which is not always the field's name. */
const sources: readonly (readonly [
  SourceName,
  { readonly at?: string; readonly second?: string; readonly check: Validator },
])[] = [
  [
    "emptyDir",
    {
      check: ({ emptyDir }, field) => {
        if (emptyDir?.sizeLimit !== undefined && isNegative(emptyDir.sizeLimit)) {
          field.at("sizeLimit").forbidden("SizeLimit field must be a valid resource quantity");
        }
      },
    },
  ],
  ["hostPath", { check: ({ hostPath }, field) => hostPath && validateHostPath(hostPath, field) }],
  [
    "gitRepo",
    {
      check: ({ gitRepo }, field) => {
        if (!gitRepo?.repository) field.at("repository").required();
        validateLocalDescendingPath(gitRepo?.directory ?? "", field.at("directory"));
      },
    },
  ],
  [
    "gcePersistentDisk",
    {
      at: "persistentDisk",
      check: ({ gcePersistentDisk: disk }, field) => {
        if (!disk?.pdName) field.at("pdName").required();
        validatePartition(disk?.partition, field);
      },
    },
  ],
  [
    "awsElasticBlockStore",
    {
      check: ({ awsElasticBlockStore: disk }, field) => {
        if (!disk?.volumeID) field.at("volumeID").required();
        validatePartition(disk?.partition, field);
      },
    },
  ],
  [
    "secret",
    {
      check: ({ secret }, field) => {
        if (!secret?.secretName) field.at("secretName").required();
        validateMode(secret?.defaultMode, field.at("defaultMode"));
        validateKeys(secret?.items, field.at("items"));
      },
    },
  ],
  ["nfs", { check: ({ nfs }, field) => nfs && validateNFS(nfs, field) }],
  ["iscsi", { check: ({ iscsi }, field) => iscsi && validateISCSI(iscsi, field) }],
  [
    "glusterfs",
    { check: ({ glusterfs }, field) => glusterfs && requireFields(glusterfs, ["endpoints", "path"], field) },
  ],
  ["flocker", { check: ({ flocker }, field) => flocker && validateFlocker(flocker, field) }],
  [
    "persistentVolumeClaim",
    { check: ({ persistentVolumeClaim: claim }, field) => claim && requireFields(claim, ["claimName"], field) },
  ],
  ["rbd", { check: ({ rbd }, field) => rbd && requireFields(rbd, ["monitors", "image"], field) }],
  [
    "cinder",
    {
      check: ({ cinder }, field) => {
        if (!cinder?.volumeID) field.at("volumeID").required();
        if (cinder?.secretRef && !cinder.secretRef.name) field.at("secretRef", "name").required();
      },
    },
  ],
  ["cephfs", { second: "cephFS", check: ({ cephfs }, field) => cephfs && requireFields(cephfs, ["monitors"], field) }],
  ["quobyte", { check: ({ quobyte }, field) => quobyte && validateQuobyte(quobyte, field) }],
  [
    "downwardAPI",
    {
      second: "downwarAPI",
      check: ({ downwardAPI }, field) => {
        validateMode(downwardAPI?.defaultMode, field.at("defaultMode"));
        for (const file of downwardAPI?.items ?? []) validateDownwardFile(file, field);
      },
    },
  ],
  ["fc", { check: ({ fc }, field) => fc && validateFC(fc, field) }],
  ["flexVolume", { check: ({ flexVolume }, field) => flexVolume && validateFlex(flexVolume, field) }],
  [
    "configMap",
    {
      check: ({ configMap }, field) => {
        if (!configMap?.name) field.at("name").required();
        validateMode(configMap?.defaultMode, field.at("defaultMode"));
        validateKeys(configMap?.items, field.at("items"));
      },
    },
  ],
  [
    "azureFile",
    { check: ({ azureFile }, field) => azureFile && requireFields(azureFile, ["secretName", "shareName"], field) },
  ],
  ["vsphereVolume", { check: ({ vsphereVolume: disk }, field) => disk && requireFields(disk, ["volumePath"], field) }],
  [
    "photonPersistentDisk",
    { check: ({ photonPersistentDisk: disk }, field) => disk && requireFields(disk, ["pdID"], field) },
  ],
  ["portworxVolume", { check: ({ portworxVolume: disk }, field) => disk && requireFields(disk, ["volumeID"], field) }],
  ["azureDisk", { check: ({ azureDisk }, field) => azureDisk && validateAzureDisk(azureDisk, field) }],
  ["storageos", { check: ({ storageos }, field) => storageos && validateStorageOS(storageos, field) }],
  ["projected", { check: ({ projected }, field) => projected && validateProjected(projected, field) }],
  [
    "scaleIO",
    { check: ({ scaleIO }, field) => scaleIO && requireFields(scaleIO, ["gateway", "system", "volumeName"], field) },
  ],
  [
    "csi",
    {
      check: ({ csi }, field) => {
        validateCSIDriverName(csi?.driver, field.at("driver"));
        if (!csi?.nodePublishSecretRef) return;
        const { name = "" } = csi.nodePublishSecretRef;
        if (name === "") field.at("nodePublishSecretRef", "name").required();
        else field.at("name").invalidEach(name, isDns1123Subdomain(name));
      },
    },
  ],
  [
    "ephemeral",
    {
      check: ({ ephemeral }, field) => {
        const at = field.at("volumeClaimTemplate");
        if (!ephemeral?.volumeClaimTemplate) at.required();
        else validateClaimTemplate(ephemeral.volumeClaimTemplate, at);
      },
    },
  ],
  [
    "image",
    {
      check: ({ image }, field, isPod) => {
        if (isPod && !image?.reference) field.at("reference").required();
        validatePullPolicy(image?.pullPolicy, field.at("pullPolicy"));
      },
    },
  ],
];

function validateSource(volume: Volume, pod: ObjectMeta | undefined, field: Field, isPod: boolean): void {
  let count = 0;
  for (const [name, { at, second, check }] of sources) {
    if (volume[name] === undefined) continue;
    if (count > 0) field.at(second ?? name).forbidden("may not specify more than 1 volume type");
    else check(volume, field.at(at ?? name), isPod);
    count++;
    if (name === "iscsi" && volume.iscsi?.initiatorName !== undefined) validateInitiatorLength(volume, field);
    if (name === "ephemeral" && count === 1 && pod?.name && volume.name) {
      const claim = `${pod.name}-${volume.name}`;
      for (const message of isDns1123Subdomain(claim))
        field.at("name").invalid(volume.name, `PVC name "${claim}": ${message}`);
    }
  }
  if (count === 0) field.required("must specify a volume type");
}

function validateInitiatorLength({ name, iscsi }: Volume, field: Field): void {
  if (`${name}:${iscsi?.targetPortal ?? ""}`.length <= 64) return;
  field
    .at("name")
    .invalid(
      name,
      "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
    );
}

export function validatePullPolicy(policy: string | undefined, field: Field): void {
  if (!policy) field.required();
  else oneOf(policy, ["Always", "IfNotPresent", "Never"], field);
}

function validateMode(mode: number | undefined, field: Field): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777)) {
    field.invalid(mode, "must be a number between 0 and 0777 (octal), both inclusive");
  }
}

function validateKey({ key, path = "", mode }: KeyToPath, field: Field): void {
  if (!key) field.at("key").required();
  if (path === "") field.at("path").required();
  validateLocalNonReservedPath(path, field.at("path"));
  validateMode(mode, field.at("mode"));
}

function validateKeys(items: readonly KeyToPath[] | undefined, field: Field): void {
  for (const [index, item] of (items ?? []).entries()) validateKey(item, field.index(index));
}

function validateDownwardFile(
  { path = "", fieldRef, resourceFieldRef, mode }: DownwardAPIVolumeFile,
  field: Field,
): void {
  if (path === "") field.at("path").required();
  validateLocalNonReservedPath(path, field.at("path"));
  if (fieldRef) {
    validateFieldRef(fieldRef, volumeFields, field.at("fieldRef"));
    if (resourceFieldRef)
      field.invalid("resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
  } else if (resourceFieldRef) validateResourceFieldRef(resourceFieldRef, field.at("resourceFieldRef"), "inVolume");
  else field.required("one of fieldRef and resourceFieldRef is required");
  validateMode(mode, field.at("mode"));
}

class Paths {
  readonly #seen = new Set<string>();
  readonly #field: Field;
  constructor(field: Field) {
    this.#field = field;
  }
  /** Takes a path; `reported` is what upstream shows when it was taken before. */
  take(path: string, reported = path): void {
    if (this.#seen.has(path)) this.#field.invalid(reported, "conflicting duplicate paths");
    this.#seen.add(path);
  }
}

function validateProjected({ defaultMode, sources: list = [] }: ProjectedVolumeSource, field: Field): void {
  validateMode(defaultMode, field.at("defaultMode"));
  const paths = new Paths(field);
  for (const [index, source] of list.entries())
    validateProjection(source, field, field.at("sources").index(index), paths);
}

function validateProjection(source: VolumeProjection, volume: Field, field: Field, paths: Paths): void {
  for (const kind of ["secret", "configMap"] as const) {
    const projection = source[kind];
    if (projection === undefined) continue;
    if (!projection.name) field.at(kind, "name").required();
    for (const [index, item] of (projection.items ?? []).entries()) {
      validateKey(item, field.at(kind, "items").index(index));
      if (item.path) paths.take(item.path, projection.name ?? "");
    }
  }
  for (const file of source.downwardAPI?.items ?? []) {
    validateDownwardFile(file, field.at("downwardAPI"));
    if (file.path) paths.take(file.path);
  }
  if (source.serviceAccountToken)
    validateTokenProjection(source.serviceAccountToken, volume, field.at("serviceAccountToken"));
  if (Object.values(source).filter((each) => each !== undefined).length > 1) {
    field.forbidden("may not specify more than 1 volume type per source");
  }
}

function validateTokenProjection(
  { expirationSeconds = 3600, path = "" }: NonNullable<VolumeProjection["serviceAccountToken"]>,
  volume: Field,
  field: Field,
): void {
  const at = field.at("expirationSeconds");
  if (expirationSeconds < 600) at.invalid(expirationSeconds, "may not specify a duration less than 10 minutes");
  if (expirationSeconds > 2 ** 32) at.invalid(expirationSeconds, "may not specify a duration larger than 2^32 seconds");
  if (path === "") volume.at("path").required();
  else validateLocalNonReservedPath(path, volume.at("path").ruled("paths of tokens"));
}
