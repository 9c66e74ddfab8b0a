import { isAlreadyExists } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { keyOf } from "#shared/api/object.ts";
import { endpoints, pods, services } from "#shared/api/resources.ts";
import type {
  EndpointAddress,
  EndpointPort,
  EndpointSubset,
  Endpoints,
  Pod,
  Service,
} from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  defineController,
  isNamespaceTerminating,
  watching,
} from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { familyOf } from "#shared/net/ip-family.ts";
import { canonicalText } from "../canonical-text.ts";
import { isPodReady } from "../pod-condition.ts";
import { repackSubsets } from "./repack-subsets.ts";
import {
  addressesOf,
  concernsEndpoints,
  hasHostname,
  isHeadless,
  mayBeEndpoint,
  podBatch_ms,
  portOnPod,
  selectedPods,
  servicesOfPod,
} from "./service-pods.ts";
import { headlessLabel } from "./slice-writer.ts";
import { TriggerTimes, withTriggerTime } from "./trigger-time.ts";

const managedByLabel = "endpoints.kubernetes.io/managed-by";
const overCapacityAnnotation = "endpoints.kubernetes.io/over-capacity";
const leaderAnnotation = "control-plane.alpha.kubernetes.io/leader";
const mostAddresses = 1000;

/** Keeps the Endpoints of Services that select pods, for clients older than EndpointSlices. */
export function endpointsController(): ControllerDefinition {
  const triggerTimes = new TriggerTimes();
  return defineController({
    name: "endpoints-controller",
    eventSource: "endpoint-controller",
    serviceAccount: "endpoint-controller",
    watches: [
      watching(services),
      watching(pods, { enqueue: servicesOfPod, when: concernsEndpoints, batch_ms: podBatch_ms }),
      watching(endpoints, {
        writes: true,
        // Those that somebody made by hand, with no Service or before it, are theirs, and so are those of a leader.
        enqueue: (object, { lister }) => (isOwn(object) || lister(services).get(keyOf(object)) ? [keyOf(object)] : []),
      }),
    ],
    resync_s: 600,
    async reconcile(key, context) {
      const { lister, client, written } = context;
      const service = lister(services).get(key);
      const present = lister(endpoints).get(key);
      if (!service) {
        for (const memory of [written, triggerTimes]) memory.forget(key);
        // With a Service go its Endpoints, also those made by hand.
        if (present) await remove(client, present);
        return undefined;
      }
      if (service.spec?.type === "ExternalName" || !service.spec?.selector) return undefined;
      const behind_ms = written.wait_ms(key);
      if (behind_ms !== undefined) return { behind_ms };
      const selected = selectedPods(service, lister(pods));
      const triggerTime = triggerTimes.next(key, service, selected);
      const wanted = endpointsOf(service, selected, present, triggerTime);
      if (present && content(present) === content(wanted)) return undefined;
      const kept = await write(service, wanted, present ? "update" : "create", context);
      if (kept) written.wrote(key, endpoints, kept);
      return undefined;
    },
  });
}

const isOwn = ({ metadata: { labels, annotations } }: Endpoints): boolean =>
  labels?.[managedByLabel] !== undefined && annotations?.[leaderAnnotation] === undefined;

async function remove(client: Client, { metadata }: Endpoints): Promise<void> {
  const { namespace = "", name = "", uid } = metadata;
  await unlessGone(client.delete(endpoints, { namespace, name }, { preconditions: { uid } }));
}

/** The Endpoints as they are then; undefined where there is nothing to do but wait. */
async function write(
  { metadata: { namespace, name } }: Service,
  wanted: Endpoints,
  verb: "create" | "update",
  { client, events }: ControllerContext,
): Promise<Endpoints | undefined> {
  try {
    return await client[verb](endpoints, wanted);
  } catch (error) {
    if (isNamespaceTerminating(error) || isAlreadyExists(error)) return undefined;
    const why = messageOf(error);
    const [reason, message] =
      verb === "create"
        ? ["FailedToCreateEndpoint", `Failed to create endpoint for service ${namespace}/${name}: ${why}`]
        : ["FailedToUpdateEndpoint", `Failed to update endpoint ${namespace}/${name}: ${why}`];
    events.record(wanted, { type: "Warning", reason, message });
    throw error;
  }
}

const content = ({ subsets = [], metadata }: Endpoints): string =>
  canonicalText([subsets, metadata.labels ?? {}, metadata.annotations?.[overCapacityAnnotation]]);

/** The Endpoints object of a Service (pure), to be written for a change of that time, if it has one (RFC 3339). */
export function endpointsOf(
  service: Service,
  selected: readonly Pod[],
  present?: Endpoints,
  triggerTime?: string,
): Endpoints {
  const { subsets, truncated } = cut(subsetsOf(service, selected));
  const { [headlessLabel]: _, ...labels } = service.metadata.labels ?? {};
  const { [overCapacityAnnotation]: __, ...annotations } = withTriggerTime(present?.metadata.annotations, triggerTime);
  if (truncated) annotations[overCapacityAnnotation] = "truncated";
  return {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: {
      ...(present?.metadata ?? { name: service.metadata.name, namespace: service.metadata.namespace }),
      labels: {
        ...labels,
        ...(isHeadless(service) ? { [headlessLabel]: "" } : {}),
        [managedByLabel]: "endpoint-controller",
      },
      ...(Object.keys(annotations).length > 0 ? { annotations } : { annotations: undefined }),
    },
    ...(subsets.length > 0 ? { subsets } : {}),
  };
}

function subsetsOf(service: Service, selected: readonly Pod[]): EndpointSubset[] {
  const { ipFamilies, clusterIP = "" } = service.spec ?? {};
  const family = ipFamilies?.[0] === "IPv6" ? "IPv6" : familyOf(clusterIP);
  const publish = service.spec?.publishNotReadyAddresses === true;
  const subsets: EndpointSubset[] = [];
  for (const pod of selected) {
    if (!mayBeEndpoint(pod, publish ? "with terminating" : "without terminating")) continue;
    const ip = addressesOf(pod).find((one) => familyOf(one) === family);
    if (!ip) continue;
    const ports = portsOn(pod, service);
    if (ports.length === 0 && !((service.spec?.ports ?? []).length === 0 && isHeadless(service))) continue;
    const { namespace, name, uid } = pod.metadata;
    const address: EndpointAddress = {
      ip,
      ...(hasHostname(pod, service) ? { hostname: pod.spec?.hostname } : {}),
      ...(pod.spec?.nodeName ? { nodeName: pod.spec.nodeName } : {}),
      targetRef: { kind: "Pod", namespace, name, uid },
    };
    const isReady = publish || isPodReady(pod);
    subsets.push({ [isReady ? "addresses" : "notReadyAddresses"]: [address], ports });
  }
  return repackSubsets(subsets);
}

const portsOn = (pod: Pod, { spec }: Service): EndpointPort[] =>
  (spec?.ports ?? []).flatMap((servicePort) => {
    const port = portOnPod(pod, servicePort);
    if (port === undefined) return [];
    const { name, protocol = "TCP", appProtocol } = servicePort;
    return [{ ...(name ? { name } : {}), port, protocol, ...(appProtocol ? { appProtocol } : {}) }];
  });

/** At most a thousand addresses in all, ready ones first. */
function cut(subsets: readonly EndpointSubset[]): { subsets: EndpointSubset[]; truncated: boolean } {
  const count = (pick: (subset: EndpointSubset) => readonly unknown[] | undefined): number =>
    subsets.reduce((sum, subset) => sum + (pick(subset)?.length ?? 0), 0);
  const ready = count(({ addresses }) => addresses);
  const all = ready + count(({ notReadyAddresses }) => notReadyAddresses);
  if (all <= mostAddresses) return { subsets: [...subsets], truncated: false };
  let readyLeft = mostAddresses;
  let notReadyLeft = Math.max(0, mostAddresses - ready);
  const kept = subsets.map(({ addresses = [], notReadyAddresses = [], ports }) => {
    const keepReady = addresses.slice(0, readyLeft);
    const keepNotReady = notReadyAddresses.slice(0, notReadyLeft);
    readyLeft -= keepReady.length;
    notReadyLeft -= keepNotReady.length;
    return {
      ...(keepReady.length > 0 ? { addresses: keepReady } : {}),
      ...(keepNotReady.length > 0 ? { notReadyAddresses: keepNotReady } : {}),
      ...(ports ? { ports } : {}),
    };
  });
  return {
    subsets: kept.filter(({ addresses, notReadyAddresses }) => addresses || notReadyAddresses),
    truncated: true,
  };
}
