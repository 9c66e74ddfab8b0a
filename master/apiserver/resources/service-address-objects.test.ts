import { afterAll, beforeAll, expect, test } from "bun:test";
import { ipAddresses, services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import { admin, startTestServer, type TestServer } from "../../../test/support/apiserver.ts";
import { addressObject, ServiceAddressObjects } from "./service-address-objects.ts";
import { ServiceAllocation } from "./service-allocation.ts";

let server: TestServer;
const reported: string[] = [];
beforeAll(async () => {
  server = await startTestServer({
    guards: ({ reader, client }) => ({
      admission: [
        new ServiceAllocation({
          reader,
          serviceRanges: [
            { family: "IPv4", cidr: "10.50.0.0/24" },
            { family: "IPv6", cidr: "fd50::/112" },
          ],
        }),
      ],
      companions: [
        new ServiceAddressObjects({ reader, client: client(admin), report: (message) => reported.push(message) }),
      ],
    }),
  });
});
afterAll(() => server.stop());

const create = (name: string, spec: Partial<Service["spec"]> = {}): Promise<Service> =>
  server.client.create(services, {
    metadata: { name, namespace: "default" },
    spec: { ports: [{ port: 80 }], ...spec },
  } as Service);
/** Of no controller's making: none runs here. */
const names = async (): Promise<string[]> =>
  (await server.client.list(ipAddresses)).items.map(({ metadata }) => metadata.name ?? "");

test("a Service's IPAddress objects are there when its create is answered, and gone with its deletion's answer", async () => {
  const { spec } = await create("dual", { ipFamilyPolicy: "RequireDualStack" });
  const [first = "", second = ""] = spec.clusterIPs ?? [];
  expect((await names()).sort()).toEqual([first, second].sort());
  const object = await server.client.get(ipAddresses, { name: second });
  expect(object.metadata.labels?.["ipaddress.kubernetes.io/ip-family"]).toBe("IPv6");
  expect(object.spec.parentRef).toEqual({ resource: "services", namespace: "default", name: "dual" });
  await server.client.delete(services, { namespace: "default", name: "dual" });
  expect(await names()).toEqual([]);
});

test("a Service that gives its address up by an update, or gets one, has its objects so", async () => {
  await create("turns", { type: "ExternalName", externalName: "example.com" });
  expect(await names()).toEqual([]);
  const turn = (spec: object) =>
    server.client.patch(services, { namespace: "default", name: "turns" }, { type: "merge", body: { spec } });
  const { spec } = await turn({ type: "ClusterIP", externalName: null });
  expect(await names()).toEqual([spec.clusterIP as string]);
  await turn({ type: "ExternalName", externalName: "example.com", clusterIP: null, clusterIPs: null });
  expect(await names()).toEqual([]);
});

test("a dry run makes none, a headless Service has none, and what another keeps is left alone", async () => {
  await server.client.create(
    services,
    { metadata: { name: "dry", namespace: "default" }, spec: { ports: [{ port: 80 }] } } as Service,
    { dryRun: true },
  );
  await create("headless", { clusterIP: "None" });
  expect(await names()).toEqual([]);
  const held = await create("held");
  const name = held.spec.clusterIP as string;
  await server.client.delete(ipAddresses, { name });
  await server.client.create(
    ipAddresses,
    addressObject(name, { ...held, metadata: { ...held.metadata, name: "other" } }),
  );
  await server.client.delete(services, { namespace: "default", name: "held" });
  expect(await names()).toEqual([name]);
  expect(reported).toEqual([]);
});
