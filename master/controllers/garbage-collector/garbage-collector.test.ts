import { afterEach, describe, expect, test } from "bun:test";
import { isNotFound } from "#shared/api/errors.ts";
import { configMaps, events, nodes, pods, replicaSets, secrets } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { silentLog } from "#shared/client/log.ts";
import { testNode, testPod } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { garbageCollector } from "./garbage-collector.ts";
import { type GraphNode, OwnerGraph } from "./graph.ts";

const reference = (kind: string, name: string, uid: string, blockOwnerDeletion = true): OwnerReference => ({
  apiVersion: kind === "ReplicaSet" ? "apps/v1" : "v1",
  kind,
  name,
  uid,
  blockOwnerDeletion,
});

describe("OwnerGraph", () => {
  const node = (uid: string, owners: string[] = [], more: Partial<GraphNode> = {}): GraphNode => ({
    ref: configMaps as GraphNode["ref"],
    uid,
    name: uid,
    namespace: "ns",
    owners: owners.map((owner) => reference("ConfigMap", owner, owner)),
    isDeleted: false,
    awaitsDependents: false,
    orphansDependents: false,
    ...more,
  });

  test("a dependent whose owner is not known is looked at, one whose owner lives is not", () => {
    const graph = new OwnerGraph();
    expect(graph.put(node("d", ["o"])).examine).toEqual(["d"]);
    graph.put(node("o"));
    expect(graph.put(node("e", ["o"])).examine).toEqual([]);
    expect(graph.delete("o").examine.toSorted()).toEqual(["d", "e"]);
  });

  test("an owner that waits is looked at when a dependent goes or is given away", () => {
    const graph = new OwnerGraph();
    graph.put(node("o"));
    graph.put(node("d", ["o"]));
    graph.put(node("e", ["o"]));
    expect(graph.put(node("o", [], { isDeleted: true, awaitsDependents: true })).examine).toEqual(["o", "d", "e"]);
    expect(graph.delete("d").examine).toEqual(["o"]);
    expect(graph.put(node("e", [])).examine).toEqual(["o"]);
    expect(graph.blockingDependentsOf("o")).toEqual([]);
  });

  test("a dependent that changes in other ways has nothing looked at while its owner waits", () => {
    const graph = new OwnerGraph();
    graph.put(node("o"));
    graph.put(node("d", ["o"]));
    graph.put(node("o", [], { isDeleted: true, awaitsDependents: true }));
    expect(graph.put(node("d", ["o"])).examine).toEqual([]);
    expect(graph.put(node("d", ["o"], { isDeleted: true })).examine).toEqual([]);
    // One that comes after its owner began to wait must go as well.
    expect(graph.put(node("late", ["o"])).examine).toEqual(["late"]);
  });
});

describe("collecting", () => {
  let harness: Harness<RecordingClient>;
  let stop: () => Promise<void>;
  afterEach(async () => {
    await stop();
    await harness.stop();
  });

  async function start(): Promise<Harness<RecordingClient>> {
    harness = await Harness.onApiServer();
    const { client, informers } = harness;
    const running = await garbageCollector(new ResourceMapper(client)).start({ client, informers, log: silentLog });
    stop = () => running.stop();
    return harness;
  }
  const make = (name: string, owners: OwnerReference[] = [], namespace = "default"): Promise<ConfigMap> =>
    harness.client.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace, ...(owners.length > 0 ? { ownerReferences: owners } : {}) },
    });
  const read = (name: string) => harness.client.get(configMaps, { namespace: "default", name });
  const gone = (name: string) => async (): Promise<boolean> => {
    try {
      await read(name);
      return false;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  };
  const owns = ({ metadata }: ConfigMap, block = true): OwnerReference =>
    reference("ConfigMap", metadata.name ?? "", metadata.uid ?? "", block);
  const remove = (name: string, propagationPolicy?: string) =>
    harness.client.delete(configMaps, { namespace: "default", name }, propagationPolicy ? { propagationPolicy } : {});

  test("in the background, over generations and kinds", async () => {
    const { client } = await start();
    const owner = await make("owner");
    const child = await make("child", [owns(owner)]);
    const pod = testPod("grandchild");
    await client.create(pods, { ...pod, metadata: { ...pod.metadata, ownerReferences: [owns(child)] } });
    await make("other");
    await remove("owner");
    await eventually(gone("child"), "the child gone");
    await eventually(async () => (await client.list(pods)).items.length === 0, "the grandchild gone");
    expect(await gone("other")()).toBe(false);
  });

  test("what never had its owner, and what claims one of another namespace", async () => {
    const { client } = await start();
    await make("lost", [reference("ConfigMap", "never", "no-such-uid")]);
    await eventually(gone("lost"), "lost gone");
    const elsewhere = await make("elsewhere", [], "other");
    await make("stray", [owns(elsewhere)]);
    await eventually(gone("stray"), "stray gone");
    await eventually(async () => JSON.stringify(await client.list(configMaps)).includes("elsewhere"));
  });

  test("an owner that is known to be gone is that one alone, not what else is said to have its UID", async () => {
    await start();
    await make("lost", [reference("ConfigMap", "never", "no-such-uid")]);
    await eventually(gone("lost"), "lost gone");
    await make("kindless", [reference("Thing", "never", "no-such-uid")]);
    await make("lost-later", [reference("ConfigMap", "never", "no-such-uid-either")]);
    await eventually(gone("lost-later"), "lost-later gone");
    expect(await gone("kindless")()).toBe(false);
  });

  test("what names its owner wrongly, though by its UID", async () => {
    await start();
    const owner = await make("owner");
    await make("child", [{ ...owns(owner), name: "other" }]);
    await eventually(gone("child"), "the child gone");
    expect(await gone("owner")()).toBe(false);
  });

  test("what names its owner twice, once wrongly, stays", async () => {
    await start();
    const owner = await make("owner");
    await make("child", [
      owns(owner),
      { ...owns(owner), name: "other" },
      reference("ConfigMap", "never", "no-such-uid"),
    ]);
    await eventually(async () => (await read("child")).metadata.ownerReferences?.length === 1, "one reference");
    expect((await read("child")).metadata.ownerReferences?.[0]?.name).toBe("owner");
  });

  test("each that claims an owner of another namespace is told of", async () => {
    const { client } = await start();
    const [elsewhere, own] = [await make("elsewhere", [], "other"), await make("own")];
    for (const name of ["first", "second"]) {
      await make(name, [owns(elsewhere), owns(own)]);
      await eventually(async () => (await read(name)).metadata.ownerReferences?.length === 1, "one reference");
    }
    const told = async () =>
      (await client.list(events)).items
        .filter(({ reason }) => reason === "OwnerRefInvalidNamespace")
        .map(({ involvedObject }) => involvedObject.name);
    await eventually(async () => (await told()).length === 2, "both events");
    expect((await told()).toSorted()).toEqual(["first", "second"]);
  });

  test("stays while one owner of several lives, without the dead reference", async () => {
    await start();
    const [a, b] = [await make("a"), await make("b")];
    await make("child", [owns(a), owns(b)]);
    await remove("a");
    await eventually(async () => (await read("child")).metadata.ownerReferences?.length === 1, "one reference");
    expect((await read("child")).metadata.ownerReferences?.[0]?.uid).toBe(b.metadata.uid ?? "");
  });

  test("in the foreground: the owner goes last", async () => {
    const { client } = await start();
    const owner = await make("owner");
    const child = await make("child", [owns(owner)]);
    await make("grandchild", [owns(child)]);
    await make("loose", [owns(owner, false)]);
    await remove("owner", "Foreground");
    await eventually(gone("owner"), "the owner gone");
    const deletions = client.writes.filter((write) => write.startsWith("delete"));
    expect(await gone("child")()).toBe(true);
    expect(await gone("grandchild")()).toBe(true);
    expect(deletions[0]).toBe("delete configmaps default/owner");
    await eventually(gone("loose"), "loose gone");
  });

  test("a circle of foreground deletions ends", async () => {
    const { client } = await start();
    const a = await make("a");
    const b = await make("b", [owns(a)]);
    const c = await make("c", [owns(b)]);
    const body = { metadata: { ownerReferences: [owns(c)] } };
    await client.patch(configMaps, { namespace: "default", name: "a" }, { type: "merge", body });
    await remove("a", "Foreground");
    for (const name of ["a", "b", "c"]) await eventually(gone(name), `${name} gone`);
  });

  test("orphans when asked", async () => {
    await start();
    const owner = await make("owner");
    await make("child", [owns(owner)]);
    await remove("owner", "Orphan");
    await eventually(gone("owner"), "the owner gone");
    expect((await read("child")).metadata.ownerReferences ?? []).toEqual([]);
  });

  test("orphans also what it hears of only when the owner has gone", async () => {
    const { client } = await start();
    const ownerKey = { namespace: "default", name: "owner" };
    const owner = await client.create(secrets, { apiVersion: "v1", kind: "Secret", metadata: ownerKey });
    const tellAgain = client.hold(configMaps);
    await make("child", [reference("Secret", "owner", owner.metadata.uid ?? "")]);
    await client.delete(secrets, ownerKey, { propagationPolicy: "Orphan" });
    await eventually(async () => (await client.list(secrets)).items.length === 0, "the owner gone");
    tellAgain();
    await eventually(async () => (await read("child")).metadata.ownerReferences === undefined, "the child free");
  });

  test("a cluster-scoped owner owns in every namespace; another object of its name does not", async () => {
    const { client } = await start();
    const node = await client.create(nodes, testNode("n"));
    const sets = await client.create(replicaSets, {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name: "rs", namespace: "default" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } },
      },
    });
    await make("of-node", [reference("Node", "n", node.metadata.uid ?? "")]);
    await make("of-former", [reference("ReplicaSet", "rs", "former-uid")]);
    await make("of-present", [reference("ReplicaSet", "rs", sets.metadata.uid ?? "")]);
    await eventually(gone("of-former"), "of-former gone");
    expect(await gone("of-node")()).toBe(false);
    expect(await gone("of-present")()).toBe(false);
    await client.delete(nodes, { name: "n" });
    await eventually(gone("of-node"), "of-node gone");
  });
});
