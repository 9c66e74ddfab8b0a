import { keyOf } from "#shared/api/object.ts";
import { persistentVolumeClaims, persistentVolumes } from "#shared/api/resources.ts";
import { isBound } from "#shared/api/scheduling/volume-match.ts";
import type { PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import type { ClusterView } from "./framework.ts";

/** Volumes that claims have been promised and the cache does not show yet: the next decision must not give them again. */
export class VolumePromises {
  /** The claim that has it, by the volume's name. */
  readonly #promised = new Map<string, { readonly claimKey: string; readonly claimUid: string | undefined }>();
  /** Volumes kept for a pod on its way to a node and not written yet, by the pod's UID. */
  readonly #unwritten = new Map<string, Set<string>>();

  /** The volume that the claim has been promised. */
  volumeOf({ metadata }: PersistentVolumeClaim): string | undefined {
    for (const [volume, { claimUid }] of this.#promised) if (claimUid === metadata.uid) return volume;
    return undefined;
  }

  has(volume: string): boolean {
    return this.#promised.has(volume);
  }

  /** Promises volumes to the claims of a pod whose node is chosen. */
  keep(podUid: string, kept: readonly { readonly claim: PersistentVolumeClaim; readonly volume: string }[]): void {
    for (const { claim, volume } of kept)
      this.#promised.set(volume, { claimKey: keyOf(claim), claimUid: claim.metadata.uid });
    this.#unwritten.set(podUid, new Set(kept.map(({ volume }) => volume)));
  }

  /** The API has it. */
  written(podUid: string, volume: string): void {
    this.#unwritten.get(podUid)?.delete(volume);
  }

  /** The pod is bound or will not be. What was written stays promised until the cache shows it. */
  release(podUid: string): void {
    for (const volume of this.#unwritten.get(podUid) ?? []) this.#promised.delete(volume);
    this.#unwritten.delete(podUid);
  }

  /** What the cache shows, or cannot show any more, needs no promise. */
  forgetShown(cluster: ClusterView): void {
    for (const [name, { claimKey, claimUid }] of this.#promised) {
      const volume = cluster.lister(persistentVolumes).get(name);
      const claim = cluster.lister(persistentVolumeClaims).get(claimKey);
      const isShown = !volume || volume.spec?.claimRef?.uid !== undefined;
      if (isShown || !claim || claim.metadata.uid !== claimUid || isBound(claim)) this.#promised.delete(name);
    }
  }
}
