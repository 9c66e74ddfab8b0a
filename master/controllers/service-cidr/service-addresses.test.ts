import { afterEach, beforeEach, expect, test } from "bun:test";
import { ipAddresses, services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import { addressObject } from "../../apiserver/resources/service-address-objects.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { serviceAddresses } from "./service-addresses.ts";

let harness: Harness<RecordingClient>;
beforeEach(async () => {
  harness = await Harness.onApiServer();
});
afterEach(() => harness.stop());

const service = (name: string, clusterIP: string): Service =>
  ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { clusterIP, clusterIPs: [clusterIP], ipFamilies: ["IPv4"], ports: [{ port: 80, protocol: "TCP" }] },
  }) as Service;

const holderOf = async (name: string): Promise<string | undefined> =>
  (await harness.client.list(ipAddresses)).items.find(({ metadata }) => metadata.name === name)?.spec.parentRef.name;
const names = async () => (await harness.client.list(ipAddresses)).items.map(({ metadata }) => metadata.name);

test("a Service's address is an object as long as the Service is there", async () => {
  const { client } = harness;
  await client.create(services, service("web", "10.43.0.7"));
  await client.create(services, service("headless", "None"));
  await harness.run(serviceAddresses);
  await eventually(async () => (await holderOf("10.43.0.7")) === "web", "there");
  expect((await client.get(ipAddresses, { name: "10.43.0.7" })).metadata.labels).toEqual({
    "ipaddress.kubernetes.io/ip-family": "IPv4",
    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
  });
  await client.delete(ipAddresses, { name: "10.43.0.7" });
  await eventually(async () => (await holderOf("10.43.0.7")) === "web", "there again");
  expect(await names()).toEqual(["10.43.0.7"]);
  await client.delete(services, { namespace: "default", name: "web" });
  await eventually(async () => (await names()).length === 0, "gone");
});

test("an object that names another holder is made anew, and what others keep is left alone", async () => {
  const { client } = harness;
  await client.create(services, service("web", "10.43.0.7"));
  await client.create(ipAddresses, addressObject("10.43.0.7", service("former", "10.43.0.7")));
  await client.create(ipAddresses, addressObject("10.43.0.8", service("former", "10.43.0.8")));
  const { metadata, spec, ...type } = addressObject("10.43.0.9", service("web", ""));
  const labels = { "ipaddress.kubernetes.io/managed-by": "example.com" };
  const parentRef = { ...spec.parentRef, group: "example.com", resource: "gateways" };
  await client.create(ipAddresses, { ...type, metadata: { ...metadata, labels }, spec: { parentRef } });
  await harness.run(serviceAddresses);
  await eventually(async () => (await holderOf("10.43.0.7")) === "web", "made anew");
  await eventually(async () => !(await names()).includes("10.43.0.8"), "the forsaken one gone");
  expect(await names()).toEqual(["10.43.0.7", "10.43.0.9"]);
});
