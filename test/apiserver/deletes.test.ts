/** What clients rely on when they delete and evict. */
import { describe, expect, test } from "bun:test";
import { base, configMap, startWire } from "./wire.ts";

const { send } = startWire();

describe("delete", () => {
  test("at once, and only what the preconditions mean", async () => {
    const { body: made } = await send("POST", base, configMap("gone"));
    const wrong = await send("DELETE", `${base}/gone`, { preconditions: { uid: "other" } });
    expect([wrong.code, wrong.body.reason]).toEqual([409, "Conflict"]);
    const { code, body } = await send("DELETE", `${base}/gone`, { preconditions: { uid: made.metadata.uid } });
    expect([code, body.status, body.details.uid]).toEqual([200, "Success", made.metadata.uid]);
    expect((await send("DELETE", `${base}/gone`)).code).toBe(404);
  });

  test("finalizers hold an object until the last one is taken away", async () => {
    await send("POST", base, { ...configMap("held"), metadata: { name: "held", finalizers: ["example.com/hold"] } });
    const { code, body } = await send("DELETE", `${base}/held`);
    expect(code).toBe(200);
    expect(body.metadata.deletionTimestamp).toBeString();
    const merge = { "content-type": "application/merge-patch+json" };
    const more = await send(
      "PATCH",
      `${base}/held`,
      { metadata: { finalizers: ["example.com/hold", "example.com/more"] } },
      merge,
    );
    expect(more.code).toBe(422);
    expect((await send("PATCH", `${base}/held`, { metadata: { finalizers: null } }, merge)).code).toBe(200);
    expect((await send("GET", `${base}/held`)).code).toBe(404);
  });

  test("propagation becomes finalizers", async () => {
    await send("POST", base, configMap("parent"));
    const { code, body } = await send("DELETE", `${base}/parent`, { propagationPolicy: "Foreground" });
    expect([code, body.metadata.finalizers]).toEqual([200, ["foregroundDeletion"]]);
    const { body: orphan } = await send("DELETE", `${base}/parent`, { propagationPolicy: "Orphan" });
    expect(orphan.metadata.finalizers).toEqual(["orphan"]);
    await send("DELETE", `${base}/parent`, { propagationPolicy: "Background" });
    expect((await send("GET", `${base}/parent`)).code).toBe(404);
  });

  test("pods on a node go gracefully, unbound ones at once", async () => {
    const pods = "/api/v1/namespaces/test/pods";
    const pod = (name: string) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec: { containers: [{ name: "c", image: "i" }] },
    });
    await send("POST", pods, pod("unbound"));
    expect((await send("DELETE", `${pods}/unbound`)).code).toBe(200);
    expect((await send("GET", `${pods}/unbound`)).code).toBe(404);
    await send("POST", pods, pod("bound"));
    const binding = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: "bound" },
      target: { kind: "Node", name: "n1" },
    };
    expect((await send("POST", `${pods}/bound/binding`, binding)).code).toBe(201);
    expect((await send("POST", `${pods}/bound/binding`, binding)).code).toBe(409);
    const { body: on } = await send("GET", `${pods}/bound`);
    expect(on.spec.nodeName).toBe("n1");
    expect(on.status.conditions[0]).toMatchObject({ type: "PodScheduled", status: "True" });
    const { body: going } = await send("DELETE", `${pods}/bound`);
    expect(going.metadata.deletionGracePeriodSeconds).toBe(30);
    const { body: sooner } = await send("DELETE", `${pods}/bound`, { gracePeriodSeconds: 5 });
    expect(sooner.metadata.deletionGracePeriodSeconds).toBe(5);
    // What would be over by now is the shortest that the board still sees.
    await Bun.sleep(2_100);
    const { body: past } = await send("DELETE", `${pods}/bound`, { gracePeriodSeconds: 2 });
    expect(past.metadata.deletionGracePeriodSeconds).toBe(1);
    await send("DELETE", `${pods}/bound`, { gracePeriodSeconds: 0 });
    expect((await send("GET", `${pods}/bound`)).code).toBe(404);
  });

  test("a namespace stays until it is finalized", async () => {
    await send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "leaving" } });
    const { body } = await send("DELETE", "/api/v1/namespaces/leaving");
    expect([body.status.phase, body.spec.finalizers]).toEqual(["Terminating", ["kubernetes"]]);
    const finalize = await send("PUT", "/api/v1/namespaces/leaving/finalize", { ...body, spec: {} });
    expect(finalize.code).toBe(200);
    expect((await send("GET", "/api/v1/namespaces/leaving")).code).toBe(404);
  });

  test("a collection by selector", async () => {
    for (const name of ["c1", "c2", "c3"]) {
      await send("POST", base, {
        ...configMap(name),
        metadata: { name, labels: { set: name === "c3" ? "no" : "yes" } },
      });
    }
    const { code, body } = await send("DELETE", `${base}?labelSelector=set%3Dyes`);
    expect([code, body.kind, body.items.length]).toEqual([200, "ConfigMapList", 2]);
    expect((await send("GET", `${base}/c3`)).code).toBe(200);
  });
});

describe("eviction", () => {
  const pods = "/api/v1/namespaces/test/pods";
  const budgets = "/apis/policy/v1/namespaces/test/poddisruptionbudgets";
  const merge = { "content-type": "application/merge-patch+json" };

  test("is refused with 429 while the budget allows no disruption", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "guarded", labels: { app: "g" } },
      spec: { containers: [{ name: "c", image: "i" }] },
    };
    await send("POST", pods, pod);
    await send(
      "PATCH",
      `${pods}/guarded/status`,
      { status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] } },
      merge,
    );
    await send("POST", budgets, {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "pdb" },
      spec: { minAvailable: 1, selector: { matchLabels: { app: "g" } } },
    });
    const status = {
      observedGeneration: 1,
      disruptionsAllowed: 0,
      currentHealthy: 1,
      desiredHealthy: 1,
      expectedPods: 1,
    };
    await send("PATCH", `${budgets}/pdb/status`, { status }, merge);
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "guarded" } };
    const refused = await send("POST", `${pods}/guarded/eviction`, eviction);
    expect([refused.code, refused.body.details.causes[0].reason]).toEqual([429, "DisruptionBudget"]);
    await send("PATCH", `${budgets}/pdb/status`, { status: { disruptionsAllowed: 1 } }, merge);
    expect((await send("POST", `${pods}/guarded/eviction`, eviction)).code).toBe(201);
    expect((await send("GET", `${pods}/guarded`)).code).toBe(404);
    const { body } = await send("GET", `${budgets}/pdb`);
    expect([body.status.disruptionsAllowed, Object.keys(body.status.disruptedPods)]).toEqual([0, ["guarded"]]);
  });
});

test("an eviction means the pod as it was seen, though it marks it first, and marks no other", async () => {
  const path = "/api/v1/namespaces/test/pods";
  const merge = { "content-type": "application/merge-patch+json" };
  const spec = { containers: [{ name: "c", image: "i" }] };
  const { body: made } = await send("POST", path, { apiVersion: "v1", kind: "Pod", metadata: { name: "seen" }, spec });
  const { body: seen } = await send("PATCH", `${path}/seen/status`, { status: { phase: "Running" } }, merge);
  const evict = (preconditions: object) =>
    send("POST", `${path}/seen/eviction`, {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name: "seen" },
      deleteOptions: { preconditions },
    });
  const { resourceVersion } = made.metadata;
  const refused = [await evict({ resourceVersion }), await evict({ uid: "other" })];
  expect(refused.map(({ code, body }) => [code, body.reason])).toEqual([
    [409, "Conflict"],
    [409, "Conflict"],
  ]);
  expect((await send("GET", `${path}/seen`)).body.metadata.resourceVersion).toBe(seen.metadata.resourceVersion);
  expect((await evict({ uid: seen.metadata.uid, resourceVersion: seen.metadata.resourceVersion })).code).toBe(201);
  expect((await send("GET", `${path}/seen`)).code).toBe(404);
});

test("an Eviction of the version before is taken, since clients that drain nodes may not know the newer one", async () => {
  const path = "/api/v1/namespaces/test/pods";
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "evicted-as-before" },
    spec: { containers: [{ name: "c", image: "i" }] },
  };
  await send("POST", path, pod);
  const eviction = (apiVersion: string): object => ({
    apiVersion,
    kind: "Eviction",
    metadata: { name: "evicted-as-before" },
  });
  expect((await send("POST", `${path}/evicted-as-before/eviction`, eviction("policy/v2"))).code).toBe(400);
  expect((await send("POST", `${path}/evicted-as-before/eviction`, eviction("policy/v1beta1"))).code).toBe(201);
  expect((await send("GET", `${path}/evicted-as-before`)).code).toBe(404);
});
