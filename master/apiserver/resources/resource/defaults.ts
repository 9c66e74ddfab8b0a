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

/** Upstream reads an absent structure as one of zeros. */
export function applySliceDefaults(slice: ResourceSlice): void {
  slice.spec ??= { driver: "", pool: { name: "", generation: 0, resourceSliceCount: 0 } };
  slice.spec.pool ??= { name: "", generation: 0, resourceSliceCount: 0 };
}
