import type { IPAddress } from "./types/networking-v1.generated.ts";

/** The ServiceCIDR that stands for the ranges of the command line. */
export const defaultServiceCIDRName = "kubernetes";

/** Who keeps an IPAddress. */
export const managedByLabel = "ipaddress.kubernetes.io/managed-by";
export const ipFamilyLabel = "ipaddress.kubernetes.io/ip-family";
/** The keeper of those of Services. */
export const serviceAddressManager = "ipallocator.k8s.io";

export const isServiceAddress = ({ metadata }: IPAddress): boolean =>
  metadata.labels?.[managedByLabel] === serviceAddressManager;
