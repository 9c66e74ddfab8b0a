import { localPathProvisionerName } from "#shared/api/local-path.ts";
import { compareQuantities, parseQuantity } from "#shared/api/quantity.ts";
import { persistentVolumeClaims, persistentVolumes } from "#shared/api/resources.ts";
import { isReservedFor, volumeAnnotations } from "#shared/api/scheduling/volume-match.ts";
import type { PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import { defineController, nothing, watching } from "#shared/client/controller.ts";

const requested = ({ spec }: PersistentVolumeClaim) => parseQuantity(spec?.resources?.requests?.["storage"] ?? "0");

const had = ({ status }: PersistentVolumeClaim) => parseQuantity(status?.capacity?.["storage"] ?? "0");

const grew = (
  old: PersistentVolumeClaim,
  now: PersistentVolumeClaim,
  size: (claim: PersistentVolumeClaim) => ReturnType<typeof parseQuantity>,
): boolean => compareQuantities(size(now), size(old)) > 0;

/** The claim asks for more than its volume has (pure). */
function wantsToGrow(claim: PersistentVolumeClaim): boolean {
  if (claim.status?.phase !== "Bound") return false;
  return compareQuantities(requested(claim), had(claim)) > 0;
}

/** A claim that asks for more than its volume has is told that its driver's resizer has to see to it, as upstream does for
 *  every CSI driver. Folders of boards are grown by who made them. */
export const volumeExpander = defineController({
  name: "persistentvolume-expander-controller",
  eventSource: "volume_expand",
  serviceAccount: "expand-controller",
  watches: [
    watching(persistentVolumeClaims, {
      when: (event) =>
        event.type === "add"
          ? wantsToGrow(event.object)
          : event.type === "update" && (grew(event.old, event.object, requested) || grew(event.old, event.object, had)),
    }),
    watching(persistentVolumes, { enqueue: nothing }),
  ],
  async reconcile(key, { lister, events }) {
    const claim = lister(persistentVolumeClaims).get(key);
    if (!claim || !wantsToGrow(claim)) return;
    const volume = lister(persistentVolumes).get(claim.spec?.volumeName ?? "");
    if (!volume) throw new Error(`the volume of ${key} is not known`);
    if (!isReservedFor(volume, claim)) throw new Error(`volume ${volume.metadata.name} is not bound to ${key}`);
    if (volume.metadata.annotations?.[volumeAnnotations.dynamicallyProvisioned] === localPathProvisionerName) return;
    const message = "waiting for an external controller to expand this PVC";
    events.record(claim, { type: "Normal", reason: "ExternalExpanding", message });
  },
});
