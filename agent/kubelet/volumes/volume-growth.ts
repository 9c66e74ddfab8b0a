import { compareQuantities, parseQuantity } from "#shared/api/quantity.ts";
import { persistentVolumeClaims } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimStatus,
  Pod,
} from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { podUid } from "../pod-containers.ts";

/** Conditions that say that somebody still has to make the volume larger. */
const passing = new Set(["FileSystemResizePending", "Resizing", "ControllerResizeError", "NodeResizeError"]);

/**
 * What a failed attempt leaves. uncertain: it may still be going on; failed: it is over, and may be tried again; infeasible: it will
 * never do; inUse: not while the volume is mounted.
 */
export type GrowthTrouble = "uncertain" | "failed" | "infeasible" | "inUse";

/** How a kind of volume grows on its board. */
export interface Expander {
  /** @param size a quantity: what the volume has now */
  expand(size: string | number): Promise<void>;
  /** What it means when `expand` rejected so. */
  judge(error: unknown): GrowthTrouble;
}

/** What is to be done for a claim on the board: nothing, or to grow its volume to a size. */
export interface GrowthPlan {
  readonly size: string | number;
  /** Who made the volume larger keeps account of it in the claim (KEP-1790), so the board does too. */
  readonly isAccounted: boolean;
}

/** Is the claim's volume larger than the claim knows, and is it the board's turn (pure)? */
export function planGrowth(volume: PersistentVolume, { status }: PersistentVolumeClaim): GrowthPlan | undefined {
  const has = status?.capacity?.["storage"];
  const wanted = volume.spec.capacity?.["storage"];
  if (status?.phase !== "Bound" || has === undefined || wanted === undefined) return undefined;
  if (compareQuantities(parseQuantity(has), parseQuantity(wanted)) >= 0) return undefined;
  const step = status.allocatedResourceStatuses?.["storage"];
  const allocated = status.allocatedResources?.["storage"];
  if (step === undefined && allocated === undefined) return { size: wanted, isAccounted: false };
  if (step !== "NodeResizePending" && step !== "NodeResizeInProgress") return undefined;
  return { size: allocated ?? wanted, isAccounted: true };
}

export interface VolumeGrowthOptions {
  readonly client: Client;
  readonly events: EventRecorder;
  readonly nodeName: string;
  readonly log: Log;
}

/** Grows what lies on volumes that have become larger, and tells pod and claim, as upstream's kubelet does (NodeExpander). */
export class VolumeGrowth {
  readonly #options: VolumeGrowthOptions;
  /** Volumes that cannot grow while they are mounted, by pod and volume. */
  readonly #busy = new Set<string>();
  /** Volumes whose last attempt is over and came to nothing. */
  readonly #failed = new Set<string>();

  constructor(options: VolumeGrowthOptions) {
    this.#options = options;
  }

  /** Never rejects: a pod runs with what its volume has meanwhile. Asks the master for the claim. */
  async grow(volume: PersistentVolume, pod: Pod, expander: Expander): Promise<void> {
    const { client, events, nodeName, log } = this.#options;
    const name = volume.metadata.name ?? "";
    if (client.isAway || this.#busy.has(busyKey(pod, name))) return;
    try {
      const found = await this.#claimOf(volume);
      const plan = found && planGrowth(volume, found);
      if (!plan) return;
      const claim = plan.isAccounted ? await this.#write(found, inProgress) : found;
      if (!(await this.#attempt(volume, pod, claim, plan, expander))) return;
      const message = `MountVolume.NodeExpandVolume succeeded for volume "${name}" ${nodeName}`;
      for (const object of [pod, claim])
        events.record(object, { type: "Normal", reason: "FileSystemResizeSuccessful", message });
      await this.#write(claim, statusGrown(claim, plan.size));
    } catch (error) {
      const message = `NodeExpandVolume.NodeExpandVolume failed for volume "${name}" : ${(error as Error).message}`;
      events.record(pod, { type: "Warning", reason: "VolumeResizeFailed", message });
      log.warn("a volume could not be grown", { volume: name, error });
    }
  }

  /** False when it has to wait for the volume to be free. Rejects with what `expand` did, told in the claim. */
  async #attempt(
    volume: PersistentVolume,
    pod: Pod,
    claim: PersistentVolumeClaim,
    { size, isAccounted }: GrowthPlan,
    { expand, judge }: Expander,
  ): Promise<boolean> {
    const name = volume.metadata.name ?? "";
    try {
      await expand(size);
      this.#failed.delete(name);
      return true;
    } catch (error) {
      const trouble = judge(error);
      // What was asked for has changed since, and this will not do either: whoever makes the volume may begin anew.
      const isStale = claim.spec.resources?.requests?.["storage"] !== size && this.#failed.has(name);
      if (trouble !== "uncertain") this.#failed.add(name);
      if (isAccounted && trouble !== "uncertain") {
        const isOver = trouble === "infeasible" || isStale;
        await this.#write(claim, statusFailed(claim, error as Error, isOver));
      }
      if (trouble !== "inUse") throw error;
      this.#busy.add(busyKey(pod, name));
      this.#options.log.warn("a volume cannot be grown while it is in use", { volume: name, error });
      return false;
    }
  }

  /** Tells the pod and the claim of a volume which is to grow that it cannot, since it is mounted to be read only. */
  async tellReadOnly(volume: PersistentVolume, pod: Pod): Promise<void> {
    const { client, events, log } = this.#options;
    if (client.isAway) return;
    const { name } = volume.metadata;
    try {
      const claim = await this.#claimOf(volume);
      if (!claim || !planGrowth(volume, claim)) return;
      const message = `MountVolume.NodeExpandVolume failed for volume "${name}" requested read-only file system`;
      for (const object of [pod, claim])
        events.record(object, { type: "Warning", reason: "FileSystemResizeFailed", message });
    } catch (error) {
      log.warn("it is not known whether a volume is to grow", { volume: name, error });
    }
  }

  /** The pod has no volumes any more. */
  forget(podUid: string): void {
    for (const key of this.#busy) if (key.startsWith(`${podUid}/`)) this.#busy.delete(key);
  }

  async #claimOf({ spec }: PersistentVolume): Promise<PersistentVolumeClaim | undefined> {
    const { namespace = "", name = "" } = spec.claimRef ?? {};
    return name === "" ? undefined : this.#options.client.get(persistentVolumeClaims, { namespace, name });
  }

  async #write({ metadata }: PersistentVolumeClaim, status: StatusPatch): Promise<PersistentVolumeClaim> {
    const { namespace = "", name = "", resourceVersion } = metadata;
    const body = { metadata: { resourceVersion }, status };
    const patch = { type: "merge", body } as const;
    return this.#options.client.patch(persistentVolumeClaims, { namespace, name }, patch, { subresource: "status" });
  }
}

const busyKey = (pod: Pod, volume: string): string => `${podUid(pod)}/${volume}`;

type Conditions = NonNullable<PersistentVolumeClaimStatus["conditions"]>;

/** A merge patch: null takes away. */
interface StatusPatch {
  readonly capacity?: Readonly<Record<string, string | number>>;
  readonly conditions?: Conditions;
  readonly allocatedResourceStatuses?: { readonly storage: string | null };
}

const inProgress: StatusPatch = { allocatedResourceStatuses: { storage: "NodeResizeInProgress" } };

const statusGrown = ({ status }: PersistentVolumeClaim, size: string | number): StatusPatch => ({
  capacity: { storage: size },
  conditions: (status?.conditions ?? []).filter(({ type }) => !passing.has(type)),
  allocatedResourceStatuses: { storage: null },
});

function statusFailed({ status }: PersistentVolumeClaim, { message }: Error, isOver: boolean): StatusPatch {
  const type = "NodeResizeError";
  const present = status?.conditions ?? [];
  const known = present.some((condition) => condition.type === type && condition.status === "True");
  const condition = {
    type,
    status: "True",
    lastTransitionTime: rfc3339(Date.now()),
    message: `failed to expand pvc with ${message}`,
  };
  return {
    conditions: known ? present : [...present.filter((each) => each.type !== type), condition],
    ...(isOver ? { allocatedResourceStatuses: { storage: "NodeResizeInfeasible" } } : {}),
  };
}
