import { volumeAnnotations } from "#shared/api/scheduling/volume-match.ts";

/** CSI drivers in the place of plugins that were part of Kubernetes once and that old StorageClasses still name (as
 *  k8s.io/csi-translation-lib has them). */
const drivers: ReadonlyMap<string, string> = new Map([
  ["kubernetes.io/aws-ebs", "ebs.csi.aws.com"],
  ["kubernetes.io/gce-pd", "pd.csi.storage.gke.io"],
  ["kubernetes.io/azure-disk", "disk.csi.azure.com"],
  ["kubernetes.io/azure-file", "file.csi.azure.com"],
  ["kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com"],
  ["kubernetes.io/cinder", "cinder.csi.openstack.org"],
  ["kubernetes.io/portworx-volume", "pxd.portworx.com"],
]);

type Annotations = Readonly<Record<string, string>>;

/** Who provisions for a class that names this provisioner: that one, or the driver in its place. */
export const provisionerFor = (provisioner: string): string => drivers.get(provisioner) ?? provisioner;

/** The claim's annotations, from which drivers know that it is theirs now (pure); undefined where they say so already. */
export const migratedClaim = (annotations: Annotations = {}): Annotations | undefined =>
  migrated(
    annotations,
    annotations[volumeAnnotations.storageProvisioner] ?? annotations[volumeAnnotations.betaStorageProvisioner],
  );

/** As migratedClaim, of a volume that a provisioner made. */
export const migratedVolume = (annotations: Annotations = {}): Annotations | undefined =>
  migrated(annotations, annotations[volumeAnnotations.dynamicallyProvisioned]);

function migrated(annotations: Annotations, provisioner: string | undefined): Annotations | undefined {
  if (provisioner === undefined) return undefined;
  const driver = drivers.get(provisioner);
  const { [volumeAnnotations.migratedTo]: present = "", ...others } = annotations;
  if (present === (driver ?? "")) return undefined;
  return driver === undefined ? others : { ...others, [volumeAnnotations.migratedTo]: driver };
}
