import { afterEach, expect, test } from "bun:test";
import { forbidden } from "#shared/api/errors.ts";
import { events, nodes, pods } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { processFamilies } from "#shared/metrics/process-families.ts";
import { eventually } from "../controllers/testing/eventually.ts";
import { Harness } from "../controllers/testing/harness.ts";
import type { RecordingClient } from "../controllers/testing/recording-client.ts";
import { Scheduler } from "./scheduler.ts";
import { testNode, testPod } from "./testing.ts";

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** With boards that the scheduler knows from its first look on: by its watches it may hear of a pod before it hears of one. */
async function start(...boards: readonly Node[]): Promise<RecordingClient> {
  const harness = await Harness.onApiServer();
  const { client, informers } = harness;
  for (const board of boards) await client.create(nodes, board);
  const scheduler = new Scheduler({ client, informers, random: () => 0 });
  stops.push(
    () => harness.stop(),
    () => scheduler.stop(),
  );
  await scheduler.start();
  return client;
}

const get = (client: RecordingClient, name: string): Promise<Pod> => client.get(pods, { namespace: "default", name });

test("binds pods and says so", async () => {
  const client = await start();
  await client.create(nodes, testNode("a"));
  for (const name of ["p1", "p2", "p3"]) await client.create(pods, testPod(name, {}, { requests: { cpu: "1" } }));
  await client.create(pods, testPod("other", { schedulerName: "another" }));
  for (const name of ["p1", "p2", "p3"])
    await eventually(async () => (await get(client, name)).spec?.nodeName === "a", `${name} on a`);
  expect((await get(client, "other")).spec?.nodeName).toBeUndefined();
  await eventually(async () => (await client.list(events)).items.length === 3, "three events");
  const { items } = await client.list(events);
  expect(items.map(({ reason, message }) => `${reason}: ${message}`)).toContain(
    "Scheduled: Successfully assigned default/p1 to a",
  );
  // An event of events.k8s.io, as clients of core/v1 see it.
  expect(items[0]).toMatchObject({
    reportingComponent: "default-scheduler",
    reportingInstance: expect.stringMatching(/^default-scheduler-./),
    action: "Binding",
    eventTime: expect.any(String),
  });
  expect([items[0]?.source, items[0]?.count, items[0]?.lastTimestamp]).toEqual([{}, undefined, undefined]);
});

test("is well while it waits for an API server, and ready once it has seen the cluster", async () => {
  const harness = await Harness.onApiServer();
  const { client, informers } = harness;
  const scheduler = new Scheduler({ client, informers });
  stops.push(
    () => harness.stop(),
    () => scheduler.stop(),
  );
  expect(await scheduler.check()).toBe("ok");
  await expect(scheduler.checkCaches()).rejects.toThrow("handlers are not fully synchronized");
  await scheduler.start();
  expect(await scheduler.checkCaches()).toBe("ok");
});

test("tells how long each step takes, and what came of it", async () => {
  const counts = (): Map<string, number> => {
    const name = "scheduler_framework_extension_point_duration_seconds";
    const samples = processFamilies().find((family) => family.name === name)?.samples ?? [];
    return new Map(
      samples.flatMap(({ suffix, labels, value }) =>
        suffix === "_count" && labels["profile"] === "default-scheduler"
          ? [[`${labels["extension_point"]} ${labels["status"]}`, value]]
          : [],
      ),
    );
  };
  const client = await start(testNode("a"), testNode("b"));
  await client.create(pods, testPod("fits", {}, { requests: { cpu: "1" } }));
  await eventually(() => counts().get("Bind Success") === 1, "a binding");
  for (const step of ["PreFilter", "Filter", "Score", "Reserve", "PreBind"])
    expect(counts().get(`${step} Success`)).toBe(1);
  await client.create(pods, testPod("huge", {}, { requests: { cpu: "1000" } }));
  await eventually(() => counts().get("PostFilter Unschedulable") === 1, "an attempt to make room");
  expect(counts().get("Filter Success")).toBe(2);
  expect(counts().get("Score Success")).toBe(1);
});

test("does not overcommit while bindings are in flight", async () => {
  const client = await start();
  await client.create(nodes, testNode("a", { allocatable: { cpu: "2" } }));
  await Promise.all(
    Array.from({ length: 5 }, (_, index) => client.create(pods, testPod(`p${index}`, {}, { requests: { cpu: "1" } }))),
  );
  const bound = async (): Promise<number> =>
    (await client.list(pods)).items.filter(({ spec }) => spec?.nodeName).length;
  const refused = async (): Promise<number> =>
    (await client.list(pods)).items.filter(({ status }) => status?.conditions?.[0]?.reason === "Unschedulable").length;
  await eventually(async () => (await bound()) === 2 && (await refused()) === 3, "two bound and three refused");
});

test("tells why, and tries again when the cluster changes", async () => {
  const client = await start();
  await client.create(pods, testPod("p", {}, { requests: { cpu: "1" } }));
  await client.create(nodes, testNode("small", { allocatable: { cpu: "500m" } }));
  const message = async (): Promise<string | undefined> => (await get(client, "p")).status?.conditions?.[0]?.message;
  await eventually(
    async () =>
      (await message())?.startsWith(
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: ",
      ) ?? false,
    "the reason",
  );
  expect((await get(client, "p")).status?.conditions?.[0]).toMatchObject({
    type: "PodScheduled",
    status: "False",
    reason: "Unschedulable",
  });
  await client.create(nodes, testNode("big"));
  await eventually(async () => (await get(client, "p")).spec?.nodeName === "big", "p on big");
});

test("gated pods wait for their gates", async () => {
  const client = await start();
  await client.create(nodes, testNode("a"));
  await client.create(pods, testPod("gated", { schedulingGates: [{ name: "example.com/wait" }] }));
  await client.create(pods, testPod("free"));
  await eventually(async () => (await get(client, "free")).spec?.nodeName === "a");
  expect((await get(client, "gated")).spec?.nodeName).toBeUndefined();
  const body = { spec: { schedulingGates: null } };
  await client.patch(pods, { namespace: "default", name: "gated" }, { type: "merge", body });
  await eventually(async () => (await get(client, "gated")).spec?.nodeName === "a");
});

test("preempts pods of lower priority", async () => {
  const client = await start();
  await client.create(nodes, testNode("a", { allocatable: { cpu: "1" } }));
  await client.create(pods, testPod("low", { priority: 1 }, { requests: { cpu: "1" } }));
  await eventually(async () => (await get(client, "low")).spec?.nodeName === "a");
  await client.create(pods, testPod("high", { priority: 10 }, { requests: { cpu: "1" } }));
  await eventually(async () => (await get(client, "low")).metadata.deletionTimestamp !== undefined, "low deleted");
  expect((await get(client, "low")).status?.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
    status: "True",
    reason: "PreemptionByScheduler",
    message: "default-scheduler: preempting to accommodate a higher priority pod",
  });
  await eventually(async () => (await get(client, "high")).status?.nominatedNodeName === "a", "high nominated");
  // What the kubelet does when the containers have ended.
  await client.delete(pods, { namespace: "default", name: "low" }, { gracePeriodSeconds: 0 });
  await eventually(async () => (await get(client, "high")).spec?.nodeName === "a", "high on a");
  await eventually(async () => (await client.list(events)).items.some(({ reason }) => reason === "Preempted"));
});

const told = async (client: RecordingClient, name: string): Promise<string[]> =>
  (await client.list(events)).items
    .filter(({ involvedObject }) => involvedObject.name === name)
    .map(({ reason, message }) => `${reason}: ${message}`);

test("a pod that is being deleted is not looked at any more, and that is said", async () => {
  const client = await start();
  const held = testPod("held");
  held.metadata.finalizers = ["example.com/hold"];
  await client.create(pods, held);
  const isTold = async () => (await get(client, "held")).status?.conditions?.[0]?.message !== undefined;
  await eventually(isTold, "no nodes");
  await client.delete(pods, { namespace: "default", name: "held" });
  await client.create(nodes, testNode("a"));
  const message = "FailedScheduling: skip schedule deleting pod: default/held";
  await eventually(async () => (await told(client, "held")).includes(message), "the event");
  expect((await get(client, "held")).spec?.nodeName).toBeUndefined();
});

test("a binding that fails is told, and tried again", async () => {
  const client = await start();
  let refusals = 1;
  const { post } = client;
  client.post = async (...args: Parameters<typeof post>) => {
    if (args[2] === "binding" && refusals-- > 0) throw forbidden({ group: "", plural: "pods" }, "p", "not now");
    return post.apply(client, args) as never;
  };
  await client.create(nodes, testNode("a"));
  await client.create(pods, testPod("p"));
  await eventually(async () => (await get(client, "p")).spec?.nodeName === "a", "p on a");
  const refusal = /^FailedScheduling: running Bind plugin "DefaultBinder": .*not now/;
  await eventually(async () => (await told(client, "p")).some((line) => refusal.test(line)), "the event");
});

test("a pod is bound once it has been written that no node took it before", async () => {
  const client = await start();
  const [asked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { patch } = client;
  client.patch = async (...args: Parameters<typeof patch>) => {
    asked.resolve();
    await held.promise;
    return patch.apply(client, args) as never;
  };
  await client.create(pods, testPod("p"));
  await asked.promise;
  await client.create(nodes, testNode("a"));
  const name = "scheduler_framework_extension_point_duration_seconds";
  const isPlaced = (): boolean =>
    (processFamilies().find((family) => family.name === name)?.samples ?? []).some(
      ({ labels, value }) => labels["extension_point"] === "Reserve" && value > 0,
    );
  await eventually(isPlaced, "p placed");
  held.resolve();
  await eventually(async () => (await get(client, "p")).spec?.nodeName === "a", "p on a");
  await stops.pop()?.();
  expect((await get(client, "p")).status?.conditions).toMatchObject([{ type: "PodScheduled", status: "True" }]);
});

test("a pod is not looked at again while room is made for it", async () => {
  const client = await start();
  for (const [node, priority] of [
    ["a", 1],
    ["b", 2],
  ] as const) {
    await client.create(nodes, testNode(node, { allocatable: { cpu: "1" } }));
    await client.create(pods, testPod(`low-${node}`, { priority }, { requests: { cpu: "1" } }));
    await eventually(async () => (await get(client, `low-${node}`)).spec?.nodeName === node, `low-${node}`);
  }
  const held = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const { patch } = client;
  client.patch = async (...args: Parameters<typeof patch>) => {
    if (args[1].name === "high") {
      asked.resolve();
      await held.promise;
    }
    return patch.apply(client, args) as never;
  };
  await client.create(pods, testPod("high", { priority: 10 }, { requests: { cpu: "1" } }));
  await asked.promise;
  const taint = async (taints: readonly object[], probe: string): Promise<void> => {
    await client.patch(nodes, { name: "a" }, { type: "merge", body: { spec: { taints } } });
    // Decided on after all that the change has woken.
    for (const name of [`${probe}-1`, `${probe}-2`]) {
      await client.create(pods, testPod(name, { preemptionPolicy: "Never" }, { requests: { cpu: "1" } }));
      await eventually(async () => (await get(client, name)).status?.conditions !== undefined, name);
    }
  };
  await taint([{ key: "k", effect: "NoSchedule" }], "tainted");
  await taint([], "free");
  held.resolve();
  await eventually(async () => (await get(client, "low-a")).metadata.deletionTimestamp !== undefined, "low-a's end");
  expect((await get(client, "low-b")).metadata.deletionTimestamp).toBeUndefined();
});

test("pods that are going already are not told again to make room", async () => {
  const client = await start();
  await client.create(nodes, testNode("a", { allocatable: { cpu: "1" } }));
  const low = testPod("low", { priority: 1 }, { requests: { cpu: "1" } });
  low.metadata.finalizers = ["example.com/hold"];
  await client.create(pods, low);
  await eventually(async () => (await get(client, "low")).spec?.nodeName === "a");
  await client.delete(pods, { namespace: "default", name: "low" }, { gracePeriodSeconds: 30 });
  await client.create(pods, testPod("high", { priority: 10 }, { requests: { cpu: "1" } }));
  await eventually(async () => (await get(client, "high")).status?.nominatedNodeName === "a", "high nominated");
  expect((await get(client, "low")).status?.conditions?.map(({ type }) => type)).toEqual(["PodScheduled"]);
  expect((await told(client, "low")).filter((line) => line.startsWith("Preempted"))).toEqual([]);
});

test("a pod gives up the node that was cleared for it when that is tainted", async () => {
  const client = await start();
  await client.create(nodes, testNode("a", { allocatable: { cpu: "1" } }));
  const low = testPod("low", { priority: 1 }, { requests: { cpu: "1" } });
  low.metadata.finalizers = ["example.com/hold"];
  await client.create(pods, low);
  await eventually(async () => (await get(client, "low")).spec?.nodeName === "a");
  await client.create(pods, testPod("high", { priority: 10 }, { requests: { cpu: "1" } }));
  await eventually(async () => (await get(client, "high")).status?.nominatedNodeName === "a", "high nominated");
  const body = { spec: { taints: [{ key: "k", effect: "NoSchedule" }] } };
  await client.patch(nodes, { name: "a" }, { type: "merge", body });
  await eventually(async () => (await get(client, "high")).status?.nominatedNodeName === undefined, "given up");
});
