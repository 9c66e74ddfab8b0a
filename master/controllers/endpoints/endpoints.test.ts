import { afterEach, describe, expect, test } from "bun:test";
import { endpointSlices, endpoints, nodes, pods, services } from "#shared/api/resources.ts";
import type { EndpointAddress, EndpointPort, Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { testNode, testPod } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { endpointGroups } from "./endpoint-groups.ts";
import { endpointSliceController } from "./endpoint-slice.ts";
import { endpointSliceMirroringController, groupsOf } from "./endpoint-slice-mirroring.ts";
import { endpointsController, endpointsOf } from "./endpoints.ts";
import { repackSubsets } from "./repack-subsets.ts";
import { planSlices } from "./slice-plan.ts";

const service = (name: string, spec: Service["spec"] = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default", labels: { own: "label" } },
  spec: {
    clusterIP: "10.43.0.9",
    clusterIPs: ["10.43.0.9"],
    ipFamilies: ["IPv4"],
    selector: { app: "web" },
    ports: [{ name: "http", port: 80, targetPort: "web", protocol: "TCP" }],
    ...spec,
  },
});
const webPod = (name: string, ip: string, ready = true, containerPort = 8080): Pod =>
  testPod(
    name,
    { nodeName: "a", containers: [{ name: "c", image: "i", ports: [{ name: "web", containerPort }] }] },
    {
      labels: { app: "web" },
      status: { podIP: ip, podIPs: [{ ip }], conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
    },
  );
const endpoint = (ip: string): Endpoint => ({ addresses: [ip], conditions: { ready: true } });
const slice = (name: string, ips: string[]): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name },
  addressType: "IPv4",
  ports: [],
  endpoints: ips.map(endpoint),
});

describe("planSlices", () => {
  const group = (ips: string[]) => [{ addressType: "IPv4", ports: [], endpoints: ips.map(endpoint) }];
  const families = new Set(["IPv4"]);

  test("leaves endpoints in their slices and fills those that change", () => {
    const existing = [slice("s1", ["1", "2"]), slice("s2", ["3", "4"])];
    const plan = planSlices(group(["1", "3", "4", "5", "6"]), existing, families, 2);
    expect(
      plan.update.map((one) => [one.slice.metadata.name, one.endpoints.map(({ addresses }) => addresses[0])]),
    ).toEqual([["s1", ["1", "5"]]]);
    expect(plan.keep.map(({ metadata }) => metadata.name)).toEqual(["s2"]);
    expect(plan.create.map((one) => one.endpoints.map(({ addresses }) => addresses[0]))).toEqual([["6"]]);
  });

  test("new endpoints go together into the slice that they make fullest, or into one of their own", () => {
    const sizesAfter = (added: number): unknown => {
      const ips = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`);
      const existing = [slice("s6", ips("a", 6)), slice("s9", ips("b", 9)), slice("s7", ips("c", 7))];
      const all = [...existing.flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses))];
      const { update, create } = planSlices(group([...all, ...ips("new", added)]), existing, families, 10);
      return {
        update: update.map((one) => [one.slice.metadata.name, one.endpoints.length]),
        create: create.map((one) => one.endpoints.length),
      };
    };
    expect(sizesAfter(1)).toEqual({ update: [["s9", 10]], create: [] });
    expect(sizesAfter(3)).toEqual({ update: [["s7", 10]], create: [] });
    expect(sizesAfter(4)).toEqual({ update: [["s6", 10]], create: [] });
    expect(sizesAfter(5)).toEqual({ update: [], create: [5] });
    expect(sizesAfter(12)).toEqual({ update: [["s7", 9]], create: [10] });
  });

  test("keeps one empty slice to say that there is nothing", () => {
    expect(planSlices([], [], families, 2).create).toEqual([{ addressType: "IPv4", ports: [], endpoints: [] }]);
    expect(planSlices([], [slice("s", [])], families, 2)).toMatchObject({ create: [], delete: [], update: [] });
    expect(planSlices(group(["1"]), [slice("s", [])], families, 2).update).toHaveLength(1);
  });

  test("a slice that is not needed becomes one that is, of its family of addresses", () => {
    const ports = [{ name: "", port: 80, protocol: "TCP" }];
    const wanted = [{ addressType: "IPv4", ports, endpoints: ["1", "2", "3"].map(endpoint) }];
    const existing = [slice("s", []), { ...slice("s6", []), addressType: "IPv6" }];
    const plan = planSlices(wanted, existing, families, 2);
    expect(plan.update).toEqual([{ slice: slice("s", []), endpoints: [endpoint("3")], ports }]);
    expect(plan.create).toEqual([{ addressType: "IPv4", ports, endpoints: [endpoint("1"), endpoint("2")] }]);
    expect(plan.delete.map(({ metadata }) => metadata.name)).toEqual(["s6"]);
  });
});

describe("endpoints of a Service", () => {
  test("conditions, ports by name, nodes and zones", () => {
    const node = testNode("a", { labels: { "topology.kubernetes.io/zone": "z" } });
    const terminating = webPod("t", "10.42.0.3");
    terminating.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    const pods = [
      webPod("r", "10.42.0.1"),
      webPod("n", "10.42.0.2", false),
      terminating,
      webPod("o", "10.42.0.4", true, 9090),
    ];
    const groups = endpointGroups(service("s", { trafficDistribution: "PreferClose" }), pods, () => node);
    expect(groups.map(({ ports }) => ports[0]?.port)).toEqual([8080, 9090]);
    expect(groups[0]?.endpoints.map(({ conditions }) => conditions)).toEqual([
      { ready: true, serving: true, terminating: false },
      { ready: false, serving: false, terminating: false },
      { ready: false, serving: true, terminating: true },
    ]);
    expect(groups[0]?.endpoints[0]).toMatchObject({ nodeName: "a", zone: "z", hints: { forZones: [{ name: "z" }] } });
    const all = endpointGroups(service("s", { publishNotReadyAddresses: true }), pods, () => node);
    expect(all[0]?.endpoints.map(({ conditions }) => conditions?.ready)).toEqual([true, true, true]);
  });

  test("the older Endpoints", () => {
    const terminating = webPod("t", "10.42.0.3");
    terminating.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    const { subsets, metadata } = endpointsOf(service("s"), [
      webPod("b", "10.42.0.2", false),
      webPod("a", "10.42.0.1"),
      terminating,
    ]);
    expect(subsets).toMatchObject([
      {
        addresses: [{ ip: "10.42.0.1", nodeName: "a", targetRef: { kind: "Pod", name: "a" } }],
        notReadyAddresses: [{ ip: "10.42.0.2" }],
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      },
    ]);
    expect(metadata.labels).toEqual({ own: "label", "endpoints.kubernetes.io/managed-by": "endpoint-controller" });
    const headless = endpointsOf(service("s", { clusterIP: "None", clusterIPs: ["None"], ports: [] }), [
      webPod("a", "10.42.0.1"),
    ]);
    expect(headless.subsets).toMatchObject([{ addresses: [{ ip: "10.42.0.1" }] }]);
    expect(headless.metadata.labels).toHaveProperty(["service.kubernetes.io/headless"], "");
  });
});

test("addresses that are none are left out of a mirror, and counted", () => {
  const subsets = [
    { addresses: [{ ip: "192.0.2.1" }, { ip: "nonsense" }, { ip: "2001:db8::1" }], ports: [{ port: 80 }] },
  ];
  const { groups, invalid } = groupsOf({ apiVersion: "v1", kind: "Endpoints", metadata: {}, subsets });
  expect(groups.map(({ addressType }) => addressType)).toEqual(["IPv4", "IPv6"]);
  expect(invalid).toBe(1);
});

describe("controllers", () => {
  let harness: Harness<RecordingClient>;
  afterEach(() => harness.stop());

  test("slices and Endpoints follow pods", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    await client.create(nodes, testNode("a"));
    await harness.run(endpointSliceController());
    await harness.run(endpointsController());
    await client.create(services, service("s"));
    await client.create(pods, webPod("p1", "10.42.0.1"));
    const addresses = async () =>
      (await client.list(endpointSlices)).items
        .flatMap((one) => one.endpoints.flatMap((each) => each.addresses))
        .sort();
    await eventually(async () => (await addresses()).join() === "10.42.0.1", "one address");
    await client.create(pods, webPod("p2", "10.42.0.2"));
    await eventually(async () => (await addresses()).join() === "10.42.0.1,10.42.0.2", "two addresses");
    const { items } = await client.list(endpointSlices);
    expect(items).toHaveLength(1);
    expect(items[0]?.metadata.labels).toEqual({
      own: "label",
      "kubernetes.io/service-name": "s",
      "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    });
    const old = async () => (await client.get(endpoints, { namespace: "default", name: "s" })).subsets?.[0]?.addresses;
    await eventually(async () => (await old())?.length === 2, "Endpoints");
    await client.delete(pods, { namespace: "default", name: "p1" }, { gracePeriodSeconds: 0 });
    await eventually(async () => (await addresses()).join() === "10.42.0.2", "one address again");
    await client.delete(services, { namespace: "default", name: "s" });
    await eventually(async () => (await client.list(endpoints)).items.length === 0, "Endpoints gone");
  });

  test("a Service on its way out gets no new slices, and those that it has follow its pods", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    await client.create(nodes, testNode("a"));
    await harness.run(endpointSliceController());
    const { metadata, ...rest } = service("s");
    await client.create(services, { ...rest, metadata: { ...metadata, finalizers: ["example.com/wait"] } });
    const slices = async () =>
      (await client.list(endpointSlices)).items.map((one) => one.endpoints.flatMap(({ addresses }) => addresses));
    await eventually(async () => JSON.stringify(await slices()) === "[[]]", "an empty slice");
    const first = (await client.list(endpointSlices)).items[0];
    await client.delete(services, { namespace: "default", name: "s" });
    await client.create(pods, webPod("p1", "10.42.0.1"));
    await eventually(async () => JSON.stringify(await slices()) === '[["10.42.0.1"]]', "the pod's address");
    await client.create(pods, webPod("p2", "10.42.0.2", true, 9090));
    await client.delete(pods, { namespace: "default", name: "p1" }, { gracePeriodSeconds: 0 });
    await eventually(async () => JSON.stringify(await slices()) === '[["10.42.0.2"]]', "the other pod's address");
    const last = (await client.list(endpointSlices)).items[0];
    expect(last?.metadata.uid).toBe(first?.metadata.uid);
  });

  test("Endpoints are written anew once the last write is seen", async () => {
    harness = await Harness.onApiServer();
    const { client, informers } = harness;
    const { queue } = await harness.run(endpointsController());
    await client.create(services, service("s"));
    const key = { namespace: "default", name: "s" };
    const relabel = (own: string) =>
      client.patch(services, key, { type: "merge", body: { metadata: { labels: { own } } } });
    const written = async (own: string) => (await client.get(endpoints, key)).metadata.labels?.["own"] === own;
    const cached = informers.lister(endpoints);
    await eventually(() => cached.get("default/s") !== undefined, "the first in the cache");
    const release = client.hold(endpoints);
    await relabel("second");
    await eventually(() => written("second"), "the second");
    await relabel("third");
    const isLooked = () =>
      informers.lister(services).get("default/s")?.metadata.labels?.["own"] === "third" && !queue.busy;
    await eventually(isLooked, "a look at the third");
    release();
    await eventually(() => written("third"), "the third");
    expect(harness.recorded).toEqual([]);
  });

  test("Endpoints made by hand are mirrored, and left alone", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    await harness.run(endpointsController());
    await harness.run(endpointSliceMirroringController());
    const { spec } = service("s");
    const { selector: _, ...bare } = spec ?? {};
    await client.create(endpoints, {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { name: "s", namespace: "default", labels: { mine: "x" } },
      subsets: [{ addresses: [{ ip: "192.0.2.1" }], ports: [{ port: 80, protocol: "TCP" }] }],
    });
    await client.create(services, { ...service("s"), spec: bare });
    await eventually(async () => (await client.list(endpointSlices)).items.length === 1, "a mirror");
    const { items } = await client.list(endpointSlices);
    expect(items[0]?.endpoints.map(({ addresses }) => addresses)).toEqual([["192.0.2.1"]]);
    expect(items[0]?.metadata.labels?.["endpointslice.kubernetes.io/managed-by"]).toBe(
      "endpointslicemirroring-controller.k8s.io",
    );
    await client.delete(endpoints, { namespace: "default", name: "s" });
    await eventually(async () => (await client.list(endpointSlices)).items.length === 0, "the mirror gone");
  });
});

test("subsets are packed anew: a port stands once, and ports of the same addresses together", () => {
  const at = (ip: string, hostname?: string): EndpointAddress => ({ ip, ...(hostname ? { hostname } : {}) });
  const port = (name: string, number: number): EndpointPort => ({ name, port: number, protocol: "TCP" });
  const packed = repackSubsets([
    { addresses: [at("10.0.0.1", "one")], ports: [port("http", 80), port("any", 1)] },
    { addresses: [at("10.0.0.2")], ports: [port("http", 81), port("any", 1)] },
    { addresses: [at("10.0.0.1")], notReadyAddresses: [at("10.0.0.3")], ports: [port("other", 2), port("last", 3)] },
    { notReadyAddresses: [at("10.0.0.2")], ports: [port("any", 1)] },
    { addresses: [at("10.0.0.4")] },
  ]);
  expect(packed.map(({ ports }) => ports?.map(({ name }) => name))).toEqual([
    ["any"],
    ["last", "other"],
    ["http"],
    ["http"],
    undefined,
  ]);
  const [any, other] = packed;
  expect(any).toMatchObject({ addresses: [at("10.0.0.1", "one")], notReadyAddresses: [at("10.0.0.2")] });
  expect(other).toMatchObject({ addresses: [at("10.0.0.1", "one")], notReadyAddresses: [at("10.0.0.3")] });
});
