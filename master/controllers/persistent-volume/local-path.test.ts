import { afterEach, beforeEach, expect, test } from "bun:test";
import { localPathFinalizer, localPathFolder, localPathProvisionerName } from "#shared/api/local-path.ts";
import { nodes, persistentVolumeClaims, persistentVolumes, pods, storageClasses } from "#shared/api/resources.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import { Scheduler } from "../../scheduler/scheduler.ts";
import { testNode, testPod } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { volumeBinder } from "./binder.ts";
import { localPathProvisioner } from "./local-path.ts";

let harness: Harness<RecordingClient>;
let scheduler: Scheduler;
beforeEach(async () => {
  harness = await Harness.onApiServer();
  const { client, informers } = harness;
  scheduler = new Scheduler({ client, informers });
  await scheduler.start();
  await harness.run(volumeBinder);
  await harness.run(localPathProvisioner({ storagePath: "/srv/storage" }));
  await client.create(storageClasses, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "local-path" },
    provisioner: localPathProvisionerName,
    volumeBindingMode: "WaitForFirstConsumer",
    allowVolumeExpansion: true,
  });
  await client.create(nodes, testNode("a"));
});
afterEach(async () => {
  await scheduler.stop();
  await harness.stop();
});

const claim = (name: string, more: PersistentVolumeClaim["spec"] = {}): PersistentVolumeClaim => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name, namespace: "default" },
  spec: {
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: "1Gi" } },
    storageClassName: "local-path",
    ...more,
  },
});
const pvc = (name: string) => harness.client.get(persistentVolumeClaims, { namespace: "default", name });
const podWith = (claimName: string) =>
  testPod("p", { volumes: [{ name: "data", persistentVolumeClaim: { claimName } }] });
const volumes = async (): Promise<readonly PersistentVolume[]> => (await harness.client.list(persistentVolumes)).items;
const said = (text: string) => eventually(() => harness.recorded.some((event) => event.includes(text)), text);

/** A claim that is bound to the volume made for it. */
async function boundVolume(): Promise<PersistentVolume> {
  await harness.client.create(persistentVolumeClaims, claim("c"));
  await harness.client.create(pods, podWith("c"));
  await eventually(async () => (await pvc("c")).status?.phase === "Bound", "bound");
  const [volume] = await volumes();
  if (!volume) throw new Error("no volume");
  return volume;
}

test("a claim gets a folder on the board that the scheduler chose, and the pod runs there", async () => {
  const volume = await boundVolume();
  const { uid } = (await pvc("c")).metadata;
  expect(volume).toMatchObject({
    metadata: { name: `pvc-${uid}`, labels: { "bramble.dev/node": "a" } },
    spec: {
      capacity: { storage: "1Gi" },
      persistentVolumeReclaimPolicy: "Delete",
      storageClassName: "local-path",
      local: { path: `/srv/storage/pvc-${uid}_default_c` },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: ["a"] }] }],
        },
      },
    },
  });
  expect(volume.metadata.finalizers).toContain(localPathFinalizer);
  expect(localPathFolder(volume)).toBe(`/srv/storage/pvc-${uid}_default_c`);
  await eventually(
    async () => (await harness.client.get(pods, { namespace: "default", name: "p" })).spec?.nodeName === "a",
    "the pod placed",
  );
});

test("with its claim a volume is deleted, and stays until its board has removed the folder", async () => {
  const { client } = harness;
  const volume = await boundVolume();
  const name = volume.metadata.name ?? "";
  await client.delete(pods, { namespace: "default", name: "p" }, { gracePeriodSeconds: 0 });
  await client.delete(persistentVolumeClaims, { namespace: "default", name: "c" });
  await eventually(async () => (await volumes())[0]?.metadata.deletionTimestamp !== undefined, "deleted");
  await Bun.sleep(50);
  expect(await volumes()).toHaveLength(1);
  await client.patch(persistentVolumes, { name }, { type: "merge", body: { metadata: { finalizers: [] } } });
  await eventually(async () => (await volumes()).length === 0, "gone");
});

test("a volume whose board has left the cluster goes without it", async () => {
  const { client } = harness;
  await boundVolume();
  await client.delete(pods, { namespace: "default", name: "p" }, { gracePeriodSeconds: 0 });
  await client.delete(persistentVolumeClaims, { namespace: "default", name: "c" });
  await client.delete(nodes, { name: "a" });
  await eventually(async () => (await volumes()).length === 0, "gone");
});

test("a volume that is to be retained keeps no finalizer and outlives its claim", async () => {
  const { client } = harness;
  const { metadata } = await boundVolume();
  const name = metadata.name ?? "";
  const body = { spec: { persistentVolumeReclaimPolicy: "Retain" } };
  await client.patch(persistentVolumes, { name }, { type: "merge", body });
  await eventually(
    async () => !(await volumes())[0]?.metadata.finalizers?.includes(localPathFinalizer),
    "no finalizer",
  );
  await client.delete(pods, { namespace: "default", name: "p" }, { gracePeriodSeconds: 0 });
  await client.delete(persistentVolumeClaims, { namespace: "default", name: "c" });
  await eventually(async () => (await volumes())[0]?.status?.phase === "Released", "released");
  expect((await volumes())[0]?.metadata.deletionTimestamp).toBeUndefined();
});

test("a claim grows at once", async () => {
  const { client } = harness;
  await boundVolume();
  const body = { spec: { resources: { requests: { storage: "3Gi" } } } };
  await client.patch(persistentVolumeClaims, { namespace: "default", name: "c" }, { type: "merge", body });
  await eventually(async () => (await pvc("c")).status?.capacity?.["storage"] === "3Gi", "grown");
  expect((await volumes())[0]?.spec?.capacity).toEqual({ storage: "3Gi" });
});

test("what a folder cannot be is refused with the reason", async () => {
  const { client } = harness;
  await client.create(persistentVolumeClaims, claim("shared", { accessModes: ["ReadWriteMany"] }));
  await said("access mode ReadWriteMany needs a volume on the network");
  await client.create(persistentVolumeClaims, claim("block", { volumeMode: "Block" }));
  await said("use volumeMode Filesystem");
  expect(await volumes()).toEqual([]);
});

test("a claim whose chosen board has left is placed anew", async () => {
  const { client } = harness;
  await client.delete(nodes, { name: "a" });
  const chosen = { "volume.kubernetes.io/selected-node": "a" };
  const given = claim("c");
  await client.create(persistentVolumeClaims, { ...given, metadata: { ...given.metadata, annotations: chosen } });
  await eventually(
    async () => (await pvc("c")).metadata.annotations?.["volume.kubernetes.io/selected-node"] === undefined,
    "chosen no more",
  );
});
