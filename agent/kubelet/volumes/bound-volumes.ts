import type { PersistentVolume, Pod } from "#shared/api/types/core-v1.generated.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { podUid } from "../pod-containers.ts";
import { type ResolvedClaim, resolveClaim } from "./persistent-volume.ts";

/** The volumes behind pods' claims. What the master said is kept: while it is away, pods start with what they had. */
export class BoundVolumes {
  constructor(
    readonly client: Client,
    readonly checkpoint: Checkpoint,
  ) {}

  /** Rejects with Error, worded as upstream, until the claim has a volume. */
  async resolve(pod: Pod, claim: string, readOnly: boolean): Promise<ResolvedClaim> {
    const kept = await this.known(pod, claim);
    if (kept && this.client.isAway) return kept;
    try {
      const resolved = await resolveClaim(this.client, pod, claim, readOnly);
      const bound = { readOnly: resolved.readOnly, volume: lasting(resolved.volume) };
      const claims = (await this.checkpoint.read("volumes", podUid(pod)))?.claims;
      const uid = podUid(pod);
      await this.checkpoint.save("volumes", uid, { metadata: { uid }, claims: { ...claims, [claim]: bound } });
      return resolved;
    } catch (error) {
      if (kept && error instanceof ConnectionError) return kept;
      throw error;
    }
  }

  /** The volume that the pod's claim had when it was last mounted; does not ask the master. */
  async known(pod: Pod, claim: string): Promise<ResolvedClaim | undefined> {
    return (await this.checkpoint.read("volumes", podUid(pod)))?.claims[claim];
  }

  async forget(podUid: string): Promise<void> {
    await this.checkpoint.remove("volumes", podUid);
  }
}

/** Without what changes often and mounting does not need: each change would be a write to the card. */
function lasting({ status: _, metadata, ...volume }: PersistentVolume): PersistentVolume {
  const { managedFields: __, resourceVersion: ___, ...kept } = metadata;
  return { ...volume, metadata: kept };
}
