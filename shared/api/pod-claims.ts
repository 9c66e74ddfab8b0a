import type { Pod, Volume } from "./types/core-v1.generated.ts";

/** Name of the PersistentVolumeClaim that a volume of the pod is about, also of one that is made for the pod alone
 *  (`ephemeral`); undefined for other volumes. */
export const claimNameOf = (
  { metadata }: Pod,
  { name, persistentVolumeClaim, ephemeral }: Volume,
): string | undefined => persistentVolumeClaim?.claimName ?? (ephemeral ? `${metadata.name}-${name}` : undefined);
