import { expect } from "bun:test";
import {
  events,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
  volumeAttachments,
  volumeAttributesClasses,
} from "#shared/api/resources.ts";
import type { PersistentVolumeClaimSpec, PersistentVolumeSpec } from "#shared/api/types/core-v1.generated.ts";
import { eventually } from "../../../master/controllers/testing/eventually.ts";
import type { Rows, Stage } from "./stage.ts";

const makeVolume = (stage: Stage, name: string, spec: Partial<PersistentVolumeSpec>) =>
  stage.admin.create(persistentVolumes, {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name },
    spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], ...spec },
  });
const makeClaim = (stage: Stage, name: string, spec: Partial<PersistentVolumeClaimSpec> = {}) =>
  stage.admin.create(persistentVolumeClaims, {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: stage.key(name),
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "",
      resources: { requests: { storage: "1Gi" } },
      ...spec,
    },
  });
const bound = (stage: Stage, name: string) =>
  stage.until(persistentVolumeClaims, stage.key(name), ({ status }) => status?.phase === "Bound");
const csi = (name: string) => ({ driver: "disk.example.com", volumeHandle: name });
const using = (claimName: string) => ({ volumes: [{ name: "data", persistentVolumeClaim: { claimName } }] });

/** What brings claims and volumes together, and keeps them while they are used. */
export const volumeRows: Rows = {
  async "persistentvolume-binder-controller"(stage) {
    const failing = "persistentvolume-controller ProvisioningFailed";
    await makeVolume(stage, "folder", { hostPath: { path: "/x" } });
    await makeClaim(stage, "c");
    expect((await bound(stage, "c")).spec?.volumeName).toBe("folder");
    await makeClaim(stage, "unmet", { storageClassName: "none" });
    await eventually(async () => {
      const { items } = await stage.admin.list(events, { namespace: stage.namespace });
      return items.some(({ reason, source }) => `${source?.component} ${reason}` === failing);
    }, failing);
  },
  async "persistentvolumeclaim-protection-controller"(stage) {
    await makeClaim(stage, "kept", { volumeName: "none" });
    await stage.until(persistentVolumeClaims, stage.key("kept"), ({ metadata }) => metadata.finalizers?.length);
    await stage.pod("user", { nodeName: "board-1", ...using("kept") });
    await stage.until(pods, stage.key("user"), ({ spec }) => spec?.nodeName);
    await stage.admin.delete(persistentVolumeClaims, stage.key("kept"));
    const going = await stage.admin.get(persistentVolumeClaims, stage.key("kept"));
    expect(going.metadata.deletionTimestamp).toBeDefined();
    await stage.admin.delete(pods, stage.key("user"));
    await stage.gone(persistentVolumeClaims, stage.key("kept"));
  },
  async "persistentvolume-protection-controller"(stage) {
    await makeVolume(stage, "held", { hostPath: { path: "/y" }, storageClassName: "held" });
    await makeClaim(stage, "holder", { storageClassName: "held" });
    await bound(stage, "holder");
    await stage.admin.delete(persistentVolumes, { name: "held" });
    expect((await stage.admin.get(persistentVolumes, { name: "held" })).metadata.deletionTimestamp).toBeDefined();
    await stage.admin.delete(persistentVolumeClaims, stage.key("holder"));
    await stage.gone(persistentVolumes, { name: "held" });
  },
  async "volumeattributesclass-protection-controller"(stage) {
    const key = { name: "fast" };
    await stage.admin.create(volumeAttributesClasses, {
      apiVersion: "storage.k8s.io/v1",
      kind: "VolumeAttributesClass",
      metadata: key,
      driverName: "disk.example.com",
      parameters: { iops: "100" },
    });
    await stage.until(volumeAttributesClasses, key, ({ metadata }) => metadata.finalizers?.length);
    await stage.admin.delete(volumeAttributesClasses, key);
    await stage.gone(volumeAttributesClasses, key);
  },
  async "ephemeral-volume-controller"(stage) {
    const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
    await stage.pod("p", { volumes: [{ name: "scratch", ephemeral: { volumeClaimTemplate: { spec } } }] });
    const claim = await stage.until(persistentVolumeClaims, stage.key("p-scratch"), () => true);
    expect(claim.metadata.ownerReferences?.[0]?.kind).toBe("Pod");
  },
  async "local-path-provisioner"(stage) {
    await stage.admin.create(storageClasses, {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "local-path" },
      provisioner: "bramble.dev/local-path",
      volumeBindingMode: "WaitForFirstConsumer",
    });
    await makeClaim(stage, "own", { storageClassName: "local-path" });
    await stage.pod("p", using("own"));
    const pod = await stage.until(pods, stage.key("p"), ({ spec }) => spec?.nodeName);
    const claim = await bound(stage, "own");
    const made = await stage.admin.get(persistentVolumes, { name: claim.spec?.volumeName ?? "" });
    expect(JSON.stringify(made.spec?.nodeAffinity)).toContain(pod.spec?.nodeName ?? "nowhere");
  },
  async "persistentvolume-expander-controller"(stage) {
    const name = "growing";
    await stage.admin.create(storageClasses, {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name },
      provisioner: "disk.example.com",
      allowVolumeExpansion: true,
    });
    await makeVolume(stage, name, { csi: csi(name), storageClassName: name });
    await makeClaim(stage, name, { storageClassName: name });
    await bound(stage, name);
    const body = { spec: { resources: { requests: { storage: "2Gi" } } } };
    await stage.admin.patch(persistentVolumeClaims, stage.key(name), { type: "merge", body });
    await eventually(async () => {
      const { items } = await stage.admin.list(events, { namespace: stage.namespace });
      return items.some(({ reason }) => reason === "ExternalExpanding");
    }, "the event");
  },
  async "persistentvolume-attach-detach-controller"(stage) {
    const name = "attached";
    await makeVolume(stage, name, { csi: csi(name), storageClassName: name });
    await makeClaim(stage, name, { storageClassName: name });
    await bound(stage, name);
    await stage.pod("p", { nodeName: "board-1", ...using(name) });
    const attachments = async () => (await stage.admin.list(volumeAttachments)).items;
    await eventually(async () => (await attachments()).length === 1, "the attachment");
    expect((await attachments())[0]?.spec.source.persistentVolumeName).toBe(name);
    await stage.admin.delete(pods, stage.key("p"));
    await eventually(async () => (await attachments()).length === 0, "no attachment");
  },
};
