import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ingressClasses, ingresses, nodes, services } from "#shared/api/resources.ts";
import type { Node, Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { testNode } from "../../scheduler/testing.ts";
import { ingressStatus } from "../ingress-status.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { type Assignment, assignBoards } from "./assignment.ts";
import { serviceLoadBalancer } from "./service-load-balancer.ts";

const board = (name: string, ip: string, ready = "True", labels: Record<string, string> = {}): Node => {
  const node = testNode(name);
  const conditions = [{ type: "Ready", status: ready }] as NonNullable<Node["status"]>["conditions"];
  const addresses = [{ type: "InternalIP", address: ip }];
  return { ...node, metadata: { ...node.metadata, labels }, status: { ...node.status, conditions, addresses } };
};
const service = (name: string, spec: Partial<Service["spec"]> = {}): Service =>
  ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "default", name, uid: `uid-${name}`, creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { type: "LoadBalancer", ports: [{ port: 8080, protocol: "TCP" }], ...spec },
  }) as Service;
const slice = (nodeName: string, ready = true): EndpointSlice =>
  ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: "default", name: "s", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.42.0.9"], nodeName, conditions: { ready } }],
  }) as EndpointSlice;

describe("assignment", () => {
  const fleet = [
    board("a", "192.168.1.1"),
    board("b", "192.168.1.2"),
    board("c", "192.168.1.3", "Unknown"),
    board("d", "192.168.1.4", "True", { "node.kubernetes.io/exclude-from-external-load-balancers": "" }),
  ];
  const assign = (list: Service[], slices: EndpointSlice[] = []): Assignment[] =>
    assignBoards({
      services: list,
      nodes: fleet,
      slicesOf: () => slices,
      reserved: new Map([["TCP/6443", "the API"]]),
    });
  const gained = (assignment: Assignment | undefined): unknown =>
    assignment && ("ips" in assignment ? assignment.ips : assignment.refusal);

  test("boards that are ready and not left out; with policy Local those with a ready endpoint", () => {
    expect(gained(assign([service("web")])[0])).toEqual(["192.168.1.1", "192.168.1.2"]);
    const local = service("web", { externalTrafficPolicy: "Local" });
    expect(gained(assign([local], [slice("b")])[0])).toEqual(["192.168.1.2"]);
    expect(gained(assign([local], [slice("b", false)])[0])).toEqual([]);
  });
  test("another class and other types are not ours", () => {
    expect(
      assign([service("web", { loadBalancerClass: "example.com/cloud" }), service("x", { type: "NodePort" })]),
    ).toEqual([]);
    expect(assign([service("web", { loadBalancerClass: "bramble.dev/board" })])).toHaveLength(1);
  });
  test("a port belongs to who has it, then to the oldest; the boards' own to nobody", () => {
    const younger = service("a-young");
    const older = {
      ...service("old"),
      metadata: { ...service("old").metadata, creationTimestamp: "2025-01-01T00:00:00Z" },
    };
    const udp = service("udp", { ports: [{ port: 8080, protocol: "UDP" }] } as Partial<Service["spec"]>);
    const result = assign([younger, older, udp]);
    expect(result.map((each) => [each.service.metadata.name, "ips" in each])).toEqual([
      ["old", true],
      ["a-young", false],
      ["udp", true],
    ]);
    const holder = { ...younger, status: { loadBalancer: { ingress: [{ ip: "192.168.1.1" }] } } };
    expect(assign([older, holder])[0]?.service.metadata.name).toBe("a-young");
    const greedy = service("greedy", { ports: [{ port: 6443 }] } as Partial<Service["spec"]>);
    expect(gained(assign([greedy])[0])).toBe("port TCP/6443 of the boards belongs to the API");
  });
});

describe("the controller", () => {
  let harness: Harness<RecordingClient>;
  beforeEach(async () => {
    harness = await Harness.onApiServer();
  });
  afterEach(() => harness.stop());

  test("writes boards' addresses, follows their readiness, and says once why a Service waits", async () => {
    const { client } = harness;
    const clock = new ManualClock();
    for (const [name, ip] of [
      ["a", "192.168.1.1"],
      ["b", "192.168.1.2"],
    ] as const) {
      const { status } = board(name, ip);
      const made = await client.create(nodes, testNode(name));
      await client.update(nodes, { ...made, status }, { subresource: "status" });
    }
    const spec = (port: number): Partial<Service["spec"]> => ({
      type: "LoadBalancer",
      clusterIP: `10.43.1.${port % 200}`,
      clusterIPs: [`10.43.1.${port % 200}`],
      ports: [{ port, protocol: "TCP" }],
    });
    const fresh = (name: string, port: number): Service => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: "default", name },
      spec: spec(port) as Service["spec"],
    });
    await client.create(services, fresh("web", 8080));
    await client.create(services, fresh("late", 22));
    const running = await harness.run(serviceLoadBalancer(new Map([["TCP/22", "ssh"]])), clock);
    const ips = async (name: string): Promise<string[]> =>
      ((await client.get(services, { namespace: "default", name })).status?.loadBalancer?.ingress ?? []).map(
        ({ ip = "" }) => ip,
      );
    const settled = async (): Promise<void> => {
      await clock.advance(300);
      await eventually(() => !running.queue.busy);
    };
    await eventually(async () => {
      await settled();
      return (await ips("web")).join() === "192.168.1.1,192.168.1.2";
    }, "addresses");
    expect(await ips("late")).toEqual([]);
    const b = await client.get(nodes, { name: "b" });
    await client.update(nodes, { ...b, status: board("b", "192.168.1.2", "False").status }, { subresource: "status" });
    await eventually(async () => {
      await settled();
      return (await ips("web")).join() === "192.168.1.1";
    }, "the lost board is gone");
    expect(harness.recorded.filter((event) => event.includes("Service/late"))).toEqual([
      "Warning Service/late SyncLoadBalancerFailed: Error syncing load balancer: failed to ensure load balancer: port TCP/22 of the boards belongs to ssh",
    ]);
  });

  test("Ingresses of a served class get the addresses of boards that serve and are ready", async () => {
    const { client } = harness;
    for (const [name, ip, ready] of [
      ["a", "192.168.1.1", "True"],
      ["b", "192.168.1.2", "False"],
    ] as const) {
      const made = await client.create(nodes, testNode(name));
      await client.update(nodes, { ...made, status: board(name, ip, ready).status }, { subresource: "status" });
    }
    await client.create(ingressClasses, {
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
      metadata: { name: "bramble" },
      spec: { controller: "bramble.dev/ingress" },
    });
    for (const [name, ingressClassName] of [
      ["ours", "bramble"],
      ["theirs", "nginx"],
    ] as const) {
      await client.create(ingresses, {
        apiVersion: "networking.k8s.io/v1",
        kind: "Ingress",
        metadata: { namespace: "default", name },
        spec: { ingressClassName, defaultBackend: { service: { name: "web", port: { number: 80 } } } },
      });
    }
    const clock = new ManualClock();
    await harness.run(ingressStatus, clock);
    const ips = async (name: string): Promise<unknown> =>
      (await client.get(ingresses, { namespace: "default", name })).status?.loadBalancer?.ingress;
    await eventually(async () => {
      await clock.advance(300);
      return JSON.stringify(await ips("ours")) === '[{"ip":"192.168.1.1"}]';
    }, "addresses");
    expect(await ips("theirs")).toBeUndefined();
  });
});
