import { expect, test } from "bun:test";
import { endpointSlices, nodes, pods, services } from "#shared/api/resources.ts";
import type { Node, Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import { nodeTarget, serviceProxyTarget, serviceTarget } from "./target.ts";

const namespace = "blue";
const service: Service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace },
  spec: { ports: [{ port: 80 }] },
};
const podAt = (podIP: string, of = namespace): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web-1", namespace: of },
  spec: { containers: [], nodeName: "a" },
  status: { podIPs: [{ ip: podIP }] },
});
const sliceOf = (...endpoints: Endpoint[]): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "web-x", namespace, labels: { "kubernetes.io/service-name": "web" } },
  addressType: "IPv4",
  ports: [{ port: 8080 }],
  endpoints,
});
const ofPod = { kind: "Pod", namespace, name: "web-1" };

test("a Service's proxy leads to its pods, on the boards that these are on", () => {
  const reader = new MapReader()
    .put(services, service)
    .put(pods, podAt("10.42.0.7"))
    .put(endpointSlices, sliceOf({ addresses: ["10.42.0.7"], nodeName: "another", targetRef: ofPod }));
  const { node, host } = serviceProxyTarget(reader, namespace, "web:80");
  expect([node, host]).toEqual(["a", "10.42.0.7:8080"]);
});

test.each<[string, Endpoint, Pod]>([
  ["is of nobody", { addresses: ["192.168.1.1"] }, podAt("192.168.1.1")],
  ["is not the pod's", { addresses: ["192.168.1.1"], targetRef: ofPod }, podAt("10.42.0.7")],
  ["is of no pod that there is", { addresses: ["10.42.0.7"], targetRef: { ...ofPod, name: "b" } }, podAt("10.42.0.7")],
  [
    "is of another namespace's pod",
    { addresses: ["10.42.0.7"], targetRef: { ...ofPod, namespace: "red" } },
    podAt("10.42.0.7", "red"),
  ],
  ["is loopback", { addresses: ["127.0.0.1"], targetRef: ofPod }, podAt("127.0.0.1")],
])("but to no address that %s; the API server itself goes there for webhooks", (_what, endpoint, pod) => {
  const reader = new MapReader()
    .put(services, service)
    .put(pods, pod)
    .put(endpointSlices, sliceOf({ ...endpoint, nodeName: "a" }));
  expect(() => serviceProxyTarget(reader, namespace, "web:80")).toThrow('no endpoints available for service "web:80"');
  expect(serviceTarget(reader, namespace, "web:80", []).node).toBe("a");
});

test("a port of a board is not reached at an address that every board has", () => {
  const node = (address: string): Node => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "a" },
    spec: {},
    status: { addresses: [{ type: "InternalIP", address }] },
  });
  const at = (address: string, name: string) => nodeTarget(new MapReader().put(nodes, node(address)), name);
  expect(() => at("127.0.0.1", "a:2379")).toThrow("address not allowed");
  expect(() => at("::ffff:127.0.0.1", "a:2379")).toThrow("address not allowed");
  expect(() => at("localhost", "a:2379")).toThrow("address not allowed");
  expect(at("192.168.1.2", "a:9100").host).toBe("192.168.1.2:9100");
  expect(at("127.0.0.1", "a").target).toEqual({ kind: "kubelet" });
});
