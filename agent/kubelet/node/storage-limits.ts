import { formatQuantity, parseQuantity, quantityOf } from "#shared/api/quantity.ts";
import type { Container, Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import { limitsOf, wholeOf } from "../pod-qos.ts";

const storage = "ephemeral-storage";

/** What a pod has on the board's disk. */
export interface StorageUsage {
  /** Writable layer and log, by container. */
  readonly containers: ReadonlyMap<string, number>;
  /** Volumes of kind emptyDir that lie on the disk, by name. */
  readonly emptyDirs: ReadonlyMap<string, number>;
}

/** The pod's emptyDirs that lie on the disk: those in memory are bounded by their file system. */
export const emptyDirsOnDisk = ({ spec }: Pod): Volume[] =>
  (spec.volumes ?? []).filter(({ emptyDir }) => emptyDir !== undefined && !emptyDir.medium);

/** Upstream's names for which limit was passed. */
export type StorageLimitSignal = "emptydirfs.limit" | "ephemeralpodfs.limit" | "ephemeralcontainerfs.limit";

/** Must the pod's usage be measured? Measuring walks its folders, so only a limit is a reason. */
export function hasStorageLimits(pod: Pod): boolean {
  const containers: readonly Container[] = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  return (
    emptyDirsOnDisk(pod).some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined) ||
    containers.some((container) => wholeOf(limitsOf(container), storage) > 0)
  );
}

interface Excess {
  readonly signal: StorageLimitSignal;
  readonly message: string;
}

/** Why the pod must go, worded as upstream's eviction manager; undefined while it keeps to its limits. */
export function beyondStorageLimits(pod: Pod, usage: StorageUsage): Excess | undefined {
  for (const { name, emptyDir } of emptyDirsOnDisk(pod)) {
    const limit = emptyDir?.sizeLimit === undefined ? 0 : wholeOf({ size: emptyDir.sizeLimit }, "size");
    if (limit > 0 && (usage.emptyDirs.get(name) ?? 0) > limit)
      return {
        signal: "emptydirfs.limit",
        message: `Usage of EmptyDir volume "${name}" exceeds the limit "${format(emptyDir?.sizeLimit ?? 0)}". `,
      };
  }
  const total = pod.spec.containers.reduce((sum, container) => sum + wholeOf(limitsOf(container), storage), 0);
  if (total > 0) {
    const used = [...usage.containers.values(), ...usage.emptyDirs.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (used > total)
      return {
        signal: "ephemeralpodfs.limit",
        message: `Pod ephemeral local storage usage exceeds the total limit of containers ${format(total)}. `,
      };
  }
  for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    const limit = wholeOf(limitsOf(container), storage);
    if (limit > 0 && (usage.containers.get(container.name) ?? 0) > limit)
      return {
        signal: "ephemeralcontainerfs.limit",
        message: `Container ${container.name} exceeded its local ephemeral storage limit "${format(limitsOf(container)[storage] ?? limit)}". `,
      };
  }
  return undefined;
}

const format = (quantity: string | number): string =>
  formatQuantity(typeof quantity === "number" ? quantityOf(quantity, "BinarySI") : parseQuantity(quantity));
