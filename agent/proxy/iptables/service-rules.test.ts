import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Iptables, nameHash, type Ruleset, renderChanges } from "node-iptables";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { serviceHealth } from "../health-checks.ts";
import type { ProxyNetwork } from "../proxy-mode.ts";
import { type ServicePort, servicePorts } from "../service-ports.ts";
import { parseFlows, staleFlows, udpFacts } from "./conntrack.ts";
import { portRules } from "./port-rules.ts";
import { isProxyChain, proxyHooks, serviceRules } from "./shared-rules.ts";

const network: ProxyNetwork = {
  family: "IPv4",
  clusterCidr: "10.42.0.0/16",
  serviceCidrs: ["10.43.0.0/16"],
  ownClusterIps: new Set(["10.43.0.10"]),
};

function service(spec: Partial<NonNullable<Service["spec"]>> = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "default", name: "web" },
    spec: { clusterIP: "10.43.0.7", ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }], ...spec },
  } as Service;
}

function slice(endpoints: EndpointSlice["endpoints"], protocol = "TCP"): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: "default", name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints,
    ports: [{ name: "http", port: 8080, protocol }],
  } as EndpointSlice;
}

const here = { addresses: ["10.42.1.5"], nodeName: "pi-1", conditions: { ready: true } };
const there = { addresses: ["10.42.2.5"], nodeName: "pi-2", conditions: { ready: true } };
const view = (service_: Service, ...slices: EndpointSlice[]): ServicePort[] =>
  servicePorts([service_], () => slices, { name: "pi-1", zone: "attic" }, "IPv4");
const allRules = (ports: readonly ServicePort[]): Ruleset =>
  serviceRules(
    ports.map((port) => portRules(port, network)),
    network,
  );
const text = (ports: readonly ServicePort[]): string => renderChanges({}, allRules(ports));
const ips = (ports: readonly ServicePort[]): string[] =>
  (ports[0]?.clusterEndpoints ?? []).map((endpoint) => endpoint.ip);

describe("endpoints", () => {
  test("ready ones serve; terminating ones only when nothing else does", () => {
    const leaving = { ...there, conditions: { ready: false, serving: true, terminating: true } };
    expect(ips(view(service(), slice([here, leaving])))).toEqual(["10.42.1.5"]);
    expect(ips(view(service(), slice([leaving])))).toEqual(["10.42.2.5"]);
    expect(ips(view(service(), slice([{ ...there, conditions: { ready: false } }])))).toEqual([]);
  });
  test("topology hints narrow them, unless one has none", () => {
    const near = { ...here, hints: { forZones: [{ name: "attic" }] } };
    const far = { ...there, hints: { forZones: [{ name: "cellar" }] } };
    expect(ips(view(service(), slice([near, far])))).toEqual(["10.42.1.5"]);
    expect(ips(view(service(), slice([near, there])))).toEqual(["10.42.1.5", "10.42.2.5"]);
  });
  test("headless and ExternalName Services have no rules", () => {
    expect(view(service({ clusterIP: "None" }))).toEqual([]);
    expect(view(service({ type: "ExternalName" }))).toEqual([]);
  });
});

describe("rules", () => {
  test("a port is spread evenly, and a hairpin is masqueraded", () => {
    const rules = text(view(service(), slice([here, there])));
    const hash = nameHash("default/web:http", "tcp");
    expect(rules).toContain(
      `-A KUBE-SERVICES -m comment --comment "default/web:http cluster IP" -p tcp -m tcp --dport 80 -d 10.43.0.7/32 -j KUBE-SVC-${hash}`,
    );
    expect(rules).toContain("--probability 0.5000000000");
    expect(rules).toContain("-s 10.42.1.5/32 -j KUBE-MARK-MASQ");
    expect(rules).toContain("--to-destination 10.42.2.5:8080");
  });
  test("without endpoints it is refused; with none here and policy Local it is dropped", () => {
    expect(text(view(service()))).toContain(
      '"default/web:http cluster IP" -p tcp -m tcp --dport 80 -d 10.43.0.7/32 -j REJECT',
    );
    expect(text(view(service({ internalTrafficPolicy: "Local" }), slice([there])))).toContain(
      "-d 10.43.0.7/32 -j DROP",
    );
  });
  test("a node port of policy Local keeps the client's address", () => {
    const ports = [{ name: "http", port: 80, nodePort: 30080, protocol: "TCP" }];
    const rules = text(
      view(service({ type: "NodePort", externalTrafficPolicy: "Local", ports }), slice([here, there])),
    );
    expect(rules).toMatch(/-A KUBE-EXT-\w+ -j KUBE-SVL-/);
    expect(rules).not.toMatch(/-A KUBE-SVL-\w+ .*KUBE-MARK-MASQ/);
  });
});

test("UDP flows to endpoints that are gone are stale, and those that began without any", () => {
  const udp = service({ ports: [{ name: "http", port: 53, nodePort: 30053, protocol: "UDP" }] });
  const line = (to: string, port: number, answeredBy: string): string =>
    `udp 17 25 src=10.42.9.9 dst=${to} sport=4711 dport=${port} src=${answeredBy} dst=10.42.9.9 sport=8080 dport=4711 [ASSURED] mark=0 use=1`;
  const flows = parseFlows(
    [
      line("10.43.0.7", 53, "10.42.1.5"),
      line("10.43.0.7", 53, "10.42.2.5"),
      line("192.168.1.7", 30053, "10.42.2.5"),
      // Another machine's port of that number is no Service.
      line("192.0.2.1", 30053, "192.0.2.1"),
      line("10.43.0.7", 53, "10.43.0.7"),
      "conntrack v1.4.7 (conntrack-tools): 5 flow entries have been shown.",
    ].join("\n"),
  );
  expect(flows).toHaveLength(5);
  expect(staleFlows(flows, view(udp, slice([here], "UDP")), ["192.168.1.7"])).toEqual(
    flows.filter((_, index) => [1, 2, 4].includes(index)),
  );
  expect(staleFlows(flows, view(udp, slice([here, there], "UDP")), ["192.168.1.7"])).toEqual(flows.slice(4));
});

test("UDP flows to a port of an endpoint that the Service no longer leads to are stale", () => {
  const udp = service({ ports: [{ name: "http", port: 53, nodePort: 30053, protocol: "UDP" }] });
  const flows = parseFlows(
    [8080, 9090]
      .map(
        (port) =>
          `udp 17 25 src=10.42.9.9 dst=192.168.1.7 sport=4711 dport=30053 src=10.42.1.5 dst=10.42.9.9 sport=${port} dport=4711 use=1`,
      )
      .join("\n"),
  );
  const ports = view(udp, slice([here], "UDP"));
  expect(ports[0]?.clusterEndpoints).toMatchObject([{ ip: "10.42.1.5", port: 8080 }]);
  expect(staleFlows(flows, ports, ["192.168.1.7"])).toEqual(flows.slice(1));
  const moved = ports.map((port) => ({ ...port, clusterEndpoints: [{ ip: "10.42.1.5", port: 9090, local: true }] }));
  expect(udpFacts(moved)).not.toBe(udpFacts(ports));
});

test("the health check port of a Service tells how many of its endpoints are here", () => {
  const balanced = service({ type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 32_000 });
  const health = (...slices: EndpointSlice[]): unknown => serviceHealth([balanced], () => slices, "pi-1").get(32_000);
  expect(health(slice([here, there]))).toEqual({
    namespace: "default",
    name: "web",
    localEndpoints: { IPv4: 1, IPv6: 0 },
  });
  expect(health(slice([there]))).toMatchObject({ localEndpoints: { IPv4: 0, IPv6: 0 } });
  expect(serviceHealth([service()], () => [], "pi-1").size).toBe(0);
});

test("addresses are what the API takes them for, and what is none costs nobody else his rules", () => {
  const odd = service({
    type: "LoadBalancer",
    externalIPs: ["010.1.2.3", "::ffff:198.51.100.7", "fd00::7"],
    loadBalancerSourceRanges: [" 010.0.0.0/08 "],
  });
  const [port] = view(
    odd,
    slice([
      { ...here, addresses: ["10.042.001.005"] },
      { ...there, addresses: ["none"] },
    ]),
  );
  expect(port).toMatchObject({
    externalIps: ["10.1.2.3", "198.51.100.7"],
    loadBalancerSourceRanges: ["10.0.0.0/8"],
    clusterEndpoints: [{ ip: "10.42.1.5" }],
  });
});

describe("the kernel", () => {
  const namespace = `proxy-${process.pid}`;
  const iptables = new Iptables({ prefix: ["nsenter", `--net=/run/netns/${namespace}`] });
  beforeAll(() => void Bun.spawnSync({ cmd: ["ip", "netns", "add", namespace] }));
  afterAll(() => void Bun.spawnSync({ cmd: ["ip", "netns", "del", namespace] }));

  test("takes every kind of rule, and none is left when they are withdrawn", async () => {
    const ports = view(
      service({
        type: "LoadBalancer",
        sessionAffinity: "ClientIP",
        externalTrafficPolicy: "Local",
        externalIPs: ["198.51.100.7"],
        loadBalancerSourceRanges: ["203.0.113.0/24"],
        ports: [{ name: "http", port: 80, nodePort: 30080, protocol: "TCP" }],
      }),
      slice([here, there]),
    ).map((port) => ({ ...port, loadBalancerIps: ["198.51.100.8"] }));
    const rules = allRules(ports);
    await iptables.restore(renderChanges({}, rules));
    for (const hook of proxyHooks) await iptables.ensureRule(hook.table, hook.chain, hook.rule, "first");
    expect((await iptables.chains("nat")).filter(isProxyChain).length).toBe(rules.nat?.size ?? 0);
    for (const hook of proxyHooks) await iptables.removeRule(hook.table, hook.chain, hook.rule);
    await iptables.restore(renderChanges(rules, {}));
    for (const table of ["nat", "filter"] as const) {
      expect((await iptables.chains(table)).filter(isProxyChain)).toEqual([]);
    }
  });
});

describe("settings of kube-proxy's", () => {
  const rulesIn = (more: Partial<ProxyNetwork>): string => {
    const set = { ...network, ...more };
    const ports = view(service({ type: "NodePort" }), slice([here]));
    return renderChanges(
      {},
      serviceRules(
        ports.map((port) => portRules(port, set)),
        set,
      ),
    );
  };
  const lines = (text: string, part: string): string[] => text.split("\n").filter((line) => line.includes(part));

  test("nodePortAddresses narrow where node ports are answered", () => {
    const found = lines(rulesIn({ nodePortCidrs: ["192.168.1.0/24", "10.0.0.1/32"] }), "-j KUBE-NODEPORTS");
    expect(found.map((line) => /-d (\S+)/.exec(line)?.[1])).toEqual(["192.168.1.0/24", "10.0.0.1/32"]);
  });

  test("localhostNodePorts: false spares the loopback", () => {
    expect(lines(rulesIn({}), "127.0.0.0/8 -j KUBE-NODEPORTS")).toEqual([]);
    expect(lines(rulesIn({ sparesLoopback: true }), "! -d 127.0.0.0/8 -j KUBE-NODEPORTS")).toHaveLength(1);
  });

  test("masqueradeAll hides every client", () => {
    expect(lines(rulesIn({}), "cluster IP")[0]).toContain("! -s 10.42.0.0/16");
    expect(lines(rulesIn({ masqueradesAll: true }), "! -s 10.42.0.0/16")).toEqual([]);
  });
});
