import type { DeviceClaim, ResourceClaim, ResourceSlice } from "#shared/api/types/resource-v1.generated.ts";

/** SetDefaults_ExactDeviceRequest and SetDefaults_DeviceSubRequest. */
export function applyDeviceDefaults({ requests = [] }: DeviceClaim): void {
  for (const { exactly, firstAvailable = [] } of requests) {
    for (const request of [...(exactly ? [exactly] : []), ...firstAvailable]) {
      request.allocationMode ||= "ExactCount";
      if (request.allocationMode === "ExactCount") request.count ||= 1;
    }
  }
}

/** Of devices that were allocated: what they tolerate is told in full. */
export function applyAllocationDefaults({ status }: ResourceClaim): void {
  for (const { tolerations = [] } of status?.allocation?.devices?.results ?? []) {
    for (const toleration of tolerations) toleration.operator ||= "Equal";
  }
}

/** Upstream reads an absent structure as one of zeros. */
export function applySliceDefaults(slice: ResourceSlice): void {
  slice.spec ??= { driver: "", pool: { name: "", generation: 0, resourceSliceCount: 0 } };
  slice.spec.pool ??= { name: "", generation: 0, resourceSliceCount: 0 };
}
