import { expect } from "bun:test";
import {
  endpointSlices,
  endpoints,
  ingressClasses,
  ingresses,
  ipAddresses,
  pods,
  serviceCIDRs,
  services,
} from "#shared/api/resources.ts";
import type { ServiceSpec } from "#shared/api/types/core-v1.generated.ts";
import { eventually } from "../../../master/controllers/testing/eventually.ts";
import type { Rows, Stage } from "./stage.ts";

const service = (stage: Stage, name: string, spec: Partial<ServiceSpec>) =>
  stage.admin.create(services, {
    apiVersion: "v1",
    kind: "Service",
    metadata: stage.key(name),
    spec: { ports: [{ port: 80, targetPort: 8080 }], ...spec },
  });
async function runningPod(stage: Stage, app: string, ip: string): Promise<void> {
  await stage.pod(app, { nodeName: "board-1" }, { app, played: "no" });
  const status = { phase: "Running", podIP: ip, podIPs: [{ ip }], conditions: [{ type: "Ready", status: "True" }] };
  const key = stage.key(app);
  await stage.admin.patch(pods, key, { type: "strategic", body: { status } }, { subresource: "status" });
}
async function sliceAddresses(stage: Stage, name: string): Promise<string> {
  const labelSelector = `kubernetes.io/service-name=${name}`;
  const { items } = await stage.admin.list(endpointSlices, { namespace: stage.namespace, labelSelector });
  return items.flatMap((slice) => slice.endpoints.flatMap(({ addresses }) => addresses)).join();
}

/** What makes Services and Ingresses lead somewhere. */
export const serviceRows: Rows = {
  async "endpoints-controller"(stage) {
    await service(stage, "old", { selector: { app: "old" } });
    await runningPod(stage, "old", "10.42.0.5");
    await stage.until(endpoints, stage.key("old"), ({ subsets }) => subsets?.[0]?.addresses?.[0]?.ip === "10.42.0.5");
  },
  async "endpointslice-controller"(stage) {
    await service(stage, "web", { selector: { app: "web" } });
    await runningPod(stage, "web", "10.42.0.7");
    await eventually(async () => (await sliceAddresses(stage, "web")) === "10.42.0.7", "the slice");
  },
  async "endpointslice-mirroring-controller"(stage) {
    await service(stage, "outside", {});
    await stage.admin.create(endpoints, {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: stage.key("outside"),
      subsets: [{ addresses: [{ ip: "192.0.2.9" }], ports: [{ port: 8080 }] }],
    });
    await eventually(async () => (await sliceAddresses(stage, "outside")) === "192.0.2.9", "the mirror");
  },
  async "service-cidr-controller"(stage) {
    await stage.admin.create(serviceCIDRs, {
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name: "more" },
      spec: { cidrs: ["10.99.0.0/24"] },
    });
    const ready = (type: string) => type === "Ready";
    await stage.until(serviceCIDRs, { name: "more" }, ({ status }) => {
      return status?.conditions?.find(({ type }) => ready(type))?.status === "True";
    });
    // An address in use keeps its range.
    await stage.admin.create(ipAddresses, {
      apiVersion: "networking.k8s.io/v1",
      kind: "IPAddress",
      metadata: { name: "10.99.0.9", labels: { "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io" } },
      spec: { parentRef: { resource: "services", namespace: stage.namespace, name: "x" } },
    });
    await stage.admin.delete(serviceCIDRs, { name: "more" });
    await stage.until(serviceCIDRs, { name: "more" }, ({ status }) => {
      return status?.conditions?.find(({ type }) => ready(type))?.status === "False";
    });
    await stage.admin.delete(ipAddresses, { name: "10.99.0.9" });
    await stage.gone(serviceCIDRs, { name: "more" });
  },
  async "ingress-status"(stage) {
    await stage.admin.create(ingressClasses, {
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
      metadata: { name: "bramble" },
      spec: { controller: "bramble.dev/ingress" },
    });
    await stage.admin.create(ingresses, {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: stage.key("site"),
      spec: { ingressClassName: "bramble", defaultBackend: { service: { name: "web", port: { number: 80 } } } },
    });
    const told = await stage.until(ingresses, stage.key("site"), ({ status }) => status?.loadBalancer?.ingress?.length);
    expect(told.status?.loadBalancer?.ingress?.[0]?.ip).toBe("192.0.2.1");
  },
  async "service-load-balancer"(stage) {
    await service(stage, "public", { type: "LoadBalancer", selector: { app: "x" }, ports: [{ port: 8088 }] });
    const told = await stage.until(
      services,
      stage.key("public"),
      ({ status }) => status?.loadBalancer?.ingress?.length,
    );
    expect(told.status?.loadBalancer?.ingress?.[0]?.ip).toBe("192.0.2.1");
  },
};
