import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";

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
  | { readonly type: "CNAME" | "PTR"; readonly name: string; readonly data: string }
  | { readonly type: "TXT"; readonly name: string; readonly data: string }
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

/**
 * `undefined`: the name is outside the cluster's zones. `exists` with no records means that the name is there with other
 * types (NODATA), not that it is unknown (NXDOMAIN).
 */
export type Lookup = {
  readonly exists: boolean;
  readonly records: readonly RecordData[];
  readonly additional: readonly RecordData[];
};

const unknown: Lookup = { exists: false, records: [], additional: [] };

/** Records of one name, by the Kubernetes DNS specification 1.1.0. `name` is in lower case without the final dot. */
export function lookUp(view: ClusterView, domain: string, name: string, type: string): Lookup | undefined {
  if (name.endsWith(".in-addr.arpa") || name.endsWith(".ip6.arpa")) return lookUpAddress(view, domain, name);
  if (name === domain) return found([]);
  if (!name.endsWith(`.${domain}`)) return undefined;
  const labels = name.slice(0, -domain.length - 1).split(".");
  const root = labels.pop();
  if (root === "dns-version" && labels.length === 0)
    return found(ofType(type, "TXT", { type: "TXT", name, data: "1.1.0" }));
  if (root === "pod") return lookUpPod(view, labels, name, type);
  if (root === "svc") return lookUpService(view, domain, labels, name, type);
  return unknown;
}

function found(records: readonly RecordData[], additional: readonly RecordData[] = []): Lookup {
  return { exists: true, records, additional };
}

function ofType(asked: string, type: string, record: RecordData): RecordData[] {
  return asked === type || asked === "ANY" ? [record] : [];
}

/** `10-42-1-5.namespace.pod.DOMAIN`: the address is in the name. */
function lookUpPod(view: ClusterView, labels: readonly string[], name: string, type: string): Lookup {
  const [dashed, namespace] = labels.length === 2 ? labels : [undefined, labels[0]];
  if (labels.length > 2 || namespace === undefined || !view.hasNamespace(namespace))
    return labels.length === 0 ? found([]) : unknown;
  if (dashed === undefined) return found([]);
  const v4 = dashed.replaceAll("-", ".");
  if (isIpv4(v4)) return found(ofType(type, "A", { type: "A", name, data: v4 }));
  const v6 = dashed.replaceAll("-", ":");
  return /^[0-9a-f:]+$/.test(v6) && v6.includes(":")
    ? found(ofType(type, "AAAA", { type: "AAAA", name, data: v6 }))
    : unknown;
}

function lookUpService(view: ClusterView, domain: string, labels: string[], name: string, type: string): Lookup {
  const namespace = labels.pop();
  if (namespace === undefined) return found([]);
  const serviceName = labels.pop();
  if (serviceName === undefined) return view.hasNamespace(namespace) ? found([]) : unknown;
  const service = view.service(namespace, serviceName);
  if (!service?.spec) return unknown;
  const base = `${serviceName}.${namespace}.svc.${domain}`;
  const [first, second, ...more] = labels;

  if (service.spec.type === "ExternalName") {
    const target = service.spec.externalName;
    return first === undefined && target ? found([{ type: "CNAME", name, data: target.replace(/\.$/, "") }]) : unknown;
  }
  const targets = targetsOf(view, service, base);
  if (first === undefined) return found(addressesOf(targets, name, type), []);
  if (second === undefined) {
    const chosen = targets.filter((target) => target.host === `${first}.${base}`);
    if (chosen.length > 0) return found(addressesOf(chosen, name, type));
    return first.startsWith("_") && hasProtocol(targets, first) ? found([]) : unknown;
  }
  if (more.length > 0 || !first.startsWith("_") || !second.startsWith("_")) return unknown;
  const serving = targets.flatMap((target) =>
    target.ports
      .filter((port) => port.name === first.slice(1) && `_${port.protocol.toLowerCase()}` === second)
      .map(({ port }) => ({ target, port })),
  );
  if (serving.length === 0) return unknown;
  if (type !== "SRV" && type !== "ANY") return found([]);
  const weight = Math.max(1, Math.floor(100 / serving.length));
  const records = new Map(
    serving.map(({ target, port }): [string, RecordData] => [
      `${target.host}:${port}`,
      { type: "SRV", name, data: { priority: 0, weight, port, target: target.host } },
    ]),
  );
  const hosts = new Map(serving.map(({ target }) => [`${target.host}/${target.ip}`, target]));
  return found(
    [...records.values()],
    [...hosts.values()].flatMap((target) => addressesOf([target], target.host, "ANY")),
  );
}

/** One address that a Service's names lead to: its cluster address, or an endpoint of a headless one. */
interface Target {
  readonly host: string;
  readonly ip: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

function targetsOf(view: ClusterView, service: Service, base: string): Target[] {
  const { spec, metadata } = service;
  const ips = (spec?.clusterIPs ?? [spec?.clusterIP ?? ""]).filter((ip) => ip !== "");
  if (!ips.includes("None")) {
    const ports = (spec?.ports ?? []).map(({ name = "", protocol = "TCP", port }) => ({ name, protocol, port }));
    return ips.map((ip) => ({ host: base, ip, ports }));
  }
  return view.slices(metadata.namespace ?? "", metadata.name ?? "").flatMap((slice) => {
    const ports = (slice.ports ?? []).flatMap(({ name = "", protocol = "TCP", port }) =>
      port === undefined ? [] : [{ name, protocol, port }],
    );
    return (slice.endpoints ?? [])
      .filter((endpoint) => endpoint.conditions?.ready !== false)
      .flatMap((endpoint) =>
        (endpoint.addresses ?? []).map((ip) => ({ host: `${hostLabel(endpoint, ip)}.${base}`, ip, ports })),
      );
  });
}

const hostLabel = (endpoint: Endpoint, ip: string): string => endpoint.hostname ?? ip.replace(/[.:]/g, "-");

function hasProtocol(targets: readonly Target[], label: string): boolean {
  return targets.some((target) => target.ports.some((port) => `_${port.protocol.toLowerCase()}` === label));
}

function addressesOf(targets: readonly Target[], name: string, type: string): RecordData[] {
  const unique = new Set(targets.map((target) => target.ip));
  return [...unique].flatMap((ip) => {
    const own = ip.includes(":") ? "AAAA" : "A";
    return ofType(type, own, { type: own, name, data: ip });
  });
}

/** PTR of Services' addresses and of headless endpoints that have a host name. Others are not ours to answer. */
function lookUpAddress(view: ClusterView, domain: string, name: string): Lookup | undefined {
  const ip = addressOf(name);
  if (ip === undefined) return undefined;
  const service = view.serviceByIp(ip);
  const baseOf = (namespace = "", serviceName = ""): string => `${serviceName}.${namespace}.svc.${domain}`;
  if (service) return found([{ type: "PTR", name, data: baseOf(service.metadata.namespace, service.metadata.name) }]);
  const records = view.slicesByAddress(ip).flatMap((slice): RecordData[] => {
    const { namespace, labels } = slice.metadata;
    const owner = view.service(namespace ?? "", labels?.["kubernetes.io/service-name"] ?? "");
    if (owner?.spec?.clusterIP !== "None") return [];
    return (slice.endpoints ?? [])
      .filter((endpoint) => endpoint.hostname !== undefined && endpoint.addresses?.includes(ip))
      .map((endpoint) => ({
        type: "PTR",
        name,
        data: `${endpoint.hostname}.${baseOf(namespace, owner.metadata.name)}`,
      }));
  });
  return records.length > 0 ? found(records) : undefined;
}

function addressOf(reverse: string): string | undefined {
  if (reverse.endsWith(".in-addr.arpa")) {
    const ip = reverse.slice(0, -".in-addr.arpa".length).split(".").reverse().join(".");
    return isIpv4(ip) ? ip : undefined;
  }
  const nibbles = reverse.slice(0, -".ip6.arpa".length).split(".").reverse();
  if (nibbles.length !== 32 || nibbles.some((nibble) => !/^[0-9a-f]$/.test(nibble))) return undefined;
  const groups = Array.from({ length: 8 }, (_, index) => nibbles.slice(index * 4, index * 4 + 4).join(""));
  // The URL parser brings the address into the short form in which the API keeps it.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}
