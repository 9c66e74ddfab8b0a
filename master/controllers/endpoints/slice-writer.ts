import { keyOf } from "#shared/api/object.ts";
import { endpointSlices } from "#shared/api/resources.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Lister } from "#shared/client/informer.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import type { WrittenVersions } from "#shared/client/written-versions.ts";
import { canonicalText } from "../canonical-text.ts";
import type { SlicePlan } from "./slice-plan.ts";
import { withTriggerTime } from "./trigger-time.ts";

export const serviceNameLabel = "kubernetes.io/service-name";
export const managedByLabel = "endpointslice.kubernetes.io/managed-by";
export const headlessLabel = "service.kubernetes.io/headless";

/** The Service that a slice belongs to, by its label. */
export function serviceOfSlice({ metadata }: EndpointSlice): string[] {
  const name = metadata.labels?.[serviceNameLabel];
  return name ? [`${metadata.namespace}/${name}`] : [];
}

export const slicesByService = { service: serviceOfSlice };

/** Slices of a Service (`namespace/name`) that one controller keeps, without those that are on their way out. */
export const slicesManagedBy = (
  manager: string,
  serviceKey: string,
  slices: Lister<EndpointSlice>,
): readonly EndpointSlice[] =>
  slices
    .byIndex("service", serviceKey)
    .filter(({ metadata }) => metadata.labels?.[managedByLabel] === manager && !metadata.deletionTimestamp);

/** What all slices of one Service have in common. */
export interface SliceIdentity {
  /** The Service's `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly owner: OwnerReference;
  readonly labels: Readonly<Record<string, string>>;
  /** All that a slice has. Absent: a slice keeps what it has, but for the time of what it is written for. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** Of the change that slices are written for now, if it has one; says by itself no slice out of date. */
  readonly triggerTime?: string | undefined;
}

/** Carries out a plan, and brings labels and annotations of slices that stay up to date. */
export async function writeSlices(
  client: Client,
  identity: SliceIdentity,
  plan: SlicePlan,
  written: WrittenVersions,
): Promise<void> {
  const { key, namespace, name, owner } = identity;
  for (const { slice, endpoints, ports } of plan.update) {
    const updated = await client.update(endpointSlices, {
      ...stamped(dressed(slice, identity), identity),
      ...(ports ? { ports: [...ports] } : {}),
      endpoints: [...endpoints],
    });
    written.wrote(key, endpointSlices, updated);
  }
  for (const slice of plan.keep) {
    const wanted = dressed(slice, identity);
    if (canonicalText(wanted.metadata) === canonicalText(slice.metadata)) continue;
    written.wrote(key, endpointSlices, await client.update(endpointSlices, stamped(wanted, identity)));
  }
  for (const { addressType, ports, endpoints } of plan.create) {
    const slice: EndpointSlice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        generateName: `${name}-`,
        namespace,
        ownerReferences: [owner],
      },
      addressType,
      ports: [...ports],
      endpoints: [...endpoints],
    };
    const wanted = stamped(dressed(slice, identity), identity);
    written.wrote(key, endpointSlices, await client.create(endpointSlices, wanted, { namespace }));
  }
  for (const slice of plan.delete) {
    await unlessGone(client.delete(endpointSlices, { namespace, name: slice.metadata.name ?? "" }));
    written.deleted(key, endpointSlices, keyOf(slice));
  }
}

function dressed(slice: EndpointSlice, { labels, annotations }: SliceIdentity): EndpointSlice {
  return annotated({ ...slice, metadata: { ...slice.metadata, labels: { ...labels } } }, annotations);
}

const stamped = (slice: EndpointSlice, { triggerTime }: SliceIdentity): EndpointSlice =>
  annotated(slice, withTriggerTime(slice.metadata.annotations, triggerTime));

function annotated(slice: EndpointSlice, annotations: SliceIdentity["annotations"]): EndpointSlice {
  const { annotations: present, ...metadata } = slice.metadata;
  const kept = annotations ?? present;
  const wanted = kept && Object.keys(kept).length > 0 ? { annotations: { ...kept } } : {};
  return { ...slice, metadata: { ...metadata, ...wanted } };
}
