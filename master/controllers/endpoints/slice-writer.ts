import { isNotFound } from "#shared/api/errors.ts";
import { keyOf } from "#shared/api/object.ts";
import { endpointSlices } from "#shared/api/resources.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { WrittenVersions } from "#shared/client/written-versions.ts";
import { canonicalText } from "../canonical-text.ts";
import type { SlicePlan } from "./slice-plan.ts";

export const serviceNameLabel = "kubernetes.io/service-name";
export const managedByLabel = "endpointslice.kubernetes.io/managed-by";
export const headlessLabel = "service.kubernetes.io/headless";

/** The Service that a slice belongs to, by its label. */
export function serviceOfSlice({ metadata }: EndpointSlice): string[] {
  const name = metadata.labels?.[serviceNameLabel];
  return name ? [`${metadata.namespace}/${name}`] : [];
}

export const slicesByService = { service: serviceOfSlice };

/** What all slices of one Service have in common. */
export interface SliceIdentity {
  /** The Service's `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly owner: OwnerReference;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** Carries out a plan, and brings labels and annotations of slices that stay up to date. */
export async function writeSlices(
  client: Client,
  identity: SliceIdentity,
  plan: SlicePlan,
  written: WrittenVersions,
): Promise<void> {
  const { key, namespace, name, owner, labels } = identity;
  for (const { slice, endpoints } of plan.update) {
    const updated = await client.update(endpointSlices, { ...dressed(slice, identity), endpoints: [...endpoints] });
    written.wrote(key, updated);
  }
  for (const slice of plan.keep) {
    const wanted = dressed(slice, identity);
    if (canonicalText(wanted.metadata) === canonicalText(slice.metadata)) continue;
    written.wrote(key, await client.update(endpointSlices, wanted));
  }
  for (const { addressType, ports, endpoints } of plan.create) {
    const slice: EndpointSlice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        generateName: `${name}-`,
        namespace,
        labels: { ...labels },
        ...(identity.annotations ? { annotations: { ...identity.annotations } } : {}),
        ownerReferences: [owner],
      },
      addressType,
      ports: [...ports],
      endpoints: [...endpoints],
    };
    written.wrote(key, await client.create(endpointSlices, slice, { namespace }));
  }
  for (const slice of plan.delete) {
    try {
      await client.delete(endpointSlices, { namespace, name: slice.metadata.name ?? "" });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    written.deleted(key, keyOf(slice));
  }
}

function dressed(slice: EndpointSlice, { labels, annotations }: SliceIdentity): EndpointSlice {
  const { annotations: present, ...metadata } = slice.metadata;
  const kept = annotations ?? present;
  const wanted = kept && Object.keys(kept).length > 0 ? { annotations: { ...kept } } : {};
  return { ...slice, metadata: { ...metadata, labels: { ...labels }, ...wanted } };
}
