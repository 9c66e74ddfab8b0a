import { isIP, isIPv4 } from "node:net";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { canonicalAddress } from "#shared/board/cidr.ts";
import { recordTypeOf } from "./record-type.ts";

/** What the cluster's names are made of. */
export interface ClusterView {
  /** It is known what there is: without, a name that is not found may well exist. */
  isUsable(): boolean;
  /** Resolves once that is so; rejects when it will never be. */
  readonly usable: Promise<void>;
  service(namespace: string, name: string): Service | undefined;
  hasNamespace(namespace: string): boolean;
  slices(namespace: string, service: string): readonly EndpointSlice[];
  serviceByIp(ip: string): Service | undefined;
  slicesByAddress(ip: string): readonly EndpointSlice[];
}

export type RecordData =
  | { readonly type: "A" | "AAAA"; readonly name: string; readonly data: string }
  | { readonly type: "CNAME" | "PTR" | "NS"; readonly name: string; readonly data: string }
  | { readonly type: "TXT"; readonly name: string; readonly data: string; readonly ttl: number }
  | {
      readonly type: "SOA";
      readonly name: string;
      readonly data: { readonly mname: string; readonly rname: string; readonly minimum_s: number };
    }
  | {
      readonly type: "SRV";
      readonly name: string;
      readonly data: {
        readonly priority: number;
        readonly weight: number;
        readonly port: number;
        readonly target: string;
      };
    };

/** The cluster's zone, the addresses at which this server is asked, and for how long its answers hold. */
export interface ClusterZone {
  readonly domain: string;
  readonly addresses: readonly string[];
  readonly ttl_s: number;
}

/**
 * `undefined`: the name is outside the cluster's zones. `exists` with no records means that the name is there with other
 * types (NODATA), not that it is unknown (NXDOMAIN).
 */
export type Lookup = {
  readonly exists: boolean;
  readonly records: readonly RecordData[];
  readonly additional: readonly RecordData[];
};

/** What a name leads to, whatever type is asked for. */
type Found =
  | { readonly kind: "unknown" }
  /** It is there, with no records of the types that lead somewhere. */
  | { readonly kind: "empty" }
  | { readonly kind: "alias"; readonly target: string }
  | { readonly kind: "targets"; readonly targets: readonly Target[] };

/** One address and port that a Service's names lead to: of its cluster address, or of an endpoint. */
interface Target {
  readonly host: string;
  readonly ip: string;
  /** undefined: an endpoint without ports. */
  readonly port?: number | undefined;
}

/** What stands before a Service's name: an endpoint's, or a port and its protocol; "" is any. */
interface Part {
  readonly endpoint: string;
  readonly port: string;
  readonly protocol: string;
}

const unknown: Found = { kind: "unknown" };
const empty: Found = { kind: "empty" };
/** The specification that the names follow changes never while a cluster runs. */
const versionTtl_s = 28_800;

/** Records of one name, by the Kubernetes DNS specification 1.1.0 and as CoreDNS reads it. `name` is in lower case without the final dot. */
export function lookUp(view: ClusterView, zone: ClusterZone, name: string, type: string): Lookup | undefined {
  // Of the reverse zones only the addresses of the cluster are its own.
  if (name.endsWith(".in-addr.arpa") || name.endsWith(".ip6.arpa"))
    return type === "PTR" ? lookUpAddress(view, zone.domain, name) : undefined;
  if (name === zone.domain) return lookUpApex(view, zone, type);
  if (!name.endsWith(`.${zone.domain}`)) return undefined;
  const labels = name.slice(0, -zone.domain.length - 1).split(".");
  if (labels.length === 1 && labels[0] === "dns-version")
    return answer(type === "TXT" ? [{ type: "TXT", name, data: "1.1.0", ttl: versionTtl_s }] : []);
  if (name === defaultNameServer(zone.domain)) return answer(addressesOf(ownTargets(view, zone), name, type));
  return recordsOf(find(view, zone.domain, labels), name, type);
}

function answer(records: readonly RecordData[], additional: readonly RecordData[] = []): Lookup {
  return { exists: true, records, additional };
}

function find(view: ClusterView, domain: string, labels: readonly string[]): Found {
  const [root, namespace, name, ...more] = labels.toReversed();
  if (root !== "svc" && root !== "pod") return unknown;
  if (namespace === undefined) return empty;
  if (!view.hasNamespace(namespace)) return unknown;
  if (name === undefined) return empty;
  if (root === "pod") return more.length > 0 ? unknown : findPod(name);
  return findService(view, domain, namespace, name, more);
}

/** `10-42-1-5.namespace.pod.DOMAIN`: the address is in the name. */
function findPod(name: string): Found {
  const isV4 = !name.includes("--") && name.split("-").length === 4;
  const ip = name.replaceAll("-", isV4 ? "." : ":");
  // A zone behind an address, `%eth0`, is no part of it here.
  const isAddress = /^[0-9a-f.:]+$/.test(ip) && isIP(ip) !== 0;
  return isAddress ? { kind: "targets", targets: [{ host: "", ip }] } : unknown;
}

function findService(view: ClusterView, domain: string, namespace: string, name: string, before: string[]): Found {
  const service = view.service(namespace, name);
  if (!service?.spec || before.length > 2) return unknown;
  if (service.spec.type === "ExternalName") {
    const target = (service.spec.externalName ?? "").replace(/\.$/, "");
    // An address is no name.
    return before.length > 0 || !isName(target) || isIP(target) !== 0 ? unknown : { kind: "alias", target };
  }
  const part = partOf(before);
  const base = `${name}.${namespace}.svc.${domain}`;
  const targets = targetsOf(view, service, base, part);
  if (targets.length > 0) return { kind: "targets", targets };
  // Above the names of ports there is a name without records.
  const protocol = /^_(.+)$/.exec(part.endpoint)?.[1];
  const isAbovePorts = protocol && targetsOf(view, service, base, { ...part, endpoint: "", protocol }).length > 0;
  return isAbovePorts ? empty : unknown;
}

/** `endpoint`, or `_port._protocol` with the nearest label first. */
function partOf([first = "", second]: readonly string[]): Part {
  if (second === undefined) return { endpoint: first, port: "", protocol: "" };
  return { endpoint: "", port: second.replace(/^_/, ""), protocol: first.replace(/^_/, "") };
}

function targetsOf(view: ClusterView, service: Service, base: string, part: Part): Target[] {
  const { spec, metadata } = service;
  const fits = (port: { name?: string | undefined; protocol?: string | undefined }): boolean =>
    (part.port === "" || part.port === (port.name ?? "").toLowerCase()) &&
    (part.protocol === "" || part.protocol === (port.protocol ?? "TCP").toLowerCase());
  const said = spec?.clusterIPs ?? [spec?.clusterIP ?? ""];
  const ips = said.flatMap((ip) => canonicalAddress(ip) ?? []);
  if (!said.includes("None") && part.endpoint === "")
    return (spec?.ports ?? []).filter(fits).flatMap(({ port }) => ips.map((ip) => ({ host: base, ip, port })));
  return view.slices(metadata.namespace ?? "", metadata.name ?? "").flatMap((slice) => {
    const isAnyPort = part.port === "" && part.protocol === "";
    const ports = (slice.ports ?? []).filter(fits).map(({ port }) => port);
    return readyAddresses(slice)
      .filter(({ label }) => part.endpoint === "" || part.endpoint === label.toLowerCase())
      .flatMap(({ label, ip }) =>
        (slice.ports?.length || !isAnyPort ? ports : [undefined]).map((port) => ({
          host: `${label}.${base}`,
          ip,
          port,
        })),
      );
  });
}

/** Endpoints of which it is not known whether they are ready count. */
function readyAddresses({ endpoints }: EndpointSlice): { readonly label: string; readonly ip: string }[] {
  return (endpoints ?? [])
    .filter((endpoint) => endpoint.conditions?.ready !== false)
    .flatMap((endpoint) =>
      (endpoint.addresses ?? []).flatMap((said) => {
        const ip = canonicalAddress(said);
        return ip === undefined ? [] : [{ label: hostLabel(endpoint, ip), ip }];
      }),
    );
}

/** A label does not end in a hyphen. */
const hostLabel = ({ hostname }: Endpoint, ip: string): string =>
  hostname !== undefined && isLabel(hostname) ? hostname : ip.replace(/[.:]/g, "-").replace(/-$/, "-0");

const LONGEST_LABEL = 63;
const LONGEST_NAME = 253;
/** What can be written into an answer (RFC 1035, 2.3.4); a name that could not would leave the others of its answer unsaid. */
const isLabel = (text: string): boolean =>
  /^[\x21-\x7e]+$/.test(text) && !text.includes(".") && text.length <= LONGEST_LABEL;
const isName = (text: string): boolean => text.length <= LONGEST_NAME && text.split(".").every(isLabel);

/** ANY is answered like a type that is not there (RFC 8482). */
function recordsOf(found: Found, name: string, type: string): Lookup {
  switch (found.kind) {
    case "unknown":
      return { exists: false, records: [], additional: [] };
    case "empty":
      return answer([]);
    case "alias":
      return answer(["A", "AAAA", "CNAME"].includes(type) ? [{ type: "CNAME", name, data: found.target }] : []);
    case "targets":
      return type === "SRV" ? serviceRecords(found.targets, name) : answer(addressesOf(found.targets, name, type));
  }
}

const MOST_PORT = 65_535;

function serviceRecords(targets: readonly Target[], name: string): Lookup {
  const weight = Math.max(1, Math.floor(100 / targets.length));
  const records = new Map<string, RecordData>();
  const addresses = new Map<string, RecordData>();
  for (const { host, ip, port } of targets) {
    if (port === undefined || port < 0 || port > MOST_PORT) continue;
    records.set(`${host}:${port}`, { type: "SRV", name, data: { priority: 0, weight, port, target: host } });
    addresses.set(`${host}/${ip}`, { type: recordTypeOf(ip), name: host, data: ip });
  }
  return answer([...records.values()], [...addresses.values()]);
}

function addressesOf(targets: readonly Target[], name: string, type: string): RecordData[] {
  const unique = new Set(targets.map((target) => target.ip).filter((ip) => recordTypeOf(ip) === type));
  return [...unique].map((ip) => ({ type: recordTypeOf(ip), name, data: ip }));
}

const defaultNameServer = (domain: string): string => `ns.dns.${domain}`;

/** The cluster's DNS Service, by the address at which it is asked here. */
function ownTargets(view: ClusterView, { domain, addresses }: ClusterZone): Target[] {
  return addresses.flatMap((address): Target[] => {
    const { metadata, spec } = view.serviceByIp(address) ?? {};
    const host = metadata ? `${metadata.name}.${metadata.namespace}.svc.${domain}` : defaultNameServer(domain);
    return (spec?.clusterIPs ?? [address]).map((ip) => ({ host, ip }));
  });
}

function nameServers(view: ClusterView, zone: ClusterZone): Lookup {
  const targets = ownTargets(view, zone);
  const hosts = new Set(targets.map(({ host }) => host));
  return answer(
    [...hosts].map((data) => ({ type: "NS", name: zone.domain, data })),
    targets.map(({ host, ip }) => ({ type: recordTypeOf(ip), name: host, data: ip })),
  );
}

function lookUpApex(view: ClusterView, zone: ClusterZone, type: string): Lookup {
  if (type === "NS") return nameServers(view, zone);
  return answer(type === "SOA" ? [authorityOf(zone)] : []);
}

/** Negative answers carry it, so that clients know how long to believe them (RFC 2308). */
export function authorityOf({ domain, ttl_s }: ClusterZone): RecordData {
  const data = { mname: defaultNameServer(domain), rname: `hostmaster.${domain}`, minimum_s: ttl_s };
  return { type: "SOA", name: domain, data };
}

/** PTR of Services' addresses and of ready endpoints. Others are not ours to answer. */
function lookUpAddress(view: ClusterView, domain: string, name: string): Lookup | undefined {
  const ip = addressOf(name);
  if (ip === undefined) return undefined;
  const service = view.serviceByIp(ip);
  const baseOf = (namespace = "", serviceName = ""): string => `${serviceName}.${namespace}.svc.${domain}`;
  if (service) return answer([{ type: "PTR", name, data: baseOf(service.metadata.namespace, service.metadata.name) }]);
  const hosts = view.slicesByAddress(ip).flatMap((slice): string[] => {
    const { namespace, labels } = slice.metadata;
    const owner = labels?.["kubernetes.io/service-name"];
    if (owner === undefined) return [];
    return readyAddresses(slice)
      .filter((each) => each.ip === ip)
      .map(({ label }) => `${label}.${baseOf(namespace, owner)}`);
  });
  return hosts.length > 0 ? answer([...new Set(hosts)].map((data) => ({ type: "PTR", name, data }))) : undefined;
}

/** The address that a name of the reverse zones stands for, in the short form. */
export function addressOf(reverse: string): string | undefined {
  if (reverse.endsWith(".in-addr.arpa")) {
    const ip = reverse.slice(0, -".in-addr.arpa".length).split(".").reverse().join(".");
    return isIPv4(ip) ? ip : undefined;
  }
  if (!reverse.endsWith(".ip6.arpa")) return undefined;
  const nibbles = reverse.slice(0, -".ip6.arpa".length).split(".").reverse();
  if (nibbles.length !== 32 || nibbles.some((nibble) => !/^[0-9a-f]$/.test(nibble))) return undefined;
  const groups = Array.from({ length: 8 }, (_, index) => nibbles.slice(index * 4, index * 4 + 4).join(""));
  // The URL parser brings the address into the short form in which the API keeps it.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
