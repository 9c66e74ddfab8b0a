import { describe, expect, test } from "bun:test";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { type ClusterView, lookUp } from "./cluster-records.ts";

const service = (name: string, spec: object): Service =>
  ({ metadata: { namespace: "shop", name }, spec }) as unknown as Service;
const services = [
  service("web", {
    clusterIP: "10.43.0.7",
    clusterIPs: ["10.43.0.7", "fd00:43::7"],
    ports: [
      { name: "http", port: 80 },
      { name: "https", port: 443 },
      { name: "dns", port: 53, protocol: "UDP" },
    ],
  }),
  service("db", { clusterIP: "None", clusterIPs: ["None"], ports: [{ name: "pg", port: 5432 }] }),
  service("portless", { clusterIP: "None", clusterIPs: ["None"] }),
  service("idle", { clusterIP: "None", clusterIPs: ["None"], ports: [{ name: "http", port: 80 }] }),
  service("alias", { type: "ExternalName", externalName: "web.shop.svc.cluster.local." }),
  service("address", { type: "ExternalName", externalName: "192.0.2.9" }),
  service("names", { clusterIP: "10.43.0.10", clusterIPs: ["10.43.0.10"], ports: [{ name: "dns", port: 53 }] }),
];
const slice = (owner: string, endpoints: object[], ports: object[]): EndpointSlice =>
  ({
    metadata: { namespace: "shop", name: `${owner}-1`, labels: { "kubernetes.io/service-name": owner } },
    endpoints,
    ports,
  }) as unknown as EndpointSlice;
const slices = [
  slice(
    "web",
    [{ addresses: ["10.42.9.1"] }, { addresses: ["10.42.9.2"], hostname: "w2" }],
    [{ name: "http", port: 8080 }],
  ),
  slice(
    "db",
    [
      { addresses: ["10.42.1.5"], hostname: "db-0" },
      { addresses: ["10.42.2.5"] },
      { addresses: ["10.42.2.11"], hostname: "db-2", conditions: { ready: false, serving: true, terminating: true } },
      { addresses: ["fd00:42::"] },
    ],
    [{ name: "pg", port: 5432, protocol: "TCP" }],
  ),
  slice("portless", [{ addresses: ["10.42.4.5"], hostname: "h-0" }], []),
  slice("gone", [{ addresses: ["10.42.10.5"], hostname: "l-0" }], [{ name: "http", port: 80 }]),
];
const ownerOf = ({ metadata }: EndpointSlice): string | undefined => metadata.labels?.["kubernetes.io/service-name"];
const view: ClusterView = {
  isUsable: () => true,
  usable: Promise.resolve(),
  service: (namespace, name) =>
    services.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name),
  hasNamespace: (namespace) => namespace === "shop",
  slices: (_, owner) => slices.filter((each) => ownerOf(each) === owner),
  serviceByIp: (ip) => services.find(({ spec }) => spec?.clusterIPs?.includes(ip)),
  slicesByAddress: (ip) => slices.filter(({ endpoints }) => endpoints?.some(({ addresses }) => addresses.includes(ip))),
};
const zone = { domain: "cluster.local", addresses: ["10.43.0.10"], ttl_s: 5 };

/** "unknown", "elsewhere", or what the records say. */
function ask(name: string, type = "A"): unknown {
  const found = lookUp(view, zone, /arpa$|local$/.test(name) ? name : `${name}.cluster.local`, type);
  if (!found) return "elsewhere";
  return found.exists ? found.records.map(({ data }) => data) : "unknown";
}

// What CoreDNS 1.13.1 answered about the same objects.
describe("the cluster's names are those of CoreDNS", () => {
  test("endpoints have names under every Service, their ports have addresses, and the port's label may be left out", () => {
    expect(ask("10-42-9-1.web.shop.svc")).toEqual(["10.42.9.1"]);
    expect(ask("w2.web.shop.svc")).toEqual(["10.42.9.2"]);
    expect(ask("_http._tcp.web.shop.svc")).toEqual(["10.43.0.7"]);
    expect(ask("_http._tcp.web.shop.svc", "AAAA")).toEqual(["fd00:43::7"]);
    expect(ask("_pg._tcp.db.shop.svc")).toEqual(["10.42.1.5", "10.42.2.5"]);
    expect(ask("_._tcp.web.shop.svc")).toEqual(["10.43.0.7"]);
    expect(ask("_dns._tcp.web.shop.svc")).toBe("unknown");
    expect(ask("a._http._tcp.web.shop.svc")).toBe("unknown");
    expect(ask("fd00-42--0.db.shop.svc", "AAAA")).toEqual(["fd00:42::"]);
  });
  test("SRV of a Service's own name has all its ports", () => {
    const target = "web.shop.svc.cluster.local";
    expect(ask("web.shop.svc", "SRV")).toEqual(
      [80, 443, 53].map((port) => ({ priority: 0, weight: 16, port, target })),
    );
    expect(ask("db-0.db.shop.svc", "SRV")).toEqual([
      { priority: 0, weight: 100, port: 5432, target: "db-0.db.shop.svc.cluster.local" },
    ]);
  });
  test("a headless Service without ports has addresses and no SRV; one without ready endpoints is unknown", () => {
    expect(ask("portless.shop.svc")).toEqual(["10.42.4.5"]);
    expect(ask("portless.shop.svc", "SRV")).toEqual([]);
    expect(ask("idle.shop.svc")).toBe("unknown");
  });
  test("an alias is an answer to who asks for addresses or for it", () => {
    for (const type of ["A", "AAAA", "CNAME"])
      expect(ask("alias.shop.svc", type)).toEqual(["web.shop.svc.cluster.local"]);
    for (const type of ["SRV", "TXT", "MX", "ANY"]) expect(ask("alias.shop.svc", type)).toEqual([]);
    expect(ask("address.shop.svc")).toBe("unknown");
    expect(ask("_http._tcp.alias.shop.svc")).toBe("unknown");
  });
  test("ANY is a type that is not there", () => {
    expect(ask("web.shop.svc", "ANY")).toEqual([]);
  });
  test("a pod's name is an address or nothing", () => {
    for (const name of ["10-42-1-256", "010-42-1-5", "1-2-3", "1-2-3-4-5", "-1-2-3-4", "12345--1", "fe80--1%eth0", "p"])
      expect(ask(`${name}.shop.pod`)).toBe("unknown");
    expect(ask("--1.shop.pod", "AAAA")).toEqual(["::1"]);
    expect(ask("10-42-1-5.nowhere.pod")).toBe("unknown");
    expect(ask("shop.pod")).toEqual([]);
  });
  test("the zone has an authority and a name server", () => {
    expect(ask("cluster.local", "SOA")).toHaveLength(1);
    expect(ask("cluster.local", "NS")).toEqual(["names.shop.svc.cluster.local"]);
    expect(ask("ns.dns")).toEqual(["10.43.0.10"]);
    expect(lookUp(view, zone, "cluster.local", "NS")?.additional).toMatchObject([{ type: "A", data: "10.43.0.10" }]);
    expect(lookUp(view, zone, "dns-version.cluster.local", "TXT")?.records).toMatchObject([{ ttl: 28_800 }]);
  });
  test("every ready endpoint's address has a name; what is not asked by PTR is asked elsewhere", () => {
    expect(ask("1.9.42.10.in-addr.arpa", "PTR")).toEqual(["10-42-9-1.web.shop.svc.cluster.local"]);
    expect(ask("5.2.42.10.in-addr.arpa", "PTR")).toEqual(["10-42-2-5.db.shop.svc.cluster.local"]);
    expect(ask("5.10.42.10.in-addr.arpa", "PTR")).toEqual(["l-0.gone.shop.svc.cluster.local"]);
    expect(ask("11.2.42.10.in-addr.arpa", "PTR")).toBe("elsewhere");
    for (const type of ["A", "ANY", "TXT"]) expect(ask("7.0.43.10.in-addr.arpa", type)).toBe("elsewhere");
  });
  test("an empty name above others is there", () => {
    for (const name of ["cluster.local", "svc", "pod", "shop.svc", "_tcp.web.shop.svc"]) expect(ask(name)).toEqual([]);
    for (const name of ["nowhere.svc", "shop", "_udp.db.shop.svc"]) expect(ask(name)).toBe("unknown");
  });
});
