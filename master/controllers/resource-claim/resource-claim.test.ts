import { afterEach, beforeEach, expect, test } from "bun:test";
import { pods, resourceClaims, resourceClaimTemplates } from "#shared/api/resources.ts";
import { claimProtectionFinalizer } from "#shared/api/scheduling/pod-resource-claims.ts";
import type { ResourceClaim, ResourceClaimTemplate } from "#shared/api/types/resource-v1.generated.ts";
import { testPod } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { claimNameBase } from "./claim-making.ts";
import { released } from "./claim-upkeep.ts";
import { resourceClaimController } from "./resource-claim.ts";

let harness: Harness<RecordingClient>;
beforeEach(async () => {
  harness = await Harness.onApiServer();
});
afterEach(() => harness.stop());

const devices = { requests: [{ name: "r", exactly: { deviceClassName: "gpu.example.com", count: 1 } }] };
const template: ResourceClaimTemplate = {
  apiVersion: "resource.k8s.io/v1",
  kind: "ResourceClaimTemplate",
  metadata: { name: "t", namespace: "default" },
  spec: { metadata: { labels: { a: "b" } }, spec: { devices } },
};
const allocation = { devices: { results: [{ request: "r", driver: "d.example.com", pool: "p", device: "dev-0" }] } };
const claim = (name: string, more: Partial<ResourceClaim["metadata"]> = {}): ResourceClaim => ({
  apiVersion: "resource.k8s.io/v1",
  kind: "ResourceClaim",
  metadata: { name, namespace: "default", ...more },
  spec: { devices },
});

test("the names of generated claims leave room for what the API server adds", () => {
  expect(claimNameBase("web", "gpu")).toBe("web-gpu-");
  const base = claimNameBase("p".repeat(60), "c".repeat(30));
  expect(base.length).toBeLessThanOrEqual(57);
  expect(base).toMatch(/^p+-c+$/);
});

test("devices are given back with the last consumer, if the scheduler allocated them", () => {
  const held = {
    ...claim("c", { finalizers: [claimProtectionFinalizer] }),
    status: { allocation, reservedFor: [{ resource: "pods", name: "p", uid: "u" }] },
  };
  expect(released(held, held.status.reservedFor).status?.allocation).toBeDefined();
  expect(released(held, []).status).toEqual({});
  expect(released({ ...held, metadata: {} }, []).status?.allocation).toBeDefined();
});

test("claims are made out of templates, once, and the pod is told", async () => {
  const { client } = harness;
  await harness.run(resourceClaimController);
  const created = await client.create(
    pods,
    testPod("p", { resourceClaims: [{ name: "gpu", resourceClaimTemplateName: "t" }] }),
  );
  await eventually(() => harness.recorded.some((line) => line.includes("FailedResourceClaimCreation")), "the event");
  await client.create(resourceClaimTemplates, template);
  const all = async () => (await client.list(resourceClaims)).items;
  const read = () => client.get(pods, { namespace: "default", name: "p" });
  await eventually(async () => (await read()).status?.resourceClaimStatuses !== undefined, "the pod's status");
  const [made, ...more] = await all();
  expect(more).toEqual([]);
  expect(made?.metadata.name).toMatch(/^p-gpu-/);
  expect(made?.metadata.labels).toEqual({ a: "b" });
  expect(made?.metadata.annotations).toEqual({ "resource.kubernetes.io/pod-claim-name": "gpu" });
  expect(made?.metadata.ownerReferences?.[0]?.uid).toBe(created.metadata.uid ?? "");
  expect((await read()).status?.resourceClaimStatuses).toEqual([
    { name: "gpu", resourceClaimName: made?.metadata.name ?? "" },
  ]);
});

test("a claim that the cache does not show yet is not made again", async () => {
  const { client } = harness;
  const { queue } = await harness.run(resourceClaimController);
  const release = client.hold(resourceClaims);
  await client.create(resourceClaimTemplates, template);
  await client.create(pods, testPod("p", { resourceClaims: [{ name: "gpu", resourceClaimTemplateName: "t" }] }));
  const read = () => client.get(pods, { namespace: "default", name: "p" });
  await eventually(async () => (await read()).status?.resourceClaimStatuses !== undefined, "the pod's status");
  const { resourceVersion } = (await read()).metadata;
  await eventually(
    () => harness.informers.lister(pods).get("default/p")?.metadata.resourceVersion === resourceVersion && !queue.busy,
    "the controller at rest",
  );
  release();
  await eventually(() => harness.informers.lister(resourceClaims).size > 0 && !queue.busy, "the claim in the cache");
  expect(client.count("create resourceclaims")).toBe(1);
});

test("pods that are gone lose their reservations, and the devices come back", async () => {
  const { client } = harness;
  const running = await client.create(pods, testPod("running", { nodeName: "a" }));
  await client.create(resourceClaims, claim("shared"));
  const consumer = (name: string, uid = `${name}-uid`) => ({ resource: "pods", name, uid });
  const reservedFor = [consumer("running", running.metadata.uid), consumer("gone")];
  const key = { namespace: "default", name: "shared" };
  const write = async (status: object): Promise<void> => {
    await client.patch(resourceClaims, key, { type: "merge", body: { status } }, { subresource: "status" });
  };
  await write({ allocation, reservedFor });
  const body = { metadata: { finalizers: [claimProtectionFinalizer] } };
  await client.patch(resourceClaims, key, { type: "merge", body });
  await harness.run(resourceClaimController);
  const read = () => client.get(resourceClaims, key);
  await eventually(async () => (await read()).status?.reservedFor?.length === 1, "one left");
  expect((await read()).status?.allocation).toBeDefined();
  await client.delete(pods, { namespace: "default", name: "running" }, { gracePeriodSeconds: 0 });
  // The pod named the claim in no entry, so that only the claim's next change shows that it is unused.
  await client.patch(resourceClaims, key, { type: "merge", body: { metadata: { labels: { look: "again" } } } });
  await eventually(async () => (await read()).status?.allocation === undefined, "given back");
  await eventually(async () => (await read()).metadata.finalizers === undefined, "unprotected");
});
