import type { FieldError } from "#shared/api/errors.ts";
import type { Endpoint, EndpointHints, EndpointPort, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { isIPv6, validateAddress, validateCanonicalAddress, validateEndpointAddress } from "../validation/addresses.ts";
import { collect, type Field, immutable, requiredOneOf, semanticEqual } from "../validation/field.ts";
import { isDns1123Label, isDns1123Subdomain, isLabelValue, isQualifiedName } from "../validation/names.ts";
import { protocols } from "../validation/ports.ts";

const maxAddresses = 100;
const maxPorts = 20_000;
const maxEndpoints = 1000;
const maxHints = 8;

/** SetDefaults_EndpointPort. */
export function applyEndpointSliceDefaults({ ports = [] }: EndpointSlice): void {
  for (const port of ports) {
    port.name ??= "";
    port.protocol ??= "TCP";
  }
}

export const validateEndpointSlice = (slice: EndpointSlice, old?: Readonly<EndpointSlice>): FieldError[] =>
  collect((root) => {
    requiredOneOf(slice.addressType, ["FQDN", "IPv4", "IPv6"], root.at("addressType"));
    validatePorts(slice.ports ?? [], root.at("ports"));
    const { field, errors } = root.at("endpoints").apart();
    validateEndpoints(slice.endpoints ?? [], slice.addressType, field);
    if (old === undefined || !semanticEqual(slice.endpoints, old.endpoints)) root.addAll(errors);
    if (old !== undefined) immutable(slice.addressType, old.addressType, root.at("addressType"));
  });

function validatePorts(ports: readonly EndpointPort[], field: Field): void {
  if (ports.length > maxPorts) {
    field.tooMany(ports.length, maxPorts);
    return;
  }
  const names = new Set<string>();
  for (const [index, { name = "", protocol, appProtocol }] of ports.entries()) {
    const at = field.index(index);
    if (name !== "") at.at("name").invalidEach(name, isDns1123Label(name));
    if (names.has(name)) at.at("name").duplicate(name);
    names.add(name);
    if (protocol === undefined) at.at("protocol").required();
    else if (!protocols.some((each) => each === protocol)) at.at("protocol").notSupported(protocol, protocols);
    if (appProtocol !== undefined) at.at("appProtocol").invalidEach(appProtocol, isQualifiedName(appProtocol));
  }
}

function validateEndpoints(endpoints: readonly Endpoint[], type: string, field: Field): void {
  if (endpoints.length > maxEndpoints) {
    field.tooMany(endpoints.length, maxEndpoints);
    return;
  }
  for (const [index, endpoint] of endpoints.entries()) {
    const at = field.index(index);
    validateAddresses(endpoint.addresses ?? [], type, at.at("addresses"));
    const { nodeName, hostname, hints } = endpoint;
    if (nodeName !== undefined) at.at("nodeName").invalidEach(nodeName, isDns1123Subdomain(nodeName));
    if (hostname !== undefined) at.at("hostname").invalidEach(hostname, isDns1123Label(hostname));
    if (hints) validateHints(hints, at.at("hints"));
  }
}

function validateAddresses(addresses: readonly string[], type: string, field: Field): void {
  if (addresses.length === 0) field.required("must contain at least 1 address");
  else if (addresses.length > maxAddresses) field.tooMany(addresses.length, maxAddresses);
  for (const [index, address] of addresses.entries()) {
    const at = field.index(index);
    if (type === "FQDN") validateDomainName(address, at);
    if (type !== "IPv4" && type !== "IPv6") continue;
    const { field: apart, errors } = at.apart();
    if (type === "IPv4") validateAddress(address, apart);
    else validateCanonicalAddress(address, apart);
    at.addAll(errors);
    if (errors.length > 0) continue;
    if (isIPv6(address) !== (type === "IPv6")) field.invalid(address, `must be an ${type} address`);
    validateEndpointAddress(address, at);
  }
}

/** IsFullyQualifiedDomainName of apimachinery. */
function validateDomainName(text: string, field: Field): void {
  if (text === "") {
    field.required();
    return;
  }
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  const errors = isDns1123Subdomain(name);
  field.invalidEach(name, errors);
  if (errors.length > 0) return;
  if (name.split(".").length < 2)
    field.invalid(name, "should be a domain with at least two segments separated by dots");
  else for (const label of name.split(".")) field.invalidEach(label, isDns1123Label(label));
}

function validateHints({ forZones = [], forNodes = [] }: EndpointHints, field: Field): void {
  if (forZones.length > maxHints) {
    field.at("forZones").tooMany(forZones.length, maxHints);
    return;
  }
  validateNames(forZones, isLabelValue, field.at("forZones"));
  if (forNodes.length > maxHints) field.at("forNodes").tooMany(forNodes.length, maxHints);
  else validateNames(forNodes, isDns1123Subdomain, field.at("forNodes"));
}

function validateNames(
  named: readonly { readonly name: string }[],
  check: (name: string) => string[],
  field: Field,
): void {
  const seen = new Set<string>();
  for (const [index, { name }] of named.entries()) {
    const at = field.index(index).at("name");
    if (seen.has(name)) at.duplicate(name);
    seen.add(name);
    at.invalidEach(name, check(name));
  }
}
