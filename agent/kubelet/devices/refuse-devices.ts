import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Refusal } from "../node/pod-admission.ts";
import { AllocationError, type DeviceManager } from "./device-manager.ts";

/** Gives a pod its devices; the reason why it cannot run here, as upstream words it, where there are not enough. */
export async function refuseDevices(manager: DeviceManager | undefined, pod: Pod): Promise<Refusal | undefined> {
  try {
    await manager?.allocate(pod);
    return undefined;
  } catch (error) {
    if (!(error instanceof AllocationError)) throw error;
    const message = `Allocate failed due to ${error.message}, which is unexpected`;
    return { reason: "UnexpectedAdmissionError", message };
  }
}
