import { addQuantities, compareQuantities, type Quantity, quantityOf, zeroQuantity } from "#shared/api/quantity.ts";
import type { ResourceClaim } from "#shared/api/types/resource-v1.generated.ts";
import { one, type QuotaAmounts } from "./amounts.ts";

const countName = "count/resourceclaims.resource.k8s.io";
const ofClass = ".deviceclass.resource.k8s.io/devices";
/** So many devices a claim is given at most: what one that asks for all counts as. */
const MOST_DEVICES = 32;

export const isDeviceClaimName = (name: string): boolean => name === countName || name.endsWith(ofClass);

/** A claim, and the devices of each class that it may be given (KEP-4381): of alternatives the most of each class. */
export function deviceClaimUsage({ spec }: ResourceClaim): QuotaAmounts {
  const usage = new Map<string, Quantity>([[countName, one]]);
  for (const { exactly, firstAvailable = [] } of spec.devices?.requests ?? []) {
    const most = new Map<string, Quantity>();
    for (const asked of firstAvailable.length > 0 ? firstAvailable : exactly ? [exactly] : []) {
      const name = asked.deviceClassName + ofClass;
      const devices = quantityOf(devicesOf(asked));
      if (compareQuantities(devices, most.get(name) ?? zeroQuantity) >= 0) most.set(name, devices);
    }
    for (const [name, devices] of most) usage.set(name, addQuantities(usage.get(name) ?? zeroQuantity, devices));
  }
  return usage;
}

/** A mode from another version counts as none. */
function devicesOf(asked: {
  readonly allocationMode?: string | undefined;
  readonly count?: number | undefined;
}): number {
  if (asked.allocationMode === "All") return MOST_DEVICES;
  return asked.allocationMode === "ExactCount" ? (asked.count ?? 0) : 0;
}
