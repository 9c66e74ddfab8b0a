import { ipAddresses, serviceCIDRs } from "#shared/api/resources.ts";
import { isServiceAddress } from "#shared/api/service-addresses.ts";
import type { Condition } from "#shared/api/types/meta-v1.generated.ts";
import type { IPAddress, ServiceCIDR } from "#shared/api/types/networking-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { timestamp } from "#shared/client/clock.ts";
import { defineController, everyKeyOf, watching } from "#shared/client/controller.ts";
import {
  type AddressRange,
  isInRange,
  parseAddress,
  parseRange,
} from "../../apiserver/resources/validation/addresses.ts";
import { keepFinalizer } from "../protection-finalizer.ts";

const finalizer = "networking.k8s.io/service-cidr-finalizer";
/** Who allocates addresses to Services notices within this time that a range is going. */
const deletionGrace_ms = 10_000;

const ranges = ({ spec }: ServiceCIDR): AddressRange[] => (spec.cidrs ?? []).flatMap((cidr) => parseRange(cidr) ?? []);

const isWithin = (inner: AddressRange, outer: AddressRange): boolean =>
  inner.prefix >= outer.prefix && isInRange({ bits: inner.bits, value: inner.base }, outer);

/** Whether a Service's address would be left without a range if `going` went (KEP-1880). */
export function leavesOrphans(
  going: ServiceCIDR,
  all: readonly ServiceCIDR[],
  addresses: readonly IPAddress[],
): boolean {
  const others = all.filter(({ metadata }) => metadata.name !== going.metadata.name).flatMap(ranges);
  const own = ranges(going);
  if (own.every((range) => others.some((other) => isWithin(range, other)))) return false;
  return addresses
    .filter(isServiceAddress)
    .flatMap(({ metadata }) => parseAddress(metadata.name ?? "") ?? [])
    .some(
      (address) => own.some((range) => isInRange(address, range)) && !others.some((range) => isInRange(address, range)),
    );
}

/** Says which ranges are ready for Services, and keeps one that is deleted while addresses are in use. */
export const serviceCIDRController = defineController({
  name: "service-cidr-controller",
  serviceAccount: "service-cidrs-controller",
  watches: [
    // A range that comes or goes may decide about another one that is going.
    watching(serviceCIDRs, { enqueue: everyKeyOf(serviceCIDRs) }),
    watching(ipAddresses, { enqueue: everyKeyOf(serviceCIDRs) }),
  ],
  async reconcile(key, { lister, client, clock, events }) {
    const range = lister(serviceCIDRs).get(key);
    if (!range) return undefined;
    const { deletionTimestamp } = range.metadata;
    if (deletionTimestamp === undefined) {
      const updated = await keepFinalizer(client, serviceCIDRs, range, finalizer, () => true);
      const ready = { status: "True", reason: "", message: "Kubernetes Service CIDR is ready" };
      try {
        await writeReady(client, updated, timestamp(clock), ready);
      } catch (error) {
        const message = "The ServiceCIDR Status can not be set to Ready=True";
        events.record(range, { type: "Warning", reason: "KubernetesServiceCIDRError", message });
        throw error;
      }
      return undefined;
    }
    if (leavesOrphans(range, lister(serviceCIDRs).list(), lister(ipAddresses).list())) {
      await writeReady(client, range, timestamp(clock), {
        status: "False",
        reason: "Terminating",
        message:
          "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
      });
      return undefined;
    }
    const left_ms = Date.parse(deletionTimestamp) + deletionGrace_ms - clock.wall_ms();
    if (left_ms > 0) return { requeueAfter_ms: left_ms };
    await keepFinalizer(client, serviceCIDRs, range, finalizer, () => false);
    return undefined;
  },
});

async function writeReady(
  client: Client,
  range: ServiceCIDR,
  now: string,
  wanted: Pick<Condition, "status" | "reason" | "message">,
): Promise<void> {
  const conditions = range.status?.conditions ?? [];
  const present = conditions.find(({ type }) => type === "Ready");
  const isSame =
    present?.status === wanted.status && (present.reason ?? "") === wanted.reason && present.message === wanted.message;
  if (isSame) return;
  const lastTransitionTime = present?.status === wanted.status ? present.lastTransitionTime : now;
  const ready: Condition = { type: "Ready", ...wanted, lastTransitionTime };
  const { name = "" } = range.metadata;
  const body = {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name },
    status: { conditions: [ready] },
  };
  const how = { type: "apply", body, force: true } as const;
  await client.patch(serviceCIDRs, { name }, how, { subresource: "status", fieldManager: "service-cidr-controller" });
}
