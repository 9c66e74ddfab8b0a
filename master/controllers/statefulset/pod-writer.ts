import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import { joinErrors, messageOf } from "#shared/api/joined-errors.ts";
import { persistentVolumeClaims, pods } from "#shared/api/resources.ts";
import type { StatefulSet } from "#shared/api/types/apps-v1.generated.ts";
import type { PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ControllerContext } from "#shared/client/controller.ts";
import { belongsToFormerPod, hasOtherController, ownersToWrite } from "./claim-owners.ts";
import { claimsOf, corrected, ordinalOf } from "./ordinals.ts";

/** As upstream's. */
const updateAttempts = 4;

type Verb = "Create" | "Update" | "Delete";

/** Makes, changes and deletes a StatefulSet's pods with their claims, and tells of it in events about the set. */
export class PodWriter {
  constructor(
    readonly set: StatefulSet,
    readonly context: ControllerContext,
  ) {}

  /** The claims first, then the pod: it must never start without them. */
  async create(pod: Pod): Promise<void> {
    await this.#told("Create", pod, async () => {
      await this.createClaims(pod);
      await this.context.client.create(pods, pod, { namespace: pod.metadata.namespace });
    });
    await this.ownClaims(pod);
  }

  /** The pod as the set wants it, and its claims' owners. */
  async update(pod: Pod): Promise<void> {
    await this.#told("Update", pod, async () => {
      await this.createClaims(pod);
      await this.ownClaims(pod);
      await this.#updateLatest(pod);
    });
  }

  /** A pod that somebody else has changed meanwhile is read anew: once its claims are owned, nothing else would bring this
   *  write back. */
  async #updateLatest(pod: Pod, attempt = 1): Promise<void> {
    const { client } = this.context;
    const { namespace, name = "", uid } = pod.metadata;
    try {
      await client.update(pods, pod);
    } catch (error) {
      if (!isConflict(error) || attempt === updateAttempts) throw error;
      const latest = await client.get(pods, { namespace, name });
      if (latest.metadata.uid !== uid) throw error;
      await this.#updateLatest(corrected(this.set, latest) ?? latest, attempt + 1);
    }
  }

  async delete(pod: Pod): Promise<void> {
    const { namespace, name = "", uid } = pod.metadata;
    await this.#told("Delete", pod, () =>
      this.context.client.delete(pods, { namespace, name }, uid ? { preconditions: { uid } } : {}),
    );
  }

  /** All claims that are not there yet and can be made. Rejects when one cannot, or is on its way out: its data would be
   *  lost to the pod. */
  async createClaims(pod: Pod): Promise<void> {
    const faults: string[] = [];
    for (const claim of claimsOf(this.set, ordinalOf(pod))) {
      try {
        const present = this.#claim(claim) ?? (await this.#createClaim(pod, claim));
        if (present.metadata.deletionTimestamp) faults.push(`pvc ${claim.metadata.name} is being deleted`);
      } catch (error) {
        faults.push(messageOf(error));
      }
    }
    if (faults.length > 0) throw new Error(joinErrors(faults));
  }

  /** Whether a claim will go with a former pod of the name: the new one waits for that. */
  hasStaleClaim(pod: Pod): boolean {
    return this.#presentClaims(pod).some((claim) => belongsToFormerPod(claim, this.set, pod));
  }

  /** Whether the retention policy is not yet true of the pod's claims. */
  hasUnownedClaim(pod: Pod): boolean {
    return this.#presentClaims(pod).some((claim) => ownersToWrite(claim, this.set, pod) !== undefined);
  }

  /** Makes the retention policy true of the pod's claims. */
  async ownClaims(pod: Pod): Promise<void> {
    for (const claim of this.#presentClaims(pod)) {
      if (hasOtherController(claim, this.set, pod)) {
        const message = `PersistentVolumeClaim ${claim.metadata.name} has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim`;
        this.#event("Warning", "ConflictingController", message);
      }
      const ownerReferences = ownersToWrite(claim, this.set, pod);
      if (!ownerReferences) continue;
      const metadata = { ...claim.metadata, ownerReferences };
      await this.context.client.update(persistentVolumeClaims, { ...claim, metadata });
    }
  }

  #claim({ metadata }: PersistentVolumeClaim): PersistentVolumeClaim | undefined {
    return this.context.lister(persistentVolumeClaims).get(`${metadata.namespace}/${metadata.name}`);
  }

  #presentClaims(pod: Pod): PersistentVolumeClaim[] {
    return claimsOf(this.set, ordinalOf(pod))
      .map((claim) => this.#claim(claim))
      .filter((claim) => claim !== undefined);
  }

  /** The claim as it is then, be it there already without the cache showing it. */
  async #createClaim(pod: Pod, claim: PersistentVolumeClaim): Promise<PersistentVolumeClaim> {
    const { client } = this.context;
    const { namespace, name = "" } = claim.metadata;
    const subject = `Create Claim ${name}`;
    const place = `Pod ${pod.metadata.name} in StatefulSet ${this.set.metadata.name}`;
    try {
      const created = await client.create(persistentVolumeClaims, claim, { namespace });
      this.#event("Normal", "SuccessfulCreate", `${subject} ${place} success`);
      return created;
    } catch (error) {
      if (isAlreadyExists(error)) return client.get(persistentVolumeClaims, { namespace, name });
      this.#event("Warning", "FailedCreate", `${subject} for ${place} failed error: ${messageOf(error)}`);
      throw new Error(`failed to create PVC ${name}: ${messageOf(error)}`, { cause: error });
    }
  }

  async #told(verb: Verb, pod: Pod, run: () => Promise<unknown>): Promise<void> {
    const subject = `${verb} Pod ${pod.metadata.name} in StatefulSet ${this.set.metadata.name}`;
    try {
      await run();
    } catch (error) {
      if (!isBehind(verb, error))
        this.#event("Warning", `Failed${verb}`, `${subject} failed error: ${messageOf(error)}`);
      throw error;
    }
    this.#event("Normal", `Successful${verb}`, `${subject} successful`);
  }

  #event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.context.events.record(this.set, { type, reason, message });
  }
}

/** Only the cache was behind: it is tried again, and there is nothing to tell of. */
const isBehind = (verb: Verb, error: unknown): boolean =>
  verb === "Create" ? isAlreadyExists(error) : isConflict(error) || isNotFound(error);
