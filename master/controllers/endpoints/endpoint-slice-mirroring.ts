import { endpointSlices, endpoints, services } from "#shared/api/resources.ts";
import type { EndpointAddress, EndpointSubset, Endpoints } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint } from "#shared/api/types/discovery-v1.generated.ts";
import {
  type ControllerDefinition,
  defineController,
  isNamespaceTerminating,
  watching,
} from "#shared/client/controller.ts";
import { controllerReference } from "#shared/client/controller-ref.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import { isIpv6 } from "#shared/net/ip-family.ts";
import { repackSubsets } from "./repack-subsets.ts";
import { type EndpointGroup, planSlices } from "./slice-plan.ts";
import {
  managedByLabel,
  type SliceIdentity,
  serviceNameLabel,
  serviceOfSlice,
  slicesByService,
  slicesManagedBy,
  writeSlices,
} from "./slice-writer.ts";

const manager = "endpointslicemirroring-controller.k8s.io";
const mostInSubset = 1000;
const notMirrored = new Set([
  "endpoints.kubernetes.io/last-change-trigger-time",
  "kubectl.kubernetes.io/last-applied-configuration",
]);

/** Copies Endpoints that somebody keeps by hand, for a Service without a selector, into EndpointSlices. */
export function endpointSliceMirroringController(): ControllerDefinition {
  return defineController({
    name: "endpointslice-mirroring-controller",
    eventSource: "endpoint-slice-mirroring-controller",
    serviceAccount: "endpointslicemirroring-controller",
    watches: [
      watching(services),
      watching(endpoints),
      watching(endpointSlices, {
        enqueue: serviceOfSlice,
        indexes: slicesByService,
        writes: true,
      }),
    ],
    async reconcile(key, { lister, client, events, written }) {
      const behind_ms = written.wait_ms(key);
      if (behind_ms !== undefined) return { behind_ms };
      const present = slicesManagedBy(manager, key, lister(endpointSlices));
      const object = lister(endpoints).get(key);
      const service = lister(services).get(key);
      const mirrored = object && service && !service.spec?.selector && isMirrored(object) ? object : undefined;
      if (!mirrored && present.length === 0) return undefined;
      const { groups, ...omitted } = mirrored ? groupsOf(mirrored) : { groups: [], invalid: 0, skipped: 0 };
      if (mirrored) tellOmitted(mirrored, omitted, events);
      const plan = planSlices(groups, present, new Set(), mostInSubset);
      try {
        await writeSlices(client, sliceIdentity(key, mirrored), plan, written);
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
      }
      return undefined;
    },
  });
}

function tellOmitted(
  object: Endpoints,
  { invalid, skipped }: { readonly invalid: number; readonly skipped: number },
  events: EventRecorder,
): void {
  const warn = (reason: string, message: string): void => events.record(object, { type: "Warning", reason, message });
  if (invalid > 0) warn("InvalidIPAddress", `Skipped ${invalid} invalid IP addresses when mirroring to EndpointSlices`);
  if (skipped > 0)
    warn(
      "TooManyAddressesToMirror",
      `A max of ${mostInSubset} addresses can be mirrored to EndpointSlices per Endpoints subset. ${skipped} addresses were skipped`,
    );
}

/** Without `mirrored`, slices are only taken away, for which their names do. */
function sliceIdentity(key: string, mirrored: Endpoints | undefined): SliceIdentity {
  const [namespace = "", name = ""] = key.split("/");
  const { labels, annotations = {} } = mirrored?.metadata ?? {};
  const copied = Object.entries(annotations).filter(([annotation]) => !notMirrored.has(annotation));
  return {
    key,
    namespace,
    name,
    owner: controllerReference(endpoints, mirrored ?? { apiVersion: "v1", kind: "Endpoints", metadata: { name } }),
    labels: { ...labels, [serviceNameLabel]: name, [managedByLabel]: manager },
    annotations: Object.fromEntries(copied),
  };
}

const isMirrored = ({ metadata }: Endpoints): boolean =>
  metadata.labels?.["endpointslice.kubernetes.io/skip-mirror"] !== "true" &&
  metadata.annotations?.["control-plane.alpha.kubernetes.io/leader"] === undefined;

const ipv4 = /^\d{1,3}(\.\d{1,3}){3}$/;

/** Subsets as endpoint groups (pure); addresses that are none, and those beyond the bound, are left out and counted. */
export function groupsOf({ subsets = [] }: Endpoints): {
  readonly groups: EndpointGroup[];
  readonly invalid: number;
  readonly skipped: number;
} {
  let invalid = 0;
  let skipped = 0;
  const groups: EndpointGroup[] = [];
  for (const subset of repackSubsets(subsets)) {
    const byFamily = new Map<string, Endpoint[]>();
    let count = 0;
    for (const { address, ready } of addressesOf(subset)) {
      const addressType = ipv4.test(address.ip) ? "IPv4" : isIpv6(address.ip) ? "IPv6" : undefined;
      if (!addressType) invalid++;
      else if (count >= mostInSubset) skipped++;
      else {
        count++;
        byFamily.set(addressType, [...(byFamily.get(addressType) ?? []), endpointOf(address, ready)]);
      }
    }
    const ports = (subset.ports ?? []).map(({ name = "", port, protocol = "TCP", appProtocol }) => ({
      name,
      port,
      protocol,
      ...(appProtocol ? { appProtocol } : {}),
    }));
    for (const [addressType, endpoints] of byFamily) groups.push({ addressType, ports, endpoints });
  }
  return { groups, invalid, skipped };
}

const addressesOf = ({ addresses = [], notReadyAddresses = [] }: EndpointSubset) => [
  ...addresses.map((address) => ({ address, ready: true })),
  ...notReadyAddresses.map((address) => ({ address, ready: false })),
];

const endpointOf = ({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint => ({
  addresses: [ip],
  conditions: { ready },
  ...(targetRef ? { targetRef } : {}),
  ...(hostname ? { hostname } : {}),
  ...(nodeName ? { nodeName } : {}),
});
