/** Services, policies, names and Ingresses of which a hand in the store has made one odd: a board serves all others. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { encode } from "dns-packet";
import { IpSets, Iptables, renderChanges, renderSetChanges } from "node-iptables";
import { typeName, writeAnswer } from "#agent/dns/answer.ts";
import { lookUp } from "#agent/dns/cluster-records.ts";
import { readQuery } from "#agent/dns/message.ts";
import { backendOf } from "#agent/ingress/backends.ts";
import { RoutingTable } from "#agent/ingress/routes.ts";
import { planPolicies } from "#agent/network-policy/plan.ts";
import { policyPod } from "#agent/network-policy/policy-pod.ts";
import { correctedSlice } from "#agent/proxy/board-endpoints.ts";
import { serviceHealth } from "#agent/proxy/health-checks.ts";
import { IptablesMode } from "#agent/proxy/iptables/iptables-mode.ts";
import { ServicePortCache } from "#agent/proxy/service-ports.ts";
import { planPortals } from "#agent/proxy/userspace/portals.ts";
import type { Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { Ingress, NetworkPolicy } from "#shared/api/types/networking-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";
import { canMakeNamespaces, makeNamespace, type TestNamespace } from "../support/namespace.ts";
import { type OddVariant, oddVariants } from "./odd-fields.ts";

setDefaultTimeout(300_000);
const node = { name: "pi-1", zone: "a" };
/** The identity of an object stays, and which Service a slice belongs to: else it is simply another one. */
const identity = /^(apiVersion|kind|metadata|metadata\.(name|namespace|uid|labels.*))$/;

const families = {
  IPv4: {
    cluster: "10.42.0.0/16",
    range: "10.43.0.0/16",
    ips: ["10.43.0.7", "203.0.113.7", "203.0.113.8"],
    source: "198.51.100.0/24",
    pod: "10.42.1.5",
    good: { ip: "10.43.0.250", pod: "10.42.1.250" },
    program: "iptables",
    block: { cidr: "192.0.2.0/24", except: ["192.0.2.128/25"] },
  },
  IPv6: {
    cluster: "fd42::/56",
    range: "fd43::/112",
    ips: ["fd43::7", "2001:db8::7", "2001:db8::8"],
    source: "2001:db8:1::/64",
    pod: "fd42::5",
    good: { ip: "fd43::fa", pod: "fd42::fa" },
    program: "ip6tables",
    block: { cidr: "2001:db8:2::/64", except: ["2001:db8:2::/80"] },
  },
} as const;

function service(family: IpFamily): Service {
  const [clusterIP, externalIP, balancer] = families[family].ips;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "odd", namespace: "odd" },
    spec: {
      type: "LoadBalancer",
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: [family],
      ipFamilyPolicy: "SingleStack",
      externalIPs: [externalIP],
      externalTrafficPolicy: "Local",
      internalTrafficPolicy: "Cluster",
      healthCheckNodePort: 32_000,
      loadBalancerSourceRanges: [families[family].source],
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
      ports: [{ name: "http", protocol: "TCP", port: 80, nodePort: 30_080, targetPort: 8080 }],
    },
    status: { loadBalancer: { ingress: [{ ip: balancer, ipMode: "VIP" }] } },
  };
}

const slice = (family: IpFamily): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "odd-1", namespace: "odd", labels: { "kubernetes.io/service-name": "odd" } },
  addressType: family,
  ports: [{ name: "http", protocol: "TCP", port: 8080 }],
  endpoints: [
    {
      addresses: [families[family].pod],
      conditions: { ready: true, serving: true, terminating: false },
      hostname: "odd-0",
      nodeName: "pi-1",
      zone: "a",
      hints: { forZones: [{ name: "a" }], forNodes: [{ name: "pi-1" }] },
      targetRef: { kind: "Pod", namespace: "odd", name: "odd-0", uid: "u" },
    },
  ],
});

/** One Service with its slices, of which something is odd. */
interface OddService {
  readonly how: string;
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
}

function oddServices(family: IpFamily): OddService[] {
  const plain = { service: service(family), slices: [slice(family)] };
  const all = [
    ...[...oddVariants(plain.service, identity)].map(({ how, object }) => ({ ...plain, how, service: object })),
    ...[...oddVariants(slice(family), identity)].map(({ how, object }) => ({ ...plain, how, slices: [object] })),
  ];
  return all.map(({ how, service, slices }, index) => ({
    how,
    slices,
    service: { ...service, metadata: { ...service.metadata, name: `odd-${index}` } },
  }));
}

function goodService(family: IpFamily): OddService {
  const { ip, pod } = families[family].good;
  const plain = service(family);
  const [first] = slice(family).endpoints ?? [];
  return {
    how: "good",
    service: {
      ...plain,
      metadata: { name: "good", namespace: "shop" },
      spec: {
        ports: [{ name: "http", protocol: "TCP", port: 80 }],
        clusterIP: ip,
        clusterIPs: [ip],
        type: "ClusterIP",
      },
      status: {},
    },
    slices: [{ ...slice(family), endpoints: first ? [{ ...first, addresses: [pod] }] : [] }],
  };
}

describe.skipIf(!canMakeNamespaces())("on a kernel", () => {
  let board: TestNamespace;
  beforeAll(() => {
    board = makeNamespace();
  });
  afterAll(() => board?.remove());

  for (const family of ["IPv4", "IPv6"] as const) {
    const { cluster, range, good, program, block, pod } = families[family];

    test(`${family}: rules of a Service stand beside those of odd ones, which are told once`, async () => {
      const odd = oddServices(family);
      const all = [...odd, goodService(family)];
      expect(odd.length).toBeGreaterThan(200);
      const slicesOf = new Map(all.map((each) => [each.service, each.slices]));
      const told: string[] = [];
      const cache = new ServicePortCache((of, leftOut) => told.push(`${of.metadata.name}: ${leftOut}`));
      const ports = async () =>
        cache.servicePorts(
          all.map((each) => each.service),
          (of) => slicesOf.get(of) ?? [],
          node,
          family,
        );
      const network = { family, clusterCidr: cluster, serviceCidrs: [range], ownClusterIps: new Set<string>() };
      const mode = new IptablesMode({ network, log: silentLog, commandPrefix: board.prefix });
      const planned = await ports();
      await mode.apply(planned);
      const saved = board.run("sh", "-c", `${program}-save -t nat | grep shop/good`);
      expect(saved).toContain(`-d ${good.ip}/${family === "IPv4" ? 32 : 128} -p tcp`);
      expect(saved).toContain(family === "IPv4" ? `${good.pod}:8080` : `[${good.pod}]:8080`);
      expect(planPortals(planned, []).portals.length).toBeGreaterThan(planned.length);

      const count = told.length;
      expect(count).toBeGreaterThan(20);
      expect(told.every((line) => line.length < 2_000)).toBe(true);
      // Something else of each changes: what was told before is not told again.
      for (const each of all)
        slicesOf.set(
          each.service,
          each.slices.map((one) => ({ ...one })),
        );
      await ports();
      expect(told).toHaveLength(count);
    });

    test(`${family}: health checks and the board's own view of odd Services and slices`, () => {
      const all = oddServices(family);
      const slicesOf = new Map(all.map((each) => [each.service, each.slices]));
      const health = serviceHealth(
        all.map((each) => each.service),
        (of) => slicesOf.get(of) ?? [],
        node.name,
      );
      expect([...health.keys()]).toEqual([32_000, ...[65_535].filter((port) => health.has(port))]);
      const view = { nodeName: node.name, isAway: true, ownPod: () => ({ ips: [pod], ready: true }) };
      for (const { slices } of all) for (const each of slices) correctedSlice(each, view, false);
    });

    test(`${family}: a pod is isolated by its policies beside odd ones`, async () => {
      const base = policy(block);
      const odd = [...oddVariants(base, identity)].map(({ object }, index) => named(object, `odd-${index}`));
      const long = named(base, "x".repeat(253));
      const strict: NetworkPolicy = {
        ...named(base, "good"),
        spec: {
          podSelector: {},
          policyTypes: ["Ingress", "Egress"],
          ingress: [{ from: [{ ipBlock: { ...block, except: [...block.except] } }] }],
        },
      };
      expect(odd.length).toBeGreaterThan(150);
      const pods = [...oddVariants(policed(pod), identity), { how: "good", object: policed(good.pod) }].flatMap(
        ({ object, how }, index) => {
          const found = policyPod({ ...object, metadata: { ...object.metadata, uid: `${index}` } }, node.name);
          return found ? [{ ...found, how }] : [];
        },
      );
      const namespaces = new Map([["odd", { team: "odd" }]]);
      const plan = planPolicies({ policies: [...odd, long, strict], pods, namespaces }, family);
      const sets = new IpSets(board.prefix);
      const iptables = new Iptables({ program, prefix: board.prefix });
      const changes = renderSetChanges(new Map(), plan.sets);
      await sets.restore(changes.before);
      await iptables.restore(renderChanges({}, { mangle: plan.chains }));
      const saved = board.run(`${program}-save`, "-t", "mangle");
      expect(saved).toMatch(new RegExp(`-d ${good.pod}/(32|128) -j BRAMBLE-IN-`));
      expect(saved).toContain("-j DROP");
      expect(plan.leftOut).toContain("of policy odd/odd-");
      expect(plan.leftOut).toMatch(/ and \d+ more$/);
    });
  }
});

const named = (policy: NetworkPolicy, name: string): NetworkPolicy => ({
  ...policy,
  metadata: { ...policy.metadata, name },
});

function policy(block: { readonly cidr: string; readonly except: readonly string[] }): NetworkPolicy {
  const peers = [
    { ipBlock: { cidr: block.cidr, except: [...block.except] } },
    { podSelector: { matchLabels: { app: "odd" } } },
    { namespaceSelector: { matchExpressions: [{ key: "team", operator: "In", values: ["odd"] }] } },
  ];
  const ports = [
    { protocol: "TCP", port: 80, endPort: 90 },
    { protocol: "UDP", port: "dns" },
  ];
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "odd", namespace: "odd" },
    spec: {
      podSelector: { matchLabels: { app: "odd" } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ from: peers, ports }],
      egress: [{ to: peers, ports }],
    },
  };
}

const policed = (ip: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "odd", namespace: "odd", labels: { app: "odd" } },
  spec: {
    nodeName: node.name,
    containers: [{ name: "c", image: "i", ports: [{ name: "dns", protocol: "UDP", containerPort: 53 }] }],
  },
  status: { phase: "Running", podIP: ip, podIPs: [{ ip }] },
});

test("an empty peer is none, and a rule whose ports are all unfit allows nothing", () => {
  const spec = {
    podSelector: {},
    ingress: [{ from: [{}] }, { ports: [{ protocol: "TCP", port: 70_000 }] }, { from: [{ ipBlock: { cidr: "odd" } }] }],
  };
  const policies = [{ ...policy({ cidr: "", except: [] }), spec }];
  const pods = [policyPod({ ...policed("10.42.1.5") }, node.name)].flatMap((pod) => pod ?? []);
  const { chains } = planPolicies({ policies, pods, namespaces: new Map() }, "IPv4");
  const [rules] = [...chains].filter(([name]) => name.startsWith("BRAMBLE-IN-")).map(([, rules]) => rules);
  expect(rules).toEqual([["-j", "DROP"]]);
});

test("names of odd Services and endpoints keep no other name from being answered", () => {
  const headless = { clusterIP: "None", clusterIPs: ["None"] };
  const kinds = oddServices("IPv4").flatMap((each): OddService[] => [
    each,
    { ...each, service: { ...each.service, spec: { ...each.service.spec, ...headless } } },
    { ...each, service: { ...each.service, spec: { type: "ExternalName", externalName: "a..b" } } },
  ]);
  for (const { how, service, slices } of kinds) {
    // Of a good endpoint beside the odd one there is always a record.
    const [extra] = goodService("IPv4").slices;
    const all = [...slices, ...(extra ? [extra] : [])];
    const view = {
      isUsable: () => true,
      usable: Promise.resolve(),
      service: () => service,
      hasNamespace: () => true,
      slices: () => all,
      serviceByIp: () => undefined,
      slicesByAddress: () => all,
    };
    const zone = { domain: "cluster.local", addresses: [], ttl_s: 5 };
    for (const [name, type] of [
      ["odd.odd.svc.cluster.local", "A"],
      ["odd.odd.svc.cluster.local", "SRV"],
      ["_http._tcp.odd.odd.svc.cluster.local", "SRV"],
      ["5.1.42.10.in-addr.arpa", "PTR"],
    ] as const) {
      const query = readQuery(encode({ type: "query", id: 1, questions: [{ type, name }] }) as Buffer);
      if (!query || "refused" in query) throw new Error(`${name} cannot be asked`);
      expect(typeName(query.type)).toBe(type);
      const found = lookUp(view, zone, name, type);
      const timed = (found?.records ?? []).map((record) => ({ ttl: 5, ...record }));
      const additional = (found?.additional ?? []).map((record) => ({ ttl: 5, ...record }));
      const bytes = writeAnswer(query, { code: 0, answers: timed, additional });
      expect(bytes.length, how).toBeGreaterThan(12);
      const isHeadless = service.spec?.clusterIPs?.includes("None");
      if (isHeadless && service.spec?.type !== "ExternalName" && type === "A")
        expect(
          timed.map(({ data }) => data),
          how,
        ).toContain("10.42.1.250");
    }
  }
});

const ingress = (name: string): Ingress => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "Ingress",
  metadata: { name, namespace: "odd", uid: name, creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: {
    ingressClassName: "bramble",
    defaultBackend: { service: { name: "odd", port: { number: 80 } } },
    tls: [{ hosts: ["odd.test"], secretName: "odd" }],
    rules: [
      {
        host: "odd.test",
        http: {
          paths: [{ path: "/odd", pathType: "Prefix", backend: { service: { name: "odd", port: { name: "http" } } } }],
        },
      },
    ],
  },
});

test("an Ingress is served beside odd ones, from odd slices too", () => {
  const plain = ingress("good");
  const [rule] = plain.spec.rules ?? [];
  const good = { ...plain, spec: { ...plain.spec, tls: [], rules: [{ ...rule, host: "good.test" }] } };
  const odd: OddVariant<Ingress>[] = [...oddVariants(ingress("odd"), identity)];
  const table = new RoutingTable([...odd.map(({ object }) => object), good]);
  const reference = table.match("good.test", "/odd/x");
  expect(reference).toEqual({ namespace: "odd", service: "odd", port: "http" });
  if (!reference) return;
  const [extra] = goodService("IPv4").slices;
  for (const { how, service, slices } of oddServices("IPv4")) {
    const backend = backendOf(reference, service, [...slices, ...(extra ? [extra] : [])]);
    for (const { ip, port } of backend?.endpoints ?? []) {
      expect(ip, how).toMatch(/^[0-9a-f.:]+$/);
      expect(port, how).toBeGreaterThan(0);
    }
  }
});
