import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { podDisruptionBudgets, pods, replicaSets } from "#shared/api/resources.ts";
import { structText } from "#shared/api/selector/struct-text.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { PodDisruptionBudget, PodDisruptionBudgetSpec } from "#shared/api/types/policy-v1.generated.ts";
import { testPod } from "../../scheduler/testing.ts";
import { replicaSetController } from "../replicaset/replicaset.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { livePods, makeReady, webTemplate } from "../testing/workloads.ts";
import { budgetStatus, disruptedOf, expectedOf, staleMark_ms } from "./budget.ts";
import { disruptionController } from "./disruption.ts";

const key = { namespace: "default", name: "web" };
const budget = (spec: PodDisruptionBudgetSpec): PodDisruptionBudget => ({
  apiVersion: "policy/v1",
  kind: "PodDisruptionBudget",
  metadata: { ...key },
  spec: { selector: { matchLabels: { app: "web" } }, ...spec },
});
const now = "2026-01-01T00:10:00Z";
const pod = (name: string, ready = true): Pod =>
  testPod(
    name,
    {},
    { labels: { app: "web" }, status: { conditions: [{ type: "Ready", status: ready ? "True" : "False" }] } },
  );

test("a selector as Go prints it", () => {
  const expressions = [{ key: "tier", operator: "In", values: ["a", "b"] }];
  expect(structText({ matchLabels: { b: "2", a: "1" }, matchExpressions: expressions })).toBe(
    "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:tier,Operator:In,Values:[a b],},},}",
  );
});

describe("what a budget allows", () => {
  test("by how many must stay and by how many may go, in numbers and shares", () => {
    expect(expectedOf(budget({ minAvailable: 2 }), 3, 0)).toEqual({ pods: 3, healthy: 2 });
    expect(expectedOf(budget({ minAvailable: "50%" }), 3, 5)).toEqual({ pods: 5, healthy: 3 });
    expect(expectedOf(budget({ maxUnavailable: 1 }), 3, 5)).toEqual({ pods: 5, healthy: 4 });
    expect(expectedOf(budget({ maxUnavailable: "30%" }), 3, 5)).toEqual({ pods: 5, healthy: 3 });
    expect(expectedOf(budget({ maxUnavailable: 9 }), 3, 5)).toEqual({ pods: 5, healthy: 0 });
  });

  test("pods on their way to be evicted do not count, until it takes too long", () => {
    const given = budget({ minAvailable: 1 });
    const disruptedPods = { a: "2026-01-01T00:09:00Z", b: "2026-01-01T00:07:00Z" };
    given.status = { disruptedPods, disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
    const all = [pod("a"), pod("b"), pod("c"), pod("d", false)];
    const disrupted = disruptedOf(given, all, Date.parse(now));
    expect(disrupted).toMatchObject({ pods: { a: disruptedPods.a }, wait_ms: 60_000 });
    expect(disrupted.overdue.map(({ metadata }) => metadata.name)).toEqual(["b"]);
    const status = budgetStatus(given, all, { pods: 4, healthy: 1 }, disrupted, now);
    expect(status).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 1, disruptedPods: { a: disruptedPods.a } });
    expect(status.conditions).toMatchObject([{ type: "DisruptionAllowed", status: "True", reason: "SufficientPods" }]);
  });

  test("the mark of a disruption is stale after two minutes", () => {
    const marked = pod("a");
    if (marked.status)
      marked.status.conditions = [
        { type: "DisruptionTarget", status: "True", lastTransitionTime: "2026-01-01T00:09:00Z" },
      ];
    expect(staleMark_ms(marked, Date.parse(now))).toBe(60_000);
    expect(staleMark_ms(pod("b"), Date.parse(now))).toBeUndefined();
  });
});

describe("a PodDisruptionBudget", () => {
  let harness: Harness<RecordingClient>;
  beforeEach(async () => {
    harness = await Harness.onApiServer();
  });
  afterEach(() => harness.stop());
  const status = async () => (await harness.client.get(podDisruptionBudgets, key)).status;

  test("a mark that nothing came of is taken back, with its reason", async () => {
    const { client } = harness;
    const type = "DisruptionTarget";
    const lastTransitionTime = "2026-01-01T00:00:00Z";
    const mark = { type, status: "True", reason: "EvictionByEvictionAPI", message: "evicting", lastTransitionTime };
    const marked = pod("a");
    await client.create(pods, { ...marked, status: { ...marked.status, conditions: [mark] } });
    await harness.run(disruptionController());
    const condition = async () =>
      (await client.get(pods, { namespace: "default", name: "a" })).status?.conditions?.find(
        (one) => one.type === type,
      );
    await eventually(async () => (await condition())?.status === "False", "taken back");
    const { lastTransitionTime: _, ...rest } = (await condition()) ?? {};
    expect(rest).toEqual({ type, status: "False", observedGeneration: 1 } as never);
  });

  test("follows the pods and the number that their owner wants", async () => {
    const { client } = harness;
    await harness.run(replicaSetController);
    await harness.run(disruptionController());
    await client.create(replicaSets, {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { ...key },
      spec: { replicas: 3, selector: { matchLabels: { app: "web" } }, template: webTemplate() },
    });
    await client.create(podDisruptionBudgets, budget({ maxUnavailable: 1 }));
    await eventually(async () => (await status())?.expectedPods === 3, "three expected");
    await eventually(async () => (await livePods(client)).length === 3, "three pods");
    expect(await status()).toMatchObject({ disruptionsAllowed: 0, desiredHealthy: 2, currentHealthy: 0 });
    expect((await status())?.conditions?.[0]).toMatchObject({ status: "False", reason: "InsufficientPods" });
    for (const one of await livePods(client)) await makeReady(client, one);
    await eventually(async () => (await status())?.disruptionsAllowed === 1, "one may go");
    expect((await status())?.conditions?.[0]).toMatchObject({ status: "True", reason: "SufficientPods" });
  });

  test("allows nothing while an owner cannot tell what it wants", async () => {
    const { client } = harness;
    await harness.run(disruptionController());
    const owned = pod("a");
    owned.metadata.ownerReferences = [
      { apiVersion: "example.com/v1", kind: "Thing", name: "t", uid: "u", controller: true },
    ];
    await client.create(pods, owned);
    await client.create(podDisruptionBudgets, budget({ maxUnavailable: 1 }));
    await eventually(async () => (await status())?.conditions?.[0]?.reason === "SyncFailed", "said so");
    expect((await status())?.disruptionsAllowed).toBe(0);
    expect((await status())?.conditions?.[0]?.message).toBe('no matches for kind "Thing" in version "example.com/v1"');
  });
});

test("a pod with several budgets is told of", async () => {
  const harness = await Harness.onApiServer();
  try {
    const { client } = harness;
    await harness.run(disruptionController());
    for (const name of ["web", "other"])
      await client.create(podDisruptionBudgets, { ...budget({ minAvailable: 1 }), metadata: { ...key, name } });
    const areKnown = async (): Promise<boolean> =>
      (await client.list(podDisruptionBudgets)).items.every(({ status }) => status?.observedGeneration === 1);
    await eventually(areKnown, "both budgets known");
    await client.create(pods, pod("p"));
    await eventually(() =>
      harness.recorded.some((event) =>
        event.startsWith('Warning Pod/p MultiplePodDisruptionBudgets: Pod "default"/"p" matches multiple'),
      ),
    );
  } finally {
    await harness.stop();
  }
});
