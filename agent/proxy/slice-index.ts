import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { canonicalAddress } from "#shared/board/cidr.ts";
import type { Informer } from "#shared/client/informer.ts";

/** Index of EndpointSlices by `namespace/name` of their Service. */
export const sliceByService = "service";
/** Index of EndpointSlices by each address in them, in its one form. */
export const sliceByAddress = "address";
/** Index of EndpointSlices by the boards that serve in them. */
export const sliceByNode = "node";

export function addSliceIndexes(slices: Informer<EndpointSlice>): void {
  slices.addIndex(sliceByService, ({ metadata }) => {
    const service = metadata.labels?.["kubernetes.io/service-name"];
    return service === undefined ? [] : [`${metadata.namespace}/${service}`];
  });
  slices.addIndex(sliceByAddress, ({ endpoints }) =>
    (endpoints ?? []).flatMap(({ addresses }) => (addresses ?? []).flatMap((each) => canonicalAddress(each) ?? [])),
  );
}
