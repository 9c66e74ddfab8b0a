import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  clusterRoles,
  configMaps,
  jobs,
  nodes,
  pods,
  resourceQuotas,
  secrets,
  serviceAccounts,
} from "#shared/api/resources.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import type { ServiceAccount } from "#shared/api/types/core-v1.generated.ts";
import type { ClusterRole } from "#shared/api/types/rbac-v1.generated.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { resetTables } from "#shared/metrics/tables.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { testNode, testPod } from "../scheduler/testing.ts";
import { aggregatedRules, clusterRoleAggregation } from "./cluster-role-aggregation.ts";
import { podCollections } from "./controller-counts.ts";
import { fateOf, podGarbageCollector } from "./pod-gc.ts";
import { resourceQuotaController } from "./resource-quota/resource-quota.ts";
import { serviceAccountTokenController } from "./service-account-token.ts";
import { eventually } from "./testing/eventually.ts";
import { Harness } from "./testing/harness.ts";
import type { RecordingClient } from "./testing/recording-client.ts";
import { told } from "./testing/told.ts";
import { tokenCleaner } from "./token-cleaner.ts";
import { expiryOf, ttlAfterFinishedController } from "./ttl-after-finished.ts";

let harness: Harness<RecordingClient>;
beforeEach(async () => {
  harness = await Harness.onApiServer();
});
afterEach(() => harness.stop());

test("what becomes of pods that no kubelet takes care of", () => {
  const deleted = (pod = testPod("p")) => ({
    ...pod,
    metadata: { ...pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
  });
  expect(fateOf(testPod("p"), undefined)).toBe("stays");
  expect(fateOf(deleted(), undefined)).toBe("never ran");
  expect(fateOf(testPod("p", { nodeName: "a" }), undefined)).toBe("node is gone");
  const down = testNode("a", { spec: { taints: [{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }] } });
  expect(fateOf(deleted(testPod("p", { nodeName: "a" })), down)).toBe("node is out of service");
  expect(fateOf(deleted(testPod("p", { nodeName: "a" })), testNode("a"))).toBe("stays");
});

test("pods of a node that is gone go after the quarantine, marked as failed", async () => {
  resetTables();
  const { client } = harness;
  const clock = new ManualClock();
  await client.create(nodes, testNode("a"));
  await client.create(pods, testPod("p", { nodeName: "a" }));
  await client.create(pods, testPod("q", { nodeName: "b" }));
  const conditions = [{ type: "Ready", status: "True" }];
  const held = testPod("held", { nodeName: "b" }, { status: { phase: "Running", conditions } });
  await client.create(pods, { ...held, metadata: { ...held.metadata, finalizers: ["example.com/hold"] } });
  const running = await harness.run(podGarbageCollector(), clock);
  await eventually(() => !running.queue.busy);
  await clock.advance(39_000);
  expect(client.count("delete pods")).toBe(0);
  await clock.advance(2_000);
  await eventually(() => client.count("delete pods default/q") === 1, "q deleted");
  expect(client.count("patch pods/status default/q")).toBe(1);
  expect(client.count("delete pods default/p")).toBe(0);
  await eventually(() => (told(podCollections.family())["default orphaned"] ?? 0) >= 2, "the deletions told");
  const { status } = await client.get(pods, { namespace: "default", name: "held" });
  expect(status).toMatchObject({
    phase: "Failed",
    observedGeneration: 1,
    conditions: [{ type: "Ready" }, { type: "DisruptionTarget", reason: "DeletionByPodGC", observedGeneration: 1 }],
  });
});

test("only so many ended pods stay, the youngest", async () => {
  resetTables();
  const { client } = harness;
  for (let index = 0; index < 5; index++)
    await client.create(pods, testPod(`p${index}`, { nodeName: "a" }, { status: { phase: "Succeeded" } }));
  await client.create(nodes, testNode("a"));
  const clock = new ManualClock();
  const running = await harness.run(podGarbageCollector({ mostTerminated: 2, quarantine_ms: 1e9 }), clock);
  await eventually(() => !running.queue.busy);
  // All of them are looked at once, not once for each.
  expect(client.count("delete pods")).toBe(0);
  await clock.advance(20_000);
  await eventually(async () => (await client.list(pods)).items.length === 2, "two left");
  expect((await client.list(pods)).items.map(({ metadata }) => metadata.name)).toEqual(["p3", "p4"]);
  await eventually(() => told(podCollections.family())["default terminated"] === 3, "the deletions told");
});

test("finished Jobs go when their time is over", async () => {
  const { client } = harness;
  const clock = new ManualClock();
  const now = new Date(clock.wall_ms()).toISOString();
  const job = (name: string, ttl: number | undefined, done: boolean): Job => ({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace: "default" },
    spec: {
      manualSelector: true,
      selector: { matchLabels: { job: name } },
      template: {
        metadata: { labels: { job: name } },
        spec: { restartPolicy: "Never", containers: [{ name: "c", image: "example/image:1" }] },
      },
      ...(ttl === undefined ? {} : { ttlSecondsAfterFinished: ttl }),
    },
    ...(done
      ? {
          status: {
            startTime: now,
            completionTime: now,
            conditions: ["SuccessCriteriaMet", "Complete"].map((type) => ({
              type,
              status: "True",
              lastProbeTime: now,
              lastTransitionTime: now,
            })),
          },
        }
      : {}),
  });
  expect(expiryOf(job("j", 10, false))).toBeUndefined();
  expect(expiryOf(job("j", undefined, true))).toBeUndefined();
  await client.create(jobs, job("soon", 10, true));
  await client.create(jobs, job("later", 100, true));
  const running = await harness.run(ttlAfterFinishedController, clock);
  await eventually(() => !running.queue.busy);
  await clock.advance(11_000);
  await eventually(() => client.count("delete jobs default/soon") === 1);
  expect(client.count("delete jobs default/later")).toBe(0);
});

test("aggregating roles take the rules of those that they select", async () => {
  const role = (name: string, labels: Record<string, string>, resource?: string): ClusterRole => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name, labels },
    rules: resource ? [{ apiGroups: [""], resources: [resource], verbs: ["get"] }] : [],
  });
  const all: ClusterRole = {
    ...role("all", {}),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: "all" } }] },
  };
  const parts = [
    role("b", { to: "all" }, "secrets"),
    role("a", { to: "all" }, "pods"),
    role("c", { to: "all" }, "pods"),
  ];
  expect(aggregatedRules(all, [all, ...parts, role("d", {}, "nodes")]).map(({ resources }) => resources)).toEqual([
    ["pods"],
    ["secrets"],
  ]);
  const { client } = harness;
  await harness.run(clusterRoleAggregation);
  await client.create(clusterRoles, all);
  for (const part of parts) await client.create(clusterRoles, part);
  await eventually(async () => (await client.get(clusterRoles, { name: "all" })).rules?.length === 2);
  await client.delete(clusterRoles, { name: "b" });
  await eventually(async () => (await client.get(clusterRoles, { name: "all" })).rules?.length === 1);
});

test("a quota's status follows what there is", async () => {
  const { client } = harness;
  const running = await harness.run(resourceQuotaController(new ResourceMapper(client)));
  await client.create(pods, testPod("p", {}, { requests: { cpu: "500m" } }));
  for (const name of ["a", "b", "c"])
    await client.create(secrets, { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "default" } });
  await client.create(resourceQuotas, {
    apiVersion: "v1",
    kind: "ResourceQuota",
    metadata: { name: "q", namespace: "default" },
    spec: { hard: { "requests.cpu": "2", pods: "10", configmaps: "5", "count/secrets": "9" } },
  });
  const used = async () => (await client.get(resourceQuotas, { namespace: "default", name: "q" })).status?.used;
  await eventually(async () => (await used()) !== undefined);
  expect(await used()).toEqual({ "requests.cpu": "500m", pods: "1", configmaps: "0", "count/secrets": "3" });
  // Charged by admission, before the object is there: that is no reason to count anew.
  const charge = { status: { used: { configmaps: "1" } } };
  const key = { namespace: "default", name: "q" };
  await client.patch(resourceQuotas, key, { type: "merge", body: charge }, { subresource: "status" });
  await eventually(() => !running.queue.busy);
  expect(await used()).toMatchObject({ configmaps: "1" });
  await client.create(configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "c", namespace: "default" },
  });
  await client.delete(pods, { namespace: "default", name: "p" });
  await eventually(async () => (await used())?.["pods"] === "0", "the pod given back");
  expect(await used()).toEqual({ "requests.cpu": "0", pods: "0", configmaps: "1", "count/secrets": "3" });
});

test("expired join tokens go", async () => {
  const { client } = harness;
  const clock = new ManualClock();
  const token = (name: string, end_ms: number) => ({
    apiVersion: "v1" as const,
    kind: "Secret" as const,
    metadata: { name, namespace: "kube-system" },
    type: "bootstrap.kubernetes.io/token",
    data: { expiration: Buffer.from(new Date(end_ms).toISOString()).toString("base64") },
  });
  await client.create(secrets, token("old", clock.wall_ms() - 1000));
  await client.create(secrets, token("young", clock.wall_ms() + 60_000));
  await harness.run(tokenCleaner, clock);
  await eventually(() => client.count("delete secrets kube-system/old") === 1);
  expect(client.count("delete secrets kube-system/young")).toBe(0);
  await clock.advance(61_000);
  await eventually(() => client.count("delete secrets kube-system/young") === 1);
});

test("Secrets for service accounts are filled, and go with their account", async () => {
  const { client } = harness;
  const issue = async (account: ServiceAccount) => `token of ${account.metadata.name}`;
  await harness.run(serviceAccountTokenController({ rootCa: () => "PEM", issue }));
  const secret = (name: string, account: string) => ({
    apiVersion: "v1" as const,
    kind: "Secret" as const,
    metadata: { name, namespace: "default", annotations: { "kubernetes.io/service-account.name": account } },
    type: "kubernetes.io/service-account-token",
  });
  const account = {
    apiVersion: "v1" as const,
    kind: "ServiceAccount" as const,
    metadata: { name: "sa", namespace: "default" },
  };
  await client.create(serviceAccounts, account);
  await client.create(secrets, secret("good", "sa"));
  await client.create(secrets, secret("stray", "nobody"));
  const read = () => client.get(secrets, { namespace: "default", name: "good" });
  await eventually(async () => (await read()).data?.["token"] !== undefined, "a token");
  const decode = (field: string, data: Record<string, string> = {}) =>
    Buffer.from(data[field] ?? "", "base64").toString();
  const { data } = await read();
  expect(["token", "ca.crt", "namespace"].map((field) => decode(field, data))).toEqual([
    "token of sa",
    "PEM",
    "default",
  ]);
  await eventually(() => client.count("delete secrets default/stray") === 1, "stray deleted");
  await client.delete(serviceAccounts, { namespace: "default", name: "sa" });
  await eventually(() => client.count("delete secrets default/good") === 1, "good deleted");
});
