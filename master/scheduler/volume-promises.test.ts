import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import { persistentVolumeClaims, persistentVolumes, storageClasses } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { defaultProfile } from "./configuration/profile.ts";
import { PodInfo } from "./pod-info.ts";
import { TestCluster, testNode, testPod } from "./testing.ts";

const volume = (name: string, claim?: string): KubeObject =>
  ({
    metadata: { name },
    spec: {
      accessModes: ["ReadWriteOnce"],
      capacity: { storage: "1Gi" },
      storageClassName: "local",
      ...(claim === undefined ? {} : { claimRef: { namespace: "default", name: claim, uid: claim } }),
    },
  }) as unknown as KubeObject;
const claim = (name: string): KubeObject =>
  ({
    metadata: { name, namespace: "default", uid: name },
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "local",
      resources: { requests: { storage: "1Gi" } },
    },
  }) as unknown as KubeObject;
const local = {
  metadata: { name: "local" },
  provisioner: "kubernetes.io/no-provisioner",
  volumeBindingMode: "WaitForFirstConsumer",
} as unknown as KubeObject;
const using = (name: string, claimName: string): PodInfo =>
  new PodInfo(testPod(name, { volumes: [{ name: "v", persistentVolumeClaim: { claimName } }] }));

function start(...volumes: string[]) {
  const cluster = new TestCluster(
    [testNode("a")],
    [],
    [
      ...volumes.map((name) => [persistentVolumes as never, volume(name)] as [never, KubeObject]),
      ...["one", "two"].map((name) => [persistentVolumeClaims as never, claim(name)] as [never, KubeObject]),
      [storageClasses as never, local],
    ],
  );
  const plugin = defaultProfile().plugins.find(({ name }) => name === "VolumeBinding");
  if (!plugin) throw new Error("no such plugin");
  const node = cluster.cache.node("a");
  const fits = (pod: PodInfo): boolean =>
    node !== undefined && plugin.begin(pod, cluster.view)?.filter?.(node) === undefined;
  /** Names of the volumes that are written. */
  const bind = async (pod: PodInfo): Promise<string[]> => {
    const names: string[] = [];
    const client = {
      patch: async (_ref: unknown, key: { name: string }) => void names.push(key.name),
    } as unknown as Client;
    await plugin.preBind?.(pod, "a", client, cluster.view);
    return names;
  };
  return { cluster, plugin, fits, bind };
}

test("pods that are decided on at once get volumes of their own", async () => {
  const { cluster, plugin, bind } = start("v1", "v2");
  const [first, second] = [using("first", "one"), using("second", "two")];
  for (const pod of [first, second]) plugin.reserve?.(pod, "a", cluster.view);
  expect([await bind(first), await bind(second)]).toEqual([["v1"], ["v2"]]);
});

test("a volume that a pod is promised is no other's, until the pod gives it back", () => {
  const { cluster, plugin, fits } = start("v1");
  const [first, second] = [using("first", "one"), using("second", "two")];
  expect(fits(second)).toBe(true);
  plugin.reserve?.(first, "a", cluster.view);
  expect([fits(first), fits(second)]).toEqual([true, false]);
  plugin.release?.(first);
  expect(fits(second)).toBe(true);
});

test("what is written stays promised until the cache shows it, and is then what the cache shows", async () => {
  const { cluster, plugin, fits, bind } = start("v1");
  const [first, second] = [using("first", "one"), using("second", "two")];
  plugin.reserve?.(first, "a", cluster.view);
  await bind(first);
  plugin.release?.(first);
  expect(fits(second)).toBe(false);
  cluster.store(persistentVolumes as never).set(volume("v1", "one"));
  expect([fits(first), fits(second)]).toEqual([true, false]);
  cluster.store(persistentVolumes as never).set(volume("v1"));
  expect(fits(second)).toBe(true);
});

test("pods that share a claim share its volume", async () => {
  const { cluster, plugin, bind } = start("v1", "v2");
  const [first, second] = [using("first", "one"), using("second", "one")];
  for (const pod of [first, second]) plugin.reserve?.(pod, "a", cluster.view);
  expect(await bind(first)).toEqual(["v1"]);
  expect(await bind(second)).toEqual(["v1"]);
});
