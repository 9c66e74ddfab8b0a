import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
  volumeAttributesClasses,
} from "#shared/api/resources.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import { Scheduler } from "../../scheduler/scheduler.ts";
import { testNode, testPod } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { volumeBinder } from "./binder.ts";
import { ephemeralVolumeController } from "./ephemeral-volumes.ts";
import { attributesClassProtection, claimProtection, volumeProtection } from "./protection.ts";

let harness: Harness<RecordingClient>;
beforeEach(async () => {
  harness = await Harness.onApiServer();
  await harness.run(volumeBinder);
});
afterEach(() => harness.stop());

const volume = (name: string, storage: string, more: PersistentVolume["spec"] = {}): PersistentVolume => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name },
  spec: {
    capacity: { storage },
    accessModes: ["ReadWriteOnce"],
    persistentVolumeReclaimPolicy: "Retain",
    hostPath: { path: "/x" },
    ...more,
  },
});
const claim = (name: string, storage: string, more: PersistentVolumeClaim["spec"] = {}): PersistentVolumeClaim => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name, namespace: "default" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } }, ...more },
});
const pv = (name: string) => harness.client.get(persistentVolumes, { name });
const pvc = (name: string) => harness.client.get(persistentVolumeClaims, { namespace: "default", name });

test("a claim takes the smallest volume that is big enough; the volume is released with it", async () => {
  const { client } = harness;
  await client.create(persistentVolumes, volume("big", "10Gi"));
  await client.create(persistentVolumes, volume("fit", "2Gi"));
  await client.create(persistentVolumes, volume("small", "1Gi"));
  await client.create(persistentVolumeClaims, claim("c", "2Gi"));
  await eventually(async () => (await pvc("c")).status?.phase === "Bound", "bound");
  expect(await pvc("c")).toMatchObject({
    spec: { volumeName: "fit" },
    status: { capacity: { storage: "2Gi" }, accessModes: ["ReadWriteOnce"] },
  });
  expect((await pv("fit")).status?.phase).toBe("Bound");
  await eventually(async () => (await pv("big")).status?.phase === "Available");
  await client.delete(persistentVolumeClaims, { namespace: "default", name: "c" });
  await eventually(async () => (await pv("fit")).status?.phase === "Released", "released");
});

test("a claim waits, says why, and is bound when a volume comes", async () => {
  const { client } = harness;
  await client.create(persistentVolumeClaims, claim("c", "1Gi"));
  await eventually(() => harness.recorded.length > 0);
  expect(harness.recorded[0]).toBe(
    "Normal PersistentVolumeClaim/c FailedBinding: no persistent volumes available for this claim and no storage class is set",
  );
  await client.create(persistentVolumes, volume("v", "1Gi"));
  await eventually(async () => (await pvc("c")).status?.phase === "Bound", "bound");
  await client.delete(persistentVolumes, { name: "v" });
  await eventually(async () => (await pvc("c")).status?.phase === "Lost", "lost");
});

test("a claim that has lost its volume is bound again when one of that name comes", async () => {
  const { client } = harness;
  await client.create(persistentVolumes, volume("v", "1Gi"));
  await client.create(persistentVolumeClaims, claim("c", "1Gi"));
  await eventually(async () => (await pvc("c")).status?.phase === "Bound", "bound");
  await client.delete(persistentVolumes, { name: "v" });
  await eventually(async () => (await pvc("c")).status?.phase === "Lost", "lost");
  await client.create(persistentVolumes, volume("v", "1Gi"));
  await eventually(async () => (await pvc("c")).status?.phase === "Bound", "bound again");
  expect((await pv("v")).spec?.claimRef?.uid).toBe((await pvc("c")).metadata.uid ?? "");
});

test("an external provisioner is asked", async () => {
  const { client } = harness;
  await client.create(storageClasses, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "fast" },
    provisioner: "example.com/disk",
  });
  await client.create(persistentVolumeClaims, claim("c", "1Gi", { storageClassName: "fast" }));
  await eventually(
    async () =>
      (await pvc("c")).metadata.annotations?.["volume.kubernetes.io/storage-provisioner"] === "example.com/disk",
  );
});

test("of a class that names a former plugin of Kubernetes the driver in its place is asked", async () => {
  const { client } = harness;
  await client.create(storageClasses, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "old" },
    provisioner: "kubernetes.io/cinder",
  });
  await client.create(persistentVolumeClaims, claim("c", "1Gi", { storageClassName: "old" }));
  const driver = "cinder.csi.openstack.org";
  await eventually(async () => (await pvc("c")).metadata.annotations !== undefined, "the annotations");
  expect((await pvc("c")).metadata.annotations).toEqual({
    "volume.kubernetes.io/storage-provisioner": driver,
    "volume.beta.kubernetes.io/storage-provisioner": driver,
  });
  await eventually(
    () => harness.recorded.some((line) => line.includes(`external provisioner '${driver}'`)),
    "the event",
  );
});

test("what a former plugin made is the driver's, and a driver's is none that was moved", async () => {
  const { client } = harness;
  const made = (name: string, annotations: Record<string, string>) => {
    const object = volume(name, "1Gi");
    return { ...object, metadata: { ...object.metadata, annotations } };
  };
  await client.create(persistentVolumes, made("old", { "pv.kubernetes.io/provisioned-by": "kubernetes.io/aws-ebs" }));
  await client.create(
    persistentVolumes,
    made("new", {
      "pv.kubernetes.io/provisioned-by": "ebs.csi.aws.com",
      "pv.kubernetes.io/migrated-to": "ebs.csi.aws.com",
    }),
  );
  const movedTo = async (name: string) => (await pv(name)).metadata.annotations?.["pv.kubernetes.io/migrated-to"];
  await eventually(async () => (await movedTo("old")) === "ebs.csi.aws.com", "the old one's driver");
  await eventually(async () => (await movedTo("new")) === undefined, "the new one");
  const asked = claim("c", "9Gi");
  const annotations = { "volume.beta.kubernetes.io/storage-provisioner": "kubernetes.io/gce-pd" };
  await client.create(persistentVolumeClaims, { ...asked, metadata: { ...asked.metadata, annotations } });
  await eventually(
    async () => (await pvc("c")).metadata.annotations?.["pv.kubernetes.io/migrated-to"] === "pd.csi.storage.gke.io",
    "the claim's driver",
  );
});

test("the scheduler chooses the volume of a claim that waits for its pod", async () => {
  const { client, informers } = harness;
  const scheduler = new Scheduler({ client, informers });
  await scheduler.start();
  await client.create(storageClasses, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "local" },
    provisioner: "kubernetes.io/no-provisioner",
    volumeBindingMode: "WaitForFirstConsumer",
  });
  for (const name of ["a", "b"]) await client.create(nodes, testNode(name));
  const onB = {
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: ["b"] }] }],
    },
  };
  await client.create(persistentVolumes, volume("v", "1Gi", { storageClassName: "local", nodeAffinity: onB }));
  await client.create(persistentVolumeClaims, claim("c", "1Gi", { storageClassName: "local" }));
  await eventually(() => harness.recorded.some((event) => event.includes("waiting for first consumer")));
  const volumes = [{ name: "data", persistentVolumeClaim: { claimName: "c" } }];
  await client.create(pods, testPod("p", { volumes }));
  await eventually(
    async () => (await client.get(pods, { namespace: "default", name: "p" })).spec?.nodeName === "b",
    "p on b",
  );
  expect((await pvc("c")).spec?.volumeName).toBe("v");
  await scheduler.stop();
});

test("claims in use and bound volumes outlast their deletion", async () => {
  const { client } = harness;
  await harness.run(claimProtection);
  await harness.run(volumeProtection);
  await client.create(persistentVolumes, volume("v", "1Gi"));
  await client.create(persistentVolumeClaims, claim("c", "1Gi"));
  await eventually(async () => (await pvc("c")).metadata.finalizers?.length === 1);
  await eventually(
    async () => (await pv("v")).metadata.finalizers?.length === 1 && (await pvc("c")).status?.phase === "Bound",
  );
  const volumes = [{ name: "data", persistentVolumeClaim: { claimName: "c" } }];
  await client.create(pods, testPod("p", { volumes, nodeName: "a" }));
  await client.delete(persistentVolumeClaims, { namespace: "default", name: "c" });
  await client.delete(persistentVolumes, { name: "v" });
  expect((await pvc("c")).metadata.deletionTimestamp).toBeDefined();
  // A pod that has ended uses it all the same.
  const ended = { status: { phase: "Succeeded" } };
  const user = { namespace: "default", name: "p" };
  await client.patch(pods, user, { type: "merge", body: ended }, { subresource: "status" });
  await client.create(persistentVolumeClaims, claim("unused", "9Gi"));
  await client.delete(persistentVolumeClaims, { namespace: "default", name: "unused" });
  const left = async () => (await client.list(persistentVolumeClaims)).items.map(({ metadata }) => metadata.name);
  await eventually(async () => !(await left()).includes("unused"), "the unused one gone");
  expect(await left()).toEqual(["c"]);
  // No kubelet is there to confirm its end.
  await client.delete(pods, { namespace: "default", name: "p" }, { gracePeriodSeconds: 0 });
  await eventually(async () => (await client.list(persistentVolumeClaims)).items.length === 0, "the claim gone");
  await eventually(async () => (await client.list(persistentVolumes)).items.length === 0, "the volume gone");
});

test("a class of volume attributes outlasts its deletion while a claim names it", async () => {
  const { client } = harness;
  await harness.run(attributesClassProtection);
  const classes = async (): Promise<number> => (await client.list(volumeAttributesClasses)).items.length;
  for (const name of ["gold", "unused"]) {
    await client.create(volumeAttributesClasses, {
      apiVersion: "storage.k8s.io/v1",
      kind: "VolumeAttributesClass",
      metadata: { name },
      driverName: "example.com",
      parameters: { iops: "3000" },
    });
    await eventually(
      async () => (await client.get(volumeAttributesClasses, { name })).metadata.finalizers?.length === 1,
      "protected",
    );
  }
  await client.create(persistentVolumeClaims, claim("c", "1Gi", { volumeAttributesClassName: "gold" }));
  await eventually(() => harness.informers.lister(persistentVolumeClaims).list().length === 1, "the claim seen");
  for (const name of ["gold", "unused"]) await client.delete(volumeAttributesClasses, { name });
  await eventually(async () => (await classes()) === 1, "the unused class gone");
  expect((await client.get(volumeAttributesClasses, { name: "gold" })).metadata.deletionTimestamp).toBeDefined();
  await client.delete(persistentVolumeClaims, { namespace: "default", name: "c" });
  await eventually(async () => (await classes()) === 0, "the other class gone");
});

test("ephemeral volumes get claims that belong to the pod", async () => {
  const { client } = harness;
  await harness.run(ephemeralVolumeController);
  const template = { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } };
  const pod = await client.create(
    pods,
    testPod("p", { volumes: [{ name: "scratch", ephemeral: { volumeClaimTemplate: template } }] }),
  );
  await eventually(async () => (await client.list(persistentVolumeClaims)).items.length === 1);
  expect((await pvc("p-scratch")).metadata.ownerReferences?.[0]?.uid).toBe(pod.metadata.uid ?? "");
});

test("why a claim is not bound: its pod has no node yet, or the volume that it names does not fit", async () => {
  const { client } = harness;
  await client.create(storageClasses, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "late" },
    provisioner: "kubernetes.io/no-provisioner",
    volumeBindingMode: "WaitForFirstConsumer",
  });
  await client.create(persistentVolumeClaims, claim("waits", "1Gi", { storageClassName: "late" }));
  const told = (text: string) => () => harness.recorded.includes(text);
  const first = "waiting for first consumer to be created before binding";
  await eventually(told(`Normal PersistentVolumeClaim/waits WaitForFirstConsumer: ${first}`));
  const volumes = [{ name: "v", persistentVolumeClaim: { claimName: "waits" } }];
  await client.create(pods, testPod("p", { volumes }));
  await eventually(told("Normal PersistentVolumeClaim/waits WaitForPodScheduled: waiting for pod p to be scheduled"));
  await client.create(persistentVolumes, volume("small", "1Gi"));
  await client.create(persistentVolumeClaims, claim("big", "2Gi", { volumeName: "small" }));
  const why = 'Cannot bind to requested volume "small": requested PV is too small';
  await eventually(told(`Warning PersistentVolumeClaim/big VolumeMismatch: ${why}`));
});

test("an ephemeral volume whose claim is somebody else's is told as upstream does", async () => {
  const { client } = harness;
  await harness.run(ephemeralVolumeController);
  await client.create(persistentVolumeClaims, claim("p-scratch", "1Gi"));
  const template = { spec: claim("x", "1Gi").spec ?? {} };
  await client.create(
    pods,
    testPod("p", { volumes: [{ name: "scratch", ephemeral: { volumeClaimTemplate: template } }] }),
  );
  const why = "PVC default/p-scratch was not created for pod default/p (pod is not owner)";
  await eventually(() => harness.recorded.includes(`Warning Pod/p FailedBinding: ephemeral volume scratch: ${why}`));
});

test("somebody else's claim that comes in the moment of the own one's creation is told, too", async () => {
  const { client } = harness;
  const { create } = client;
  let isFirst = true;
  client.create = async (...args: Parameters<typeof create>) => {
    if (args[0] === persistentVolumeClaims && isFirst) {
      isFirst = false;
      await create.call(client, persistentVolumeClaims, claim("p-scratch", "1Gi"));
    }
    return create.apply(client, args) as never;
  };
  await harness.run(ephemeralVolumeController);
  const template = { spec: claim("x", "1Gi").spec ?? {} };
  const volumes = [{ name: "scratch", ephemeral: { volumeClaimTemplate: template } }];
  await client.create(pods, testPod("p", { volumes }));
  await eventually(() => harness.recorded.some((line) => line.endsWith("(pod is not owner)")), "the event");
});

test("a claim without a class takes the default one that comes later", async () => {
  const { client } = harness;
  await client.create(persistentVolumeClaims, claim("c", "1Gi"));
  await client.create(persistentVolumeClaims, claim("none", "1Gi", { storageClassName: "" }));
  await eventually(() => harness.recorded.length > 1);
  await client.create(storageClasses, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "later", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: "example.com/disk",
  });
  await eventually(async () => (await pvc("c")).spec?.storageClassName === "later", "the default class");
  expect((await pvc("none")).spec?.storageClassName).toBe("");
});

test("a volume that was made for a claim which has another one is left to its provisioner", async () => {
  const { client } = harness;
  await client.create(persistentVolumes, volume("mine", "1Gi"));
  await client.create(persistentVolumeClaims, claim("c", "1Gi"));
  await eventually(async () => (await pvc("c")).status?.phase === "Bound", "bound");
  const { metadata } = await pvc("c");
  const claimRef = { kind: "PersistentVolumeClaim", namespace: "default", name: "c", uid: metadata.uid };
  const made = volume("made", "1Gi", { claimRef, persistentVolumeReclaimPolicy: "Delete" });
  made.metadata.annotations = { "pv.kubernetes.io/provisioned-by": "example.com/disk" };
  await client.create(persistentVolumes, made);
  await eventually(async () => (await pv("made")).status?.phase === "Released", "released");
  expect((await pv("made")).spec?.claimRef?.uid).toBe(metadata.uid);
});

test("of access modes the nearest are given first, and what is reserved for a claim needs neither its class nor its labels", async () => {
  const { client } = harness;
  const modes = ["ReadWriteOnce", "ReadWriteMany"];
  await client.create(persistentVolumes, volume("many", "1Gi", { accessModes: modes }));
  await client.create(persistentVolumes, volume("once", "9Gi"));
  for (const name of ["many", "once"]) await eventually(async () => (await pv(name)).status?.phase === "Available");
  await client.create(persistentVolumeClaims, claim("c", "1Gi"));
  await eventually(async () => (await pvc("c")).status?.phase === "Bound", "bound");
  expect((await pvc("c")).spec?.volumeName).toBe("once");

  const claimRef = { namespace: "default", name: "mine" };
  await client.create(persistentVolumes, volume("reserved", "1Gi", { claimRef, storageClassName: "theirs" }));
  const selector = { matchLabels: { kind: "fast" } };
  await client.create(persistentVolumeClaims, claim("mine", "1Gi", { storageClassName: "other", selector }));
  await eventually(async () => (await pvc("mine")).spec?.volumeName === "reserved", "the reserved one");
});

test("why a volume is not deleted is told by what it is", async () => {
  const { client } = harness;
  const message = async (name: string, source: PersistentVolume["spec"]): Promise<string | undefined> => {
    const claimRef = { namespace: "default", name: "gone", uid: "gone" };
    await client.create(persistentVolumes, {
      ...volume(name, "1Gi", { persistentVolumeReclaimPolicy: "Delete", claimRef, hostPath: undefined, ...source }),
    });
    await eventually(async () => (await pv(name)).status?.phase === "Failed", "failed");
    return (await pv(name)).status?.message;
  };
  expect(await message("h", { hostPath: { path: "/srv/x" } })).toBe(
    "host_path deleter only supports /tmp/.+ but received provided /srv/x",
  );
  expect(await message("n", { nfs: { server: "192.0.2.1", path: "/" } })).toBe(
    'error getting deleter volume plugin for volume "n": no deletable volume plugin matched',
  );
  expect(await message("r", { rbd: { monitors: ["m"], image: "i" } })).toBe(
    'error getting deleter volume plugin for volume "r": no volume plugin matched',
  );
});

test("a claim shows the class of its volume's attributes as of their binding", async () => {
  const { client } = harness;
  const gold = { volumeAttributesClassName: "gold" };
  const csi = { csi: { driver: "example.com", volumeHandle: "v" }, hostPath: undefined };
  await client.create(persistentVolumes, volume("v", "1Gi", { ...csi, ...gold }));
  await client.create(persistentVolumeClaims, claim("c", "1Gi", gold));
  await eventually(async () => (await pvc("c")).status?.phase === "Bound", "bound");
  expect((await pvc("c")).status?.currentVolumeAttributesClassName).toBe("gold");
  await client.delete(persistentVolumes, { name: "v" });
  await eventually(async () => (await pvc("c")).status?.phase === "Lost", "lost");
  expect((await pvc("c")).status).toEqual({ phase: "Lost" });
});

test("a class may be named by the annotation of before there was a field for it", async () => {
  const { client } = harness;
  const annotations = { "volume.beta.kubernetes.io/storage-class": "old" };
  const made = volume("named-by-annotation", "1Gi");
  await client.create(persistentVolumes, { ...made, metadata: { ...made.metadata, annotations } });
  await client.create(persistentVolumes, volume("classless", "1Gi"));
  const asked = claim("c", "1Gi");
  await client.create(persistentVolumeClaims, { ...asked, metadata: { ...asked.metadata, annotations } });
  await client.create(persistentVolumeClaims, claim("d", "1Gi"));
  for (const name of ["c", "d"])
    await eventually(async () => (await pvc(name)).status?.phase === "Bound", `${name} bound`);
  expect((await pvc("c")).spec?.volumeName).toBe("named-by-annotation");
  expect((await pvc("d")).spec?.volumeName).toBe("classless");
});

test("a claim that says it is bound and names no volume is lost", async () => {
  const { client } = harness;
  const annotations = { "pv.kubernetes.io/bind-completed": "yes" };
  const asked = claim("c", "1Gi");
  await client.create(persistentVolumeClaims, { ...asked, metadata: { ...asked.metadata, annotations } });
  await eventually(async () => (await pvc("c")).status?.phase === "Lost", "lost");
  expect(harness.recorded).toEqual([
    "Warning PersistentVolumeClaim/c ClaimLost: Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
  ]);
});
