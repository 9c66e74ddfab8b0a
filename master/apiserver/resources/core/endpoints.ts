import type { FieldError } from "#shared/api/errors.ts";
import { endpoints as endpointsRef } from "#shared/api/resources.ts";
import type { EndpointAddress, EndpointPort, Endpoints } from "#shared/api/types/core-v1.generated.ts";
import { hostPort } from "#shared/http/host-port.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, listWithMore, nameColumn } from "../columns.ts";
import { validateAddress, validateEndpointAddress } from "../validation/addresses.ts";
import { collect, type Field, requiredOneOf, semanticEqual } from "../validation/field.ts";
import { isDns1123Label, isDns1123Subdomain, isPortNumber, isQualifiedName } from "../validation/names.ts";
import { protocols } from "../validation/ports.ts";
import { addressWarnings } from "../validation/warned-values.ts";

function addresses({ subsets }: Endpoints): string {
  if (!subsets?.length) return "<none>";
  const list = subsets.flatMap(({ addresses: ready = [], ports = [] }) =>
    ports.length === 0
      ? ready.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => ready.map(({ ip }) => hostPort(ip, port))),
  );
  return list.length === 0 ? "" : listWithMore(list, 3);
}

function validate({ subsets = [] }: Endpoints): FieldError[] {
  return collect((root) => {
    for (const [index, { addresses: ready = [], notReadyAddresses: unready = [], ports = [] }] of subsets.entries()) {
      const at = root.at("subsets").index(index);
      if (ready.length + unready.length === 0) at.required("must specify `addresses` or `notReadyAddresses`");
      for (const [i, address] of ready.entries()) validateOne(address, at.at("addresses").index(i));
      for (const [i, address] of unready.entries()) validateOne(address, at.at("notReadyAddresses").index(i));
      for (const [i, port] of ports.entries()) validatePort(port, ports.length > 1, at.at("ports").index(i));
    }
  });
}

function validateOne({ ip = "", hostname, nodeName }: EndpointAddress, field: Field): void {
  validateAddress(ip, field.at("ip"));
  if (hostname) field.at("hostname").invalidEach(hostname, isDns1123Label(hostname));
  if (nodeName !== undefined) field.at("nodeName").invalidEach(nodeName, isDns1123Subdomain(nodeName));
  validateEndpointAddress(ip, field.at("ip"));
}

function validatePort({ name, port = 0, protocol, appProtocol }: EndpointPort, needsName: boolean, field: Field): void {
  if (name) field.at("name").invalidEach(name, isDns1123Label(name));
  else if (needsName) field.at("name").required();
  field.at("port").invalidEach(port, isPortNumber(port));
  requiredOneOf(protocol, protocols, field.at("protocol"));
  if (appProtocol !== undefined) field.at("appProtocol").invalidEach(appProtocol, isQualifiedName(appProtocol));
}

export const endpoints: ResourceDeclaration<Endpoints> = {
  ref: endpointsRef,
  versions: [
    {
      version: "v1",
      served: true,
      deprecationWarning: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    },
  ],
  shortNames: ["ep"],
  columns: [nameColumn, column("Endpoints", addresses), ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    allowCreateOnUpdate: true,
    applyDefaults({ subsets }) {
      for (const { ports } of subsets ?? []) for (const port of ports ?? []) port.protocol ||= "TCP";
    },
    warnings: ({ subsets }) =>
      (subsets ?? []).flatMap((subset, index) =>
        (["addresses", "notReadyAddresses"] as const).flatMap((which) =>
          (subset[which] ?? []).flatMap(({ ip }, place) =>
            addressWarnings(ip, `subsets[${index}].${which}[${place}].ip`),
          ),
        ),
      ),
    validate,
    validateUpdate: (object, old) => (semanticEqual(object.subsets, old.subsets) ? [] : validate(object)),
  },
};
