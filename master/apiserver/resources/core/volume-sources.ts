/** Validation of single volume sources, in pods and in PersistentVolumes. */
import type {
  AzureDiskVolumeSource,
  FCVolumeSource,
  FlexVolumeSource,
  FlockerVolumeSource,
  ISCSIVolumeSource,
  PersistentVolumeSpec,
  QuobyteVolumeSource,
  StorageOSVolumeSource,
  Volume,
} from "#shared/api/types/core-v1.generated.ts";
import { type Field, oneOf } from "../validation/field.ts";
import { inclusiveRange, isDns1123Label, isDns1123Subdomain } from "../validation/names.ts";

type Source<K extends keyof Volume | keyof PersistentVolumeSpec> =
  | (K extends keyof Volume ? NonNullable<Volume[K]> : never)
  | (K extends keyof PersistentVolumeSpec ? NonNullable<PersistentVolumeSpec[K]> : never);

export function validateNoBacksteps(path: string, field: Field): void {
  if (path.split("/").includes("..")) field.invalid(path, "must not contain '..'");
}
export function validateLocalDescendingPath(path: string, field: Field): void {
  if (path.startsWith("/")) field.invalid(path, "must be a relative path");
  validateNoBacksteps(path, field);
}
export function validateLocalNonReservedPath(path: string, field: Field): void {
  validateLocalDescendingPath(path, field);
  if (path.startsWith("..") && !path.startsWith("../")) field.invalid(path, "must not start with '..'");
}

/** Says which of the named fields are missing. */
export function requireFields<T extends object>(source: T, names: readonly (keyof T & string)[], field: Field): void {
  for (const name of names) {
    const value = source[name];
    if (value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) field.at(name).required();
  }
}

const hostPathTypes = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];

export function validateHostPath({ path = "", type }: Source<"hostPath">, field: Field): void {
  if (path === "") {
    field.at("path").required();
    return;
  }
  validateNoBacksteps(path, field.at("path"));
  if (type !== undefined) oneOf(type, hostPathTypes, field.at("type"));
}

const initiatorPatterns = [
  ["iqn", /iqn\.\d{4}-\d{2}\.([a-zA-Z0-9\-.]+)(:[^,;*&$|\s]+)$/],
  ["eui", /^eui.[a-zA-Z0-9]{16}$/],
  ["naa", /^naa.[a-zA-Z0-9]{32}$/],
] as const;

/** Longer than any (RFC 3720, 3.2.6.1): the pattern begins at every `iqn` anew. */
const LONGEST_INITIATOR = 4096;

function validateInitiator(name: string, field: Field, unknownPrefix: string): void {
  const known = initiatorPatterns.find(([prefix]) => name.startsWith(prefix));
  if (known === undefined) field.invalid(name, unknownPrefix);
  else if (name.length > LONGEST_INITIATOR || !known[1].test(name)) field.invalid(name, "must be valid format");
}

export function validateISCSI(source: ISCSIVolumeSource, field: Field): void {
  const unknownPrefix = "must be valid format starting with iqn, eui, or naa";
  requireFields(source, ["targetPortal"], field);
  if (!source.iqn) field.at("iqn").required();
  else validateInitiator(source.iqn, field.at("iqn"), unknownPrefix);
  const lun = source.lun ?? 0;
  if (lun < 0 || lun > 255) field.at("lun").invalid(lun, inclusiveRange(0, 255));
  if ((source.chapAuthDiscovery || source.chapAuthSession) && !source.secretRef) field.at("secretRef").required();
  if (source.initiatorName !== undefined) {
    validateInitiator(source.initiatorName, field.at("initiatorname"), unknownPrefix);
  }
}

export function validateFC({ targetWWNs = [], wwids = [], lun }: FCVolumeSource, field: Field): void {
  const at = field.at("targetWWNs");
  if (targetWWNs.length === 0 && wwids.length === 0)
    at.required("must specify either targetWWNs or wwids, but not both");
  if (targetWWNs.length > 0 && wwids.length > 0) {
    at.invalid(targetWWNs, "targetWWNs and wwids can not be specified simultaneously");
  }
  if (targetWWNs.length === 0) return;
  if (lun === undefined) field.at("lun").required("lun is required if targetWWNs is specified");
  else if (lun < 0 || lun > 255) field.at("lun").invalid(lun, inclusiveRange(0, 255));
}

export function validatePartition(partition: number | undefined, field: Field): void {
  if (partition !== undefined && (partition < 0 || partition > 255)) {
    field.at("partition").invalid(partition, inclusiveRange(1, 255));
  }
}

export function validateNFS({ server, path = "" }: Source<"nfs">, field: Field): void {
  if (!server) field.at("server").required();
  if (path === "") field.at("path").required();
  if (!path.startsWith("/")) field.at("path").invalid(path, "must be an absolute path");
}

export function validateQuobyte({ registry, tenant, volume }: QuobyteVolumeSource, field: Field): void {
  const pair = "must be a host:port pair or multiple pairs separated by commas";
  if (!registry) field.at("registry").required(pair);
  else if ((tenant ?? "").length >= 65) {
    field.at("tenant").required("must be a UUID and may not exceed a length of 64 characters");
  } else {
    for (const each of registry.split(",")) {
      if (!/^(\[[^\]]*\]|[^:]*):[^:]*$/.test(each)) field.at("registry").invalid(registry, pair);
    }
  }
  if (!volume) field.at("volume").required();
}

export function validateFlocker({ datasetName, datasetUUID }: FlockerVolumeSource, field: Field): void {
  if (!datasetName && !datasetUUID) field.required("one of datasetName and datasetUUID is required");
  if (datasetName && datasetUUID) {
    field.invalid("resource", "datasetName and datasetUUID can not be specified simultaneously");
  }
  if (datasetName?.includes("/")) field.at("datasetName").invalid(datasetName, "must not contain '/'");
}

export function validateFlex(
  { driver, options = {} }: Pick<FlexVolumeSource, "driver" | "options">,
  field: Field,
): void {
  if (!driver) field.at("driver").required();
  for (const key of Object.keys(options)) {
    const namespace = `.${key.split("/")[0]?.toLowerCase()}`;
    if (namespace.endsWith(".kubernetes.io") || namespace.endsWith(".k8s.io")) {
      field.at("options").key(key).invalid(key, "kubernetes.io and k8s.io namespaces are reserved");
    }
  }
}

export function validateAzureDisk(disk: AzureDiskVolumeSource, field: Field): void {
  requireFields(disk, ["diskName", "diskURI"], field);
  const { cachingMode, kind, diskURI = "" } = disk;
  if (cachingMode !== undefined) oneOf(cachingMode, ["None", "ReadOnly", "ReadWrite"], field.at("cachingMode"));
  if (kind === undefined) return;
  oneOf(kind, ["Dedicated", "Managed", "Shared"], field.at("kind"));
  if (kind === "Managed" && !diskURI.startsWith("/subscriptions/")) {
    field
      .at("diskURI")
      .notSupported(diskURI, [
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
      ]);
  }
  if (kind !== "Managed" && !diskURI.startsWith("https://")) {
    field
      .at("diskURI")
      .notSupported(diskURI, ["https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"]);
  }
}

export function validateStorageOS(
  source: Pick<StorageOSVolumeSource, "volumeName" | "volumeNamespace" | "secretRef">,
  field: Field,
): void {
  const { volumeName, volumeNamespace, secretRef } = source;
  if (!volumeName) field.at("volumeName").required();
  else field.at("volumeName").invalidEach(volumeName, isDns1123Label(volumeName));
  if (volumeNamespace) field.at("volumeNamespace").invalidEach(volumeNamespace, isDns1123Label(volumeNamespace));
  if (secretRef && !secretRef.name) field.at("secretRef", "name").required();
}

export function validateCSIDriverName(driver: string | undefined, field: Field): void {
  if (!driver) {
    field.required();
    return;
  }
  if (driver.length > 63) field.tooLong(63);
  field.invalidEach(driver, isDns1123Subdomain(driver.toLowerCase()));
}
