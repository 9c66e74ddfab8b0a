import { afterEach, describe, expect, test } from "bun:test";
import { forbidden, staleObject } from "#shared/api/errors.ts";
import { pods, replicaSets, replicationControllers } from "#shared/api/resources.ts";
import type { ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { controllerReference } from "#shared/client/controller-ref.ts";
import { testPod } from "../../scheduler/testing.ts";
import { podsToDelete } from "../pod-control/deletion-order.ts";
import { replicationControllerController } from "../replication-controller/replication-controller.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { livePods, makeReady, webTemplate } from "../testing/workloads.ts";
import { replicaSetController } from "./replicaset.ts";

const key = { namespace: "default", name: "web" };
const replicaSet = (replicas: number): ReplicaSet => ({
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  metadata: { ...key },
  spec: { replicas, selector: { matchLabels: { app: "web" } }, template: webTemplate() },
});

describe("podsToDelete", () => {
  const now_ms = Date.parse("2026-01-01T12:00:00Z");
  const pod = (name: string, status: Partial<NonNullable<Pod["status"]>> = {}, nodeName = "a"): Pod =>
    testPod(name, { nodeName }, { status: { phase: "Running", ...status } });
  const ready = (since: string) => ({
    conditions: [{ type: "Ready", status: "True", lastTransitionTime: since }],
  });
  const names = (chosen: readonly Pod[]) => chosen.map(({ metadata }) => metadata.name);

  test("unscheduled, then pending, then not ready", () => {
    const all = [
      pod("ready", ready("2026-01-01T00:00:00Z")),
      pod("unready"),
      pod("pending", { phase: "Pending" }),
      pod("unscheduled", { phase: "Pending" }, ""),
    ];
    expect(names(podsToDelete(all, [], 3, now_ms))).toEqual(["unscheduled", "pending", "unready"]);
  });

  test("the deletion cost decides before crowding and age", () => {
    const cheap = pod("cheap", ready("2026-01-01T00:00:00Z"));
    cheap.metadata.annotations = { "controller.kubernetes.io/pod-deletion-cost": "-5" };
    const dear = pod("dear", ready("2026-01-01T11:59:00Z"));
    dear.metadata.annotations = { "controller.kubernetes.io/pod-deletion-cost": "7" };
    const plain = pod("plain", ready("2026-01-01T11:59:59Z"));
    expect(names(podsToDelete([dear, plain, cheap], [], 2, now_ms))).toEqual(["cheap", "plain"]);
  });

  test("crowded nodes first, then the younger, then those that restarted", () => {
    const crowd = [pod("x1", ready("2026-01-01T00:00:00Z"), "b"), pod("x2", ready("2026-01-01T00:00:00Z"), "b")];
    const alone = pod("alone", ready("2026-01-01T11:59:59Z"), "a");
    expect(names(podsToDelete([alone, ...crowd], [alone, ...crowd], 1, now_ms))[0]).toStartWith("x");
    const old = pod("old", ready("2025-01-01T00:00:00Z"));
    const young = pod("young", ready("2026-01-01T11:00:00Z"));
    expect(names(podsToDelete([old, young], [], 1, now_ms))).toEqual(["young"]);
  });
});

describe("replicas", () => {
  let harness: Harness<RecordingClient>;
  afterEach(() => harness.stop());

  test("follow the number asked for, and the status tells", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    await harness.run(replicaSetController);
    await client.create(replicaSets, replicaSet(5));
    await eventually(async () => (await livePods(client)).length === 5, "five pods");
    const [first] = await livePods(client);
    expect(first?.metadata.ownerReferences).toMatchObject([{ kind: "ReplicaSet", name: "web", controller: true }]);
    for (const pod of await livePods(client)) await makeReady(client, pod);
    const status = async () => (await client.get(replicaSets, key)).status;
    await eventually(async () => (await status())?.availableReplicas === 5, "five available");
    expect(await status()).toEqual({
      replicas: 5,
      fullyLabeledReplicas: 5,
      readyReplicas: 5,
      availableReplicas: 5,
      terminatingReplicas: 0,
      observedGeneration: 1,
    });
    await client.patch(replicaSets, key, { type: "merge", body: { spec: { replicas: 2 } } });
    await eventually(async () => (await status())?.replicas === 2, "two replicas");
    expect(await livePods(client)).toHaveLength(2);
    expect(client.count("create pods")).toBe(5);
    expect(harness.recorded.filter((one) => one.includes("SuccessfulDelete"))).toHaveLength(3);
  });

  test("are counted in the status even where the owner has just changed, and their number is another by the next look", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    const owner = await client.create(replicaSets, replicaSet(0));
    const surplus = testPod("surplus", {}, { labels: { app: "web" } });
    surplus.metadata.ownerReferences = [controllerReference(replicaSets, owner)];
    await client.create(pods, surplus);
    const { update } = client;
    const written: (number | undefined)[] = [];
    let refusals = 1;
    client.update = async (...args: Parameters<typeof update>) => {
      if (refusals-- > 0) throw staleObject(replicaSets, "web");
      written.push((args[1] as ReplicaSet).status?.replicas);
      return update.apply(client, args) as never;
    };
    await harness.run(replicaSetController);
    await eventually(() => written.length > 1, "both counts");
    expect(written).toEqual([1, 0]);
  });

  test("are adopted and released by their labels", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    await client.create(pods, testPod("orphan", {}, { labels: { app: "web" } }));
    await harness.run(replicaSetController);
    await client.create(replicaSets, replicaSet(1));
    const orphan = () => client.get(pods, { namespace: "default", name: "orphan" });
    await eventually(async () => (await orphan()).metadata.ownerReferences?.length === 1, "adopted");
    expect(await livePods(client)).toHaveLength(1);
    const body = { metadata: { labels: { app: "other" } } };
    await client.patch(pods, { namespace: "default", name: "orphan" }, { type: "merge", body });
    await eventually(async () => !(await orphan()).metadata.ownerReferences, "released");
    await eventually(async () => (await livePods(client)).length === 2, "replaced");
  });

  test("that name their owner already are adopted by that very reference", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    const owner = await client.create(replicaSets, replicaSet(1));
    const child = testPod("child", {}, { labels: { app: "web" } });
    const [reference, other] = [controllerReference(replicaSets, owner), controllerReference(pods, owner)];
    const another = { ...other, uid: "of-another", controller: false };
    child.metadata.ownerReferences = [{ ...reference, controller: false }, another];
    await client.create(pods, child);
    await harness.run(replicaSetController);
    const references = async () =>
      (await client.get(pods, { namespace: "default", name: "child" })).metadata.ownerReferences ?? [];
    await eventually(async () => (await references()).some(({ controller }) => controller), "adopted");
    expect(await references()).toEqual([another, reference]);
  });

  test("that are refused show as a condition, which goes when they are allowed", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    const create = client.create.bind(client);
    let allowed = false;
    client.create = ((ref: never, object: never, options: never) => {
      if (!allowed && (ref as { plural: string }).plural === "pods")
        throw forbidden({ group: "", plural: "pods" }, "web-x", "exceeded quota: q");
      return create(ref, object, options);
    }) as typeof client.create;
    await harness.run(replicaSetController);
    await client.create(replicaSets, replicaSet(3));
    const conditions = async () => (await client.get(replicaSets, key)).status?.conditions ?? [];
    await eventually(async () => (await conditions()).length === 1, "the condition");
    expect(await conditions()).toMatchObject([
      {
        type: "ReplicaFailure",
        status: "True",
        reason: "FailedCreate",
        message: 'pods "web-x" is forbidden: exceeded quota: q',
      },
    ]);
    expect(harness.recorded[0]).toBe(
      'Warning ReplicaSet/web FailedCreate: Error creating: pods "web-x" is forbidden: exceeded quota: q',
    );
    allowed = true;
    await eventually(async () => (await livePods(client)).length === 3, "pods");
    await eventually(async () => (await conditions()).length === 0, "no condition");
  });

  test("of a ReplicationController", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    await harness.run(replicationControllerController);
    await client.create(replicationControllers, {
      apiVersion: "v1",
      kind: "ReplicationController",
      metadata: { ...key },
      spec: { replicas: 2, selector: { app: "web" }, template: webTemplate() },
    });
    await eventually(async () => (await client.get(replicationControllers, key)).status?.replicas === 2);
    expect((await client.get(replicationControllers, key)).status).not.toHaveProperty("terminatingReplicas");
    const [pod] = await livePods(client);
    await client.delete(pods, { namespace: "default", name: pod?.metadata.name ?? "" });
    await eventually(async () => (await livePods(client)).length === 2, "replaced");
  });
});
