import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { controllerRevisions, daemonSets, nodes, pods, statefulSets } from "#shared/api/resources.ts";
import type { DaemonSet, DaemonSetSpec } from "#shared/api/types/apps-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { testNode, testPod } from "../../scheduler/testing.ts";
import { statefulSetController } from "../statefulset/statefulset.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { finish, livePods, makeReady, runAllPods, webTemplate } from "../testing/workloads.ts";
import { daemonSetController } from "./daemonset.ts";
import { FailureBackOff } from "./failure-back-off.ts";
import { judgeNode, targetNodeOf } from "./node-selection.ts";
import { planUpdate, viewOf } from "./plan.ts";

const key = { namespace: "default", name: "agent" };
const daemonSet = (spec: Partial<DaemonSetSpec> = {}): DaemonSet => ({
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { ...key },
  spec: {
    selector: { matchLabels: { app: "web" } },
    template: webTemplate(),
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    ...spec,
  },
});

describe("judgeNode", () => {
  const taint = (keyOfTaint: string, effect: string) =>
    testNode("a", { spec: { taints: [{ key: keyOfTaint, effect }] } });

  test("a node's troubles do not keep daemons away, but taints that people set do", () => {
    const all = { shouldRun: true, shouldStay: true };
    expect(judgeNode(daemonSet(), testNode("a"))).toEqual(all);
    expect(judgeNode(daemonSet(), taint("node.kubernetes.io/unschedulable", "NoSchedule"))).toEqual(all);
    expect(judgeNode(daemonSet(), taint("node.kubernetes.io/unreachable", "NoExecute"))).toEqual(all);
    expect(judgeNode(daemonSet(), taint("mine", "NoSchedule"))).toEqual({ shouldRun: false, shouldStay: true });
    expect(judgeNode(daemonSet(), taint("mine", "NoExecute"))).toEqual({ shouldRun: false, shouldStay: false });
    expect(judgeNode(daemonSet(), taint("mine", "PreferNoSchedule"))).toEqual(all);
  });

  test("only hostNetwork stands a network that is not there", () => {
    const node = taint("node.kubernetes.io/network-unavailable", "NoSchedule");
    expect(judgeNode(daemonSet(), node).shouldRun).toBe(false);
    const template = webTemplate();
    if (template.spec) template.spec.hostNetwork = true;
    expect(judgeNode(daemonSet({ template }), node).shouldRun).toBe(true);
  });
});

describe("planUpdate", () => {
  const pod = (name: string, node: string, hash: string, ready = true): Pod =>
    testPod(
      name,
      { nodeName: node },
      {
        labels: { "controller-revision-hash": hash },
        status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
      },
    );
  const three = [testNode("a"), testNode("b"), testNode("c")];
  const plan = (set: DaemonSet, all: readonly Pod[]) => {
    const { create, remove } = planUpdate(viewOf(set, "new", three, all, 0));
    return { create, remove: remove.map(({ metadata }) => metadata.name) };
  };

  test("replaces what is not available at once, and what is as far as allowed", () => {
    const old = [pod("a1", "a", "old", false), pod("b1", "b", "old"), pod("c1", "c", "old")];
    expect(plan(daemonSet(), old)).toEqual({ create: [], remove: ["a1"] });
    const two = daemonSet({ updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "50%" } } });
    expect(plan(two, old)).toEqual({ create: [], remove: ["a1", "b1"] });
    expect(plan(daemonSet({ updateStrategy: { type: "OnDelete" } }), old)).toEqual({ create: [], remove: [] });
  });

  test("with a surge the old one stays until the new one is available", () => {
    const surging = daemonSet({
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    });
    const old = [pod("a1", "a", "old"), pod("b1", "b", "old"), pod("c1", "c", "old")];
    expect(plan(surging, old)).toEqual({ create: ["a"], remove: [] });
    expect(plan(surging, [...old, pod("a2", "a", "new", false)])).toEqual({ create: [], remove: [] });
    expect(plan(surging, [...old, pod("a2", "a", "new")])).toEqual({ create: ["b"], remove: ["a1"] });
  });
});

test("a failed daemon is tried again ever more rarely", () => {
  const backOff = new FailureBackOff();
  expect(backOff.attempt("x", 0)).toBe(0);
  expect(backOff.attempt("x", 0)).toBe(1000);
  expect(backOff.attempt("x", 1000)).toBe(0);
  expect(backOff.attempt("x", 1000)).toBe(2000);
});

describe("a DaemonSet", () => {
  let harness: Harness<RecordingClient>;
  beforeEach(async () => {
    harness = await Harness.onApiServer();
  });
  afterEach(() => harness.stop());
  const get = () => harness.client.get(daemonSets, key);
  const targets = async () => (await livePods(harness.client)).map(targetNodeOf).sort();

  test("has a pod on every node that it selects, and follows nodes and labels", async () => {
    const { client } = harness;
    void runAllPods(client, harness.ending);
    for (const name of ["a", "b"]) await client.create(nodes, testNode(name, { labels: { disk: "ssd" } }));
    await client.create(nodes, testNode("c"));
    await harness.run(daemonSetController());
    const template = webTemplate();
    if (template.spec) template.spec.nodeSelector = { disk: "ssd" };
    await client.create(daemonSets, daemonSet({ template }));
    await eventually(async () => (await get()).status?.numberAvailable === 2, "two daemons");
    expect(await targets()).toEqual(["a", "b"]);
    expect((await get()).status).toMatchObject({
      desiredNumberScheduled: 2,
      currentNumberScheduled: 2,
      numberMisscheduled: 0,
      numberReady: 2,
      updatedNumberScheduled: 2,
      observedGeneration: 1,
    });
    await client.patch(nodes, { name: "c" }, { type: "merge", body: { metadata: { labels: { disk: "ssd" } } } });
    await client.patch(nodes, { name: "a" }, { type: "merge", body: { metadata: { labels: { disk: "slow" } } } });
    await eventually(async () => (await targets()).join() === "b,c", "moved");
    await eventually(async () => (await get()).status?.numberAvailable === 2, "counted");
  });

  test("makes no second pod where the first is seen only in the middle of a look", async () => {
    const { client, informers } = harness;
    await client.create(nodes, testNode("a"));
    await harness.run(daemonSetController());
    const release = client.hold(pods);
    await client.create(daemonSets, daemonSet({ updateStrategy: { type: "OnDelete" } }));
    await eventually(() => client.count("create pods") === 1, "the pod");
    const { create } = client;
    client.create = async (...args: Parameters<typeof create>) => {
      if (args[0].plural === "controllerrevisions") {
        release();
        await eventually(() => informers.lister(pods).size === 1, "the pod in the cache");
      }
      return create.apply(client, args) as never;
    };
    const template = webTemplate("example/web:2");
    await client.patch(daemonSets, key, { type: "merge", body: { spec: { template } } });
    const isSeen = async () => (await client.get(daemonSets, key)).status?.observedGeneration === 2;
    await eventually(isSeen, "the second template");
    expect(client.count("create controllerrevisions")).toBe(2);
    expect(client.count("create pods")).toBe(1);
  });

  test("replaces a pod that failed", async () => {
    const { client } = harness;
    await client.create(nodes, testNode("a"));
    await harness.run(daemonSetController());
    await client.create(daemonSets, daemonSet());
    await eventually(async () => (await livePods(client)).length === 1, "a daemon");
    const [first] = await livePods(client);
    if (first) await finish(client, first, "Failed", 1);
    await eventually(async () => {
      const [now] = await livePods(client);
      return now !== undefined && now.metadata.name !== first?.metadata.name;
    }, "another");
    const said = `Warning DaemonSet/agent FailedDaemonPod: Found failed daemon pod default/${first?.metadata.name} on node a, will try to kill it`;
    await eventually(() => harness.recorded.includes(said), "the event");
  });

  test("and a StatefulSet of its name and template keep their revisions apart", async () => {
    const { client } = harness;
    const { selector, template } = daemonSet().spec;
    const spec = { replicas: 0, serviceName: "agent", selector, template };
    await client.create(statefulSets, { apiVersion: "apps/v1", kind: "StatefulSet", metadata: { ...key }, spec });
    await client.create(daemonSets, daemonSet());
    await harness.run(statefulSetController);
    await harness.run(daemonSetController());
    const statefulSet = () => client.get(statefulSets, key);
    await eventually(
      async () =>
        (await get()).status?.observedGeneration === 1 && (await statefulSet()).status?.updateRevision !== undefined,
      "both are seen to",
    );
    expect((await get()).status?.collisionCount).toBeUndefined();
    expect((await statefulSet()).status?.collisionCount).toBe(0);
  });

  test("rolls to a new template and back, keeping revisions", async () => {
    const { client } = harness;
    void runAllPods(client, harness.ending);
    for (const name of ["a", "b"]) await client.create(nodes, testNode(name));
    await harness.run(daemonSetController());
    await client.create(daemonSets, daemonSet());
    await eventually(async () => (await get()).status?.numberAvailable === 2, "two daemons");
    const roll = async (image: string) => {
      await client.patch(daemonSets, key, { type: "merge", body: { spec: { template: webTemplate(image) } } });
      await eventually(async () => {
        const { status, metadata } = await get();
        const images = (await livePods(client)).map(({ spec }) => spec?.containers[0]?.image);
        return (
          status?.observedGeneration === metadata.generation &&
          status?.updatedNumberScheduled === 2 &&
          status.numberAvailable === 2 &&
          images.length === 2 &&
          images.every((one) => one === image)
        );
      }, image);
    };
    await roll("example/web:2");
    const revisions = async () =>
      (await client.list(controllerRevisions)).items.map(({ revision }) => revision).sort((a, b) => a - b);
    expect(await revisions()).toEqual([1, 2]);
    await roll("example/web:1");
    expect(await revisions()).toEqual([2, 3]);
  });

  test("under OnDelete changes only what is deleted by hand", async () => {
    const { client } = harness;
    await client.create(nodes, testNode("a"));
    await harness.run(daemonSetController());
    await client.create(daemonSets, daemonSet({ updateStrategy: { type: "OnDelete" } }));
    await eventually(async () => (await livePods(client)).length === 1, "a daemon");
    const [first] = await livePods(client);
    if (first) await makeReady(client, first);
    const body = { spec: { template: webTemplate("example/web:2") } };
    await client.patch(daemonSets, key, { type: "merge", body });
    await eventually(async () => ((await get()).status?.updatedNumberScheduled ?? 0) === 0, "outdated");
    expect((await livePods(client))[0]?.metadata.name).toBe(first?.metadata.name);
    await client.delete(pods, { namespace: "default", name: first?.metadata.name ?? "" });
    await eventually(
      async () => (await livePods(client))[0]?.spec?.containers[0]?.image === "example/web:2",
      "renewed",
    );
  });
});
