import { afterEach, expect, test } from "bun:test";
import { isNotFound } from "#shared/api/errors.ts";
import { configMaps, namespaces, pods, serviceAccounts } from "#shared/api/resources.ts";
import type { Namespace } from "#shared/api/types/core-v1.generated.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { testPod } from "../../scheduler/testing.ts";
import { rootCaPublisher } from "../root-ca-publisher.ts";
import { serviceAccountController } from "../service-account.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { conditionsAfter } from "./conditions.ts";
import { namespaceController } from "./namespace.ts";

let harness: Harness<RecordingClient>;
afterEach(() => harness.stop());

const namespace = (name: string, terminating = false): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, ...(terminating ? { finalizers: ["example.com/test"] } : {}) },
  spec: { finalizers: ["kubernetes"] },
  status: { phase: "Active" },
});
const exists = async (read: Promise<unknown>): Promise<boolean> => {
  try {
    await read;
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
};

test("every namespace gets its service account and the CA, also when they are deleted", async () => {
  harness = await Harness.onApiServer();
  const { client } = harness;
  await harness.run(serviceAccountController);
  await harness.run(rootCaPublisher(() => "PEM"));
  await client.create(namespaces, namespace("ns"));
  const account = { namespace: "ns", name: "default" };
  const bundle = { namespace: "ns", name: "kube-root-ca.crt" };
  await eventually(() => exists(client.get(serviceAccounts, account)));
  await eventually(() => exists(client.get(configMaps, bundle)));
  await client.delete(serviceAccounts, account);
  await eventually(() => exists(client.get(serviceAccounts, account)));
  await client.patch(configMaps, bundle, { type: "merge", body: { data: { "ca.crt": "other", more: "x" } } });
  await eventually(async () => JSON.stringify((await client.get(configMaps, bundle)).data) === '{"ca.crt":"PEM"}');
});

test("a deleted namespace is emptied, pods first, then goes", async () => {
  harness = await Harness.onApiServer();
  const { client } = harness;
  await client.create(namespaces, namespace("ns", true));
  const pod = testPod("p", {}, { namespace: "ns" });
  await client.create(pods, { ...pod, metadata: { ...pod.metadata, finalizers: ["example.com/hold"] } });
  const settings = { apiVersion: "v1" as const, kind: "ConfigMap" as const, metadata: { name: "c", namespace: "ns" } };
  await client.create(configMaps, settings);
  await harness.run(namespaceController(new ResourceMapper(client)));
  await client.delete(namespaces, { name: "ns" });
  const condition = async (type: string) =>
    (await client.get(namespaces, { name: "ns" })).status?.conditions?.find((one) => one.type === type);
  await eventually(async () => (await condition("NamespaceFinalizersRemaining"))?.status === "True");
  expect((await condition("NamespaceFinalizersRemaining"))?.message).toBe(
    "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
  );
  expect((await condition("NamespaceContentRemaining"))?.message).toBe(
    "Some resources are remaining: pods. has 1 resource instances",
  );
  expect(await exists(client.get(configMaps, { namespace: "ns", name: "c" }))).toBe(true);
  await client.patch(pods, { namespace: "ns", name: "p" }, { type: "merge", body: { metadata: { finalizers: null } } });
  await eventually(async () => ((await client.get(namespaces, { name: "ns" })).spec?.finalizers ?? []).length === 0);
  expect(await exists(client.get(configMaps, { namespace: "ns", name: "c" }))).toBe(false);
  const { status } = await client.get(namespaces, { name: "ns" });
  expect(status?.conditions?.map((one) => one.status)).toEqual(Array(5).fill("False"));
});

test("a pod that stays beyond its time without a reason is told of", async () => {
  harness = await Harness.onApiServer();
  const { client } = harness;
  await client.create(namespaces, namespace("ns", true));
  const spec = { nodeName: "a", terminationGracePeriodSeconds: 30 };
  await client.create(pods, testPod("p", spec, { namespace: "ns" }));
  await harness.run(namespaceController(new ResourceMapper(client)), new ManualClock(Date.now() + 60_000));
  await client.delete(namespaces, { name: "ns" });
  const failure = async () =>
    (await client.get(namespaces, { name: "ns" })).status?.conditions?.find(
      ({ type }) => type === "NamespaceDeletionContentFailure",
    );
  await eventually(async () => (await failure())?.status === "True", "the failure");
  expect((await failure())?.message).toBe(
    "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: ns for gvr: /v1, Resource=pods",
  );
});

test("what no list shows keeps a namespace, and is told of", async () => {
  harness = await Harness.onApiServer();
  const { client } = harness;
  await client.create(namespaces, namespace("ns", true));
  const deleteCollection = client.deleteCollection.bind(client);
  let isThere = true;
  client.deleteCollection = async (ref, scope, options) => {
    if (isThere && ref.plural === "configmaps") throw new Error("corrupt object");
    await deleteCollection(ref, scope, options);
  };
  await harness.run(namespaceController(new ResourceMapper(client)));
  await client.delete(namespaces, { name: "ns" });
  const failure = async () =>
    (await client.get(namespaces, { name: "ns" })).status?.conditions?.find(
      ({ type }) => type === "NamespaceDeletionContentFailure",
    );
  await eventually(async () => (await failure())?.status === "True");
  expect((await failure())?.message).toContain("corrupt object");
  isThere = false;
  await eventually(async () => ((await client.get(namespaces, { name: "ns" })).spec?.finalizers ?? []).length === 0);
});

test("conditions change only when what they say changes, and leave others alone", () => {
  const report = {
    discoveryFailures: new Map(),
    deletionErrors: [],
    remaining: new Map(),
    finalizers: new Map<string, number>(),
  };
  const others = [{ type: "Mine", status: "True", reason: "R", message: "m" }];
  const first = conditionsAfter(others, report, "t1");
  expect(first?.map(({ type }) => type)[0]).toBe("Mine");
  expect(conditionsAfter(first ?? [], report, "t2")).toBeUndefined();
  const later = conditionsAfter(first ?? [], { ...report, finalizers: new Map([["f", 2]]) }, "t3");
  expect(later?.filter(({ lastTransitionTime }) => lastTransitionTime === "t3").map(({ type }) => type)).toEqual([
    "NamespaceFinalizersRemaining",
  ]);
});
