import type { DeviceClaim, ResourceSlice } from "#shared/api/types/resource-v1.generated.ts";

/** SetDefaults_ExactDeviceRequest and SetDefaults_DeviceSubRequest. */
export function applyDeviceDefaults({ requests = [] }: DeviceClaim): void {
  for (const { exactly, firstAvailable = [] } of requests) {
    for (const request of [...(exactly ? [exactly] : []), ...firstAvailable]) {
      request.allocationMode ||= "ExactCount";
      if (request.allocationMode === "ExactCount") request.count ||= 1;
    }
  }
}

/** Taints are as old as they are known (SetDefaults_DeviceTaint). */
export function applySliceDefaults({ spec }: ResourceSlice, now: Date = new Date()): void {
  for (const { taints = [] } of spec.devices ?? [])
    for (const taint of taints) taint.timeAdded ??= now.toISOString().replace(/\.\d+Z$/, "Z");
}
