import { afterEach, test } from "bun:test";
import { pods } from "#shared/api/resources.ts";
import { eventually } from "../controllers/testing/eventually.ts";
import { Harness } from "../controllers/testing/harness.ts";
import { ClusterCache } from "./cluster-cache.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { NominatedPods } from "./nominated-pods.ts";
import { PodInfo } from "./pod-info.ts";
import { SchedulingQueue } from "./scheduling-queue.ts";
import { testPod } from "./testing.ts";

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
