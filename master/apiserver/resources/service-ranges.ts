/** Where the addresses of Services come from besides the ranges of the command line (KEP-1880). */
import { ipAddresses, serviceCIDRs } from "#shared/api/resources.ts";
import { defaultServiceCIDRName, isServiceAddress } from "#shared/api/service-addresses.ts";
import type { IPAddress, ServiceCIDR } from "#shared/api/types/networking-v1.generated.ts";
import type { FamilyNetwork } from "#shared/config/networks.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { FamilyPools } from "./service-pools.ts";
import { formatAddress, parseAddress } from "./validation/addresses.ts";

const isGoing = ({ metadata }: ServiceCIDR): boolean => metadata.deletionTimestamp !== undefined;

/** One that nobody has judged yet counts as ready, as upstream: controllers may be away. */
const isReady = ({ status }: ServiceCIDR): boolean =>
  (status?.conditions?.find(({ type }) => type === "Ready")?.status ?? "True") === "True";

/**
 * The ranges that give addresses: those of the command line, unless the object that stands for them is being deleted, and
 * those of every ready ServiceCIDR.
 */
function readyRanges(configured: readonly FamilyNetwork[], objects: readonly ServiceCIDR[]): string[] {
  const isDefaultGoing = objects.some((object) => object.metadata.name === defaultServiceCIDRName && isGoing(object));
  const own = isDefaultGoing ? [] : configured.map(({ cidr }) => cidr);
  const ready = objects.filter((object) => isReady(object) && !isGoing(object));
  return [...new Set([...own, ...ready.flatMap(({ spec }) => spec.cidrs ?? [])])];
}

export function followServiceCIDRs(
  reader: ResourceReader,
  pools: FamilyPools,
  configured: readonly FamilyNetwork[],
): void {
  const follow = (): void => pools.setRanges(readyRanges(configured, reader.list(serviceCIDRs)));
  follow();
  reader.onChange(serviceCIDRs, follow);
}

/** Addresses of Services are known by the Services; others who want one out of a range make an IPAddress for it. */
export function followForeignAddresses(reader: ResourceReader, pools: FamilyPools): void {
  const observe = (object: IPAddress, type: "ADDED" | "MODIFIED" | "DELETED"): void => {
    const address = parseAddress(object.metadata.name ?? "");
    if (!address) return;
    const isForeign = type !== "DELETED" && !isServiceAddress(object);
    pools.setForeign(formatAddress(address), isForeign ? "in use" : "free");
  };
  for (const object of reader.list(ipAddresses)) observe(object, "ADDED");
  reader.onChange(ipAddresses, observe);
}
