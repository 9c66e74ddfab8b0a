import { endpointSlices } from "#shared/api/resources.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, listWithMore, nameColumn } from "../columns.ts";
import { semanticEqual } from "../validation/field.ts";
import { addressWarnings, eachWarned } from "../validation/warned-values.ts";
import { applyEndpointSliceDefaults, validateEndpointSlice } from "./rules.ts";

/** Only the beta version could set it: it stays while the endpoints do. */
function dropTopology({ endpoints = [] }: EndpointSlice, old?: Readonly<EndpointSlice>): void {
  if (old && semanticEqual(endpoints, old.endpoints)) return;
  for (const endpoint of endpoints) delete endpoint.deprecatedTopology;
}

export const endpointSlice: ResourceDeclaration<EndpointSlice> = {
  ref: endpointSlices,
  columns: [
    nameColumn,
    column("AddressType", ({ addressType }) => addressType),
    column("Ports", ({ ports = [] }) =>
      listWithMore(
        ports.map(({ port, name }) => (port === undefined ? (name ?? "*") : String(port))),
        3,
      ),
    ),
    column("Endpoints", ({ endpoints }) =>
      listWithMore(
        (endpoints ?? []).flatMap(({ addresses }) => addresses),
        3,
      ),
    ),
    ageColumn,
  ],
  strategy: {
    judgesNameOnUpdate: true,
    hasGeneration: true,
    applyDefaults: applyEndpointSliceDefaults,
    validate: (slice) => validateEndpointSlice(slice),
    validateUpdate: validateEndpointSlice,
    dropDisabled: dropTopology,
    warnings: ({ addressType, endpoints }) =>
      addressType === "FQDN"
        ? ["spec.addressType: FQDN endpoints are deprecated"]
        : (endpoints ?? []).flatMap(({ addresses }, index) =>
            eachWarned(addresses, `endpoints[${index}].addresses`, addressWarnings),
          ),
    generationBasis: ({ metadata, ...rest }) => ({ ...rest, labels: metadata.labels }),
  },
};
