import { afterEach, expect, test } from "bun:test";
import { nodes, pods } from "#shared/api/resources.ts";
import { eventually } from "../controllers/testing/eventually.ts";
import { Harness } from "../controllers/testing/harness.ts";
import { ClusterCache } from "./cluster-cache.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import type { ClusterEvent } from "./framework.ts";
import { NominatedPods } from "./nominated-pods.ts";
import { PodInfo } from "./pod-info.ts";
import { SchedulingQueue } from "./scheduling-queue.ts";
import { testNode, testPod } from "./testing.ts";

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

test("room that was made for a pod is kept until its status says so, and no longer than that", async () => {
  const harness = await Harness.onApiServer();
  const { client, informers } = harness;
  const [nominated, cache, queue] = [new NominatedPods(), new ClusterCache(), new SchedulingQueue(() => true)];
  const detach = new ClusterFeed(informers, { cache, queue, nominated, isOwn: () => true }).attach();
  stops.push(
    async () => detach(),
    () => harness.stop(),
  );
  const key = { namespace: "default", name: "p" };
  const change = (body: object, subresource?: string): Promise<unknown> =>
    client.patch(pods, key, { type: "merge", body }, { subresource });
  const labelOfNominated = (): string | undefined => nominated.on("a")[0]?.pod.metadata.labels?.["seen"];

  const pod = await client.create(pods, testPod("p"));
  await eventually(() => queue.has(pod.metadata.uid ?? ""), "the pod");
  nominated.nominate(new PodInfo(pod), "a");
  await change({ metadata: { labels: { seen: "before" } } });
  await eventually(() => labelOfNominated() === "before", "the change before");
  await change({ status: { nominatedNodeName: "a" } }, "status");
  await change({ metadata: { labels: { seen: "after" } } });
  await eventually(() => labelOfNominated() === "after", "the change after");
  await change({ status: { nominatedNodeName: null } }, "status");
  await eventually(() => nominated.on("a").length === 0, "the end of it");
});

test("pods that wait hear what of nodes and pods has changed, and what it was before", async () => {
  const harness = await Harness.onApiServer();
  const { client, informers } = harness;
  const heard: ClusterEvent[] = [];
  const queue = new SchedulingQueue((_plugin, _pod, event) => heard.push(event) < 0);
  const parts = { cache: new ClusterCache(), queue, nominated: new NominatedPods(), isOwn: () => true };
  const detach = new ClusterFeed(informers, parts).attach();
  stops.push(
    async () => detach(),
    () => harness.stop(),
  );
  const waiting = await client.create(pods, testPod("waiting"));
  const uid = waiting.metadata.uid ?? "";
  await eventually(() => queue.has(uid), "the pod");
  await queue.next();
  queue.park(new PodInfo(waiting), new Set(["PodTopologySpread"]));
  const next = async (change: ClusterEvent["change"]): Promise<ClusterEvent | undefined> => {
    const found = (): ClusterEvent | undefined => heard.find((event) => event.change === change);
    await eventually(() => found() !== undefined, change);
    return found();
  };

  await client.create(nodes, testNode("n", { labels: { zone: "a" } }));
  await next("nodeAdded");
  await client.patch(nodes, { name: "n" }, { type: "merge", body: { metadata: { labels: { zone: "b" } } } });
  const relabelled = await next("nodeLabels");
  expect([relabelled?.nodeBefore?.metadata.labels?.["zone"], relabelled?.node?.labels["zone"]]).toEqual(["a", "b"]);
  await client.delete(nodes, { name: "n" });
  expect((await next("nodeDeleted"))?.nodeBefore?.metadata.name).toBe("n");

  const key = { namespace: "default", name: "waiting" };
  const tolerations = [...(waiting.spec?.tolerations ?? []), { key: "k", operator: "Exists" }];
  await client.patch(pods, key, { type: "merge", body: { spec: { tolerations } } });
  expect((await next("podTolerations"))?.pod?.uid).toBe(uid);
});
