import { afterEach, beforeEach, expect, test } from "bun:test";
import { isNotFound } from "#shared/api/errors.ts";
import { ipAddresses, serviceCIDRs } from "#shared/api/resources.ts";
import type { IPAddress, ServiceCIDR } from "#shared/api/types/networking-v1.generated.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { leavesOrphans, serviceCIDRController } from "./service-cidr.ts";

let harness: Harness<RecordingClient>;
beforeEach(async () => {
  harness = await Harness.onApiServer();
});
afterEach(() => harness.stop());

const range = (name: string, ...cidrs: string[]): ServiceCIDR => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "ServiceCIDR",
  metadata: { name },
  spec: { cidrs },
});

const address = (name: string, labels: Record<string, string> = managed): IPAddress => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "IPAddress",
  metadata: { name, labels },
  spec: { parentRef: { resource: "services", namespace: "default", name: "a" } },
});
const managed = { "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io" };

test("a range may go unless it alone holds an address of a Service", () => {
  const going = range("a", "10.1.0.0/24");
  const used = [address("10.1.0.9")];
  expect(leavesOrphans(going, [going], used)).toBe(true);
  expect(leavesOrphans(going, [going], [address("10.2.0.9"), address("10.1.0.9", {}), address("fd00::9")])).toBe(false);
  expect(leavesOrphans(going, [going, range("b", "10.1.0.0/16")], used)).toBe(false);
  expect(leavesOrphans(going, [going, range("b", "10.1.0.8/29")], used)).toBe(false);
  expect(leavesOrphans(going, [going, range("b", "10.1.0.128/25")], used)).toBe(true);
});

test("a range is Ready, and one that is deleted stays until its addresses are gone and everybody has noticed", async () => {
  const { client } = harness;
  const clock = new ManualClock(Date.now());
  await client.create(serviceCIDRs, range("a", "10.1.0.0/24"));
  await client.create(ipAddresses, address("10.1.0.9"));
  await harness.run(serviceCIDRController, clock);
  const ready = async (): Promise<string> => {
    const { status } = await client.get(serviceCIDRs, { name: "a" });
    const condition = status?.conditions?.find(({ type }) => type === "Ready");
    return `${condition?.status} ${condition?.reason}`;
  };
  await eventually(async () => (await ready()) === "True ", "ready");
  const { managedFields } = (await client.get(serviceCIDRs, { name: "a" })).metadata;
  expect(managedFields?.filter(({ subresource }) => subresource === "status")).toMatchObject([
    { manager: "service-cidr-controller", operation: "Apply" },
  ]);
  await client.delete(serviceCIDRs, { name: "a" });
  await eventually(async () => (await ready()) === "False Terminating", "kept");
  await client.delete(ipAddresses, { name: "10.1.0.9" });
  const isGone = (): Promise<boolean> =>
    client.get(serviceCIDRs, { name: "a" }).then(
      () => false,
      (error: unknown) => isNotFound(error),
    );
  await clock.advance(60_000);
  await eventually(async () => {
    await clock.advance(11_000);
    return isGone();
  }, "gone");
});
