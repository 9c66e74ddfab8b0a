import { afterEach, beforeEach, expect, test } from "bun:test";
import { nodes, persistentVolumeClaims, persistentVolumes, pods, volumeAttachments } from "#shared/api/resources.ts";
import type { Node, PersistentVolume } from "#shared/api/types/core-v1.generated.ts";
import type { VolumeAttachment } from "#shared/api/types/storage-v1.generated.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { testNode, testPod } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { attachDetachController } from "./attach-detach.ts";
import { type AttachmentFacts, attachmentOf, longestUnmount_ms, planAttachments } from "./attachment-plan.ts";
import { volumeExpander } from "./expansion.ts";
import { UnneededAttachments } from "./unneeded-attachments.ts";
import { volumeFamilies } from "./volume-families.ts";

const volume = (name: string, mode = "ReadWriteOnce", claim?: string): PersistentVolume => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name },
  spec: {
    capacity: { storage: "1Gi" },
    accessModes: [mode],
    csi: { driver: "disk.example.com", volumeHandle: `handle-${name}` },
    ...(claim ? { claimRef: { kind: "PersistentVolumeClaim", namespace: "default", name: claim } } : {}),
  },
});
const attachment = (of: PersistentVolume, nodeName: string, attached = true): VolumeAttachment => ({
  apiVersion: "storage.k8s.io/v1",
  kind: "VolumeAttachment",
  metadata: { name: attachmentOf(of, nodeName) },
  spec: { attacher: "disk.example.com", nodeName, source: { persistentVolumeName: of.metadata.name } },
  status: { attached },
});
const inUse = "kubernetes.io/csi/disk.example.com^handle-v";
const node = (
  ready: "True" | "Unknown",
  volumesInUse: string[] = [],
  taints: { key: string; effect: string }[] = [],
) => {
  const made = testNode("a", { spec: { taints } });
  return { ...made, status: { ...made.status, volumesInUse, conditions: [{ type: "Ready", status: ready }] } } as Node;
};
const facts = (more: Partial<AttachmentFacts>): AttachmentFacts => ({
  node: node("True"),
  nodeName: "a",
  wanted: [],
  present: [],
  elsewhere: () => [],
  usersOn: () => [],
  unneededFor_ms: () => 0,
  ...more,
});
const kinds = (more: Partial<AttachmentFacts>): string[] => planAttachments(facts(more)).steps.map(({ kind }) => kind);

test("the attachment's name is the one that every kubelet and attacher works out", () => {
  // sha256 of "handle-v" + "disk.example.com" + "a", by sha256sum.
  const digest = new Bun.CryptoHasher("sha256").update("handle-vdisk.example.coma").digest("hex");
  expect(attachmentOf(volume("v"), "a")).toBe(`csi-${digest}`);
});

test("a volume that pods need is attached, once, and on one node unless it allows more", () => {
  const v = volume("v");
  const wanted = [{ volume: v, pods: [testPod("p")] }];
  expect(kinds({ wanted })).toEqual(["attach"]);
  expect(kinds({ wanted, present: [{ attachment: attachment(v, "a", false), volume: v }] })).toEqual([]);
  expect(kinds({ wanted, present: [{ attachment: attachment(v, "a"), volume: v }] })).toEqual(["succeeded"]);
  expect(kinds({ wanted, elsewhere: () => ["b"] })).toEqual(["refuse"]);
  const shared = [{ volume: volume("v", "ReadWriteMany"), pods: [] }];
  expect(kinds({ wanted: shared, elsewhere: () => ["b"] })).toEqual(["attach"]);
  expect(kinds({ wanted, node: undefined })).toEqual([]);
});

test("why a volume is not attached: who has it, or what its driver says", () => {
  const v = volume("v");
  const wanted = [{ volume: v, pods: [] }];
  const messages = (more: Partial<AttachmentFacts>): unknown[] =>
    planAttachments(facts({ wanted, ...more })).steps.map((step) => ("message" in step ? step.message : step.kind));
  expect(messages({ elsewhere: () => ["b"] })).toEqual([
    `Multi-Attach error for volume "v" Volume is already exclusively attached to one node and can't be attached to another`,
  ]);
  expect(messages({ elsewhere: () => ["b"], usersOn: () => [testPod("p"), testPod("q")] })).toEqual([
    'Multi-Attach error for volume "v" Volume is already used by pod(s) p, q',
  ]);
  const failed = attachment(v, "a", false);
  failed.status = { attached: false, attachError: { message: "rpc error: no such disk" } };
  expect(messages({ present: [{ attachment: failed, volume: v }] })).toEqual([
    'AttachVolume.Attach failed for volume "v" : rpc error: no such disk',
  ]);
});

test("a volume that is still mounted is let go only of a node that is out of service or silent for long", () => {
  const v = volume("v");
  const present = [{ attachment: attachment(v, "a"), volume: v }];
  expect(kinds({ present })).toEqual(["detach"]);
  expect(kinds({ present, node: undefined })).toEqual(["detach"]);
  expect(kinds({ present, node: node("True", [inUse]), unneededFor_ms: () => longestUnmount_ms + 1 })).toEqual([]);
  expect(kinds({ present, node: node("Unknown", [inUse]) })).toEqual([]);
  const silent = { node: node("Unknown", [inUse]), unneededFor_ms: () => longestUnmount_ms + 1 };
  expect(kinds({ present, ...silent })).toEqual(["detach"]);
  const out = [{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }];
  expect(kinds({ present, node: node("Unknown", [inUse], out) })).toEqual(["detach"]);
});

test("attachments count as unneeded from when that was seen, and nothing is kept of those that are gone", () => {
  const unneeded = new UnneededAttachments();
  const v = volume("v");
  const present = [{ attachment: attachment(v, "a"), volume: v }];
  const name = attachmentOf(v, "a");
  unneeded.note(facts({ present }), 1_000);
  unneeded.note(facts({ present }), 3_000);
  expect([unneeded.isOn("a"), unneeded.for_ms("a", name, 5_000)]).toEqual([true, 4_000]);
  unneeded.note(facts({ present, wanted: [{ volume: v, pods: [] }] }), 6_000);
  expect([unneeded.isOn("a"), unneeded.for_ms("a", name, 7_000)]).toEqual([false, 0]);
  // Deleted, it stays until its driver has detached it.
  unneeded.note(facts({ present }), 8_000);
  unneeded.note(facts({}), 9_000);
  expect([unneeded.size, unneeded.for_ms("a", name, 600_000)]).toEqual([0, 0]);
});

test("what is taken from a node that has it mounted is counted by why", () => {
  const v = volume("v");
  const present = [{ attachment: attachment(v, "a"), volume: v }];
  const forced = (more: Partial<AttachmentFacts>): unknown =>
    planAttachments(facts({ present, ...more })).steps.map((step) => step.kind === "detach" && step.forced);
  const out = [{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }];
  expect(forced({ node: node("Unknown", [inUse], out) })).toEqual(["out-of-service"]);
  expect(forced({ node: node("Unknown", [], out) })).toEqual([undefined]);
  const late = () => longestUnmount_ms + 1;
  expect(forced({ node: node("Unknown", [inUse]), unneededFor_ms: late })).toEqual(["timeout"]);
});

test("volumes, claims and attachments are counted under upstream's names", () => {
  const bound = { ...volume("bound"), status: { phase: "Bound" } };
  const going = attachment(bound, "a");
  going.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
  const families = volumeFamilies({
    volumes: [bound, volume("free")],
    claims: [{ ...claim("c", "bound"), status: { phase: "Bound" } }, claim("d", "")],
    attachments: [going, attachment(volume("free"), "b", false)],
  });
  expect(
    renderPrometheus(families)
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#")),
  ).toEqual([
    'pv_collector_total_pv_count{plugin_name="kubernetes.io/csi:disk.example.com",volume_mode="Filesystem"} 2',
    'pv_collector_bound_pv_count{storage_class=""} 1',
    'pv_collector_unbound_pv_count{storage_class=""} 1',
    'pv_collector_bound_pvc_count{namespace="default",storage_class="",volume_attributes_class=""} 1',
    'pv_collector_unbound_pvc_count{namespace="default",storage_class="",volume_attributes_class=""} 1',
    'attachdetach_controller_total_volumes{plugin_name="kubernetes.io/csi:disk.example.com",state="desired_state_of_world"} 1',
    'attachdetach_controller_total_volumes{plugin_name="kubernetes.io/csi:disk.example.com",state="actual_state_of_world"} 1',
  ]);
});

test("what is about to be detached is no longer reported as attached", () => {
  const v = volume("v");
  const present = [{ attachment: attachment(v, "a"), volume: v }];
  expect(planAttachments(facts({ present, wanted: [{ volume: v, pods: [] }] })).reported).toEqual([inUse]);
  expect(planAttachments(facts({ present })).reported).toEqual([]);
});

let harness: Harness<RecordingClient>;
beforeEach(async () => {
  harness = await Harness.onApiServer();
});
afterEach(() => harness.stop());

const claim = (name: string, volumeName: string, storage = "1Gi") => ({
  apiVersion: "v1" as const,
  kind: "PersistentVolumeClaim" as const,
  metadata: { name, namespace: "default", annotations: { "pv.kubernetes.io/bind-completed": "yes" } },
  spec: {
    accessModes: ["ReadWriteOnce"],
    storageClassName: "",
    volumeName,
    resources: { requests: { storage } },
  },
});

test("attachments come with a node's pods and go with them, and the node's status tells", async () => {
  const { client } = harness;
  const managed = testNode("a");
  managed.metadata.annotations = { "volumes.kubernetes.io/controller-managed-attach-detach": "true" };
  await client.create(nodes, managed);
  await client.create(nodes, testNode("unmanaged"));
  await client.create(persistentVolumes, volume("v", "ReadWriteOnce", "c"));
  await client.create(persistentVolumeClaims, claim("c", "v"));
  await harness.run(attachDetachController());
  const uses = { volumes: [{ name: "data", persistentVolumeClaim: { claimName: "c" } }] };
  await client.create(pods, testPod("p", { nodeName: "a", ...uses }));
  await client.create(pods, testPod("q", { nodeName: "unmanaged", ...uses }));
  const name = attachmentOf(volume("v"), "a");
  const all = async () => (await client.list(volumeAttachments)).items;
  await eventually(async () => (await all()).length === 1, "the attachment");
  const [made] = await all();
  expect(made?.metadata.name).toBe(name);
  expect(made?.spec).toEqual({
    attacher: "disk.example.com",
    nodeName: "a",
    source: { persistentVolumeName: "v" },
  });
  // What the driver's attacher says.
  const attached = { status: { attached: true } };
  await client.patch(volumeAttachments, { name }, { type: "merge", body: attached }, { subresource: "status" });
  const reported = async () => (await client.get(nodes, { name: "a" })).status?.volumesAttached ?? [];
  await eventually(async () => (await reported()).length === 1, "the node's status");
  await eventually(() => harness.recorded.some((line) => line.includes("SuccessfulAttachVolume")), "the event");
  await client.delete(pods, { namespace: "default", name: "p" }, { gracePeriodSeconds: 0 });
  await eventually(async () => (await all()).length === 0, "the attachment gone");
  expect(await reported()).toEqual([]);
});

test("pods are told once that another node has their volume, whoever uses it there", async () => {
  const { client } = harness;
  for (const name of ["a", "b"]) {
    const managed = testNode(name);
    managed.metadata.annotations = { "volumes.kubernetes.io/controller-managed-attach-detach": "true" };
    await client.create(nodes, managed);
  }
  await client.create(persistentVolumes, volume("v", "ReadWriteOnce", "c"));
  await client.create(persistentVolumeClaims, claim("c", "v"));
  const running = await harness.run(attachDetachController());
  const uses = { volumes: [{ name: "data", persistentVolumeClaim: { claimName: "c" } }] };
  await client.create(pods, testPod("p", { nodeName: "a", ...uses }));
  const name = attachmentOf(volume("v"), "a");
  const all = async () => (await client.list(volumeAttachments)).items;
  await eventually(async () => (await all()).length === 1, "the attachment");
  // Its driver takes its time.
  await client.patch(volumeAttachments, { name }, { type: "merge", body: { metadata: { finalizers: ["x/driver"] } } });
  const seen = () => harness.informers.lister(volumeAttachments).get(name);
  await eventually(() => seen()?.metadata.finalizers?.length === 1, "the controller's sight of it");
  await client.create(pods, testPod("q", { nodeName: "b", ...uses }));
  const told = () => harness.recorded.filter((line) => line.includes("Multi-Attach"));
  await eventually(() => told().length > 0, "the event");
  await client.delete(pods, { namespace: "default", name: "p" }, { gracePeriodSeconds: 0 });
  await eventually(async () => (await all())[0]?.metadata.deletionTimestamp !== undefined, "the detach");
  running.queue.add("b");
  await eventually(() => !running.queue.busy, "another look at the node that waits");
  await client.patch(volumeAttachments, { name }, { type: "merge", body: { metadata: { finalizers: null } } });
  await eventually(async () => {
    running.queue.add("b");
    return (await all())[0]?.spec.nodeName === "b";
  }, "the other's attachment");
  expect(told()).toEqual([
    'Warning Pod/q FailedAttachVolume: Multi-Attach error for volume "v" Volume is already used by pod(s) p',
  ]);
});

test("pods are told ever more seldom that a driver cannot attach their volume", async () => {
  const { client } = harness;
  const managed = testNode("a");
  managed.metadata.annotations = { "volumes.kubernetes.io/controller-managed-attach-detach": "true" };
  await client.create(nodes, managed);
  await client.create(persistentVolumes, volume("v", "ReadWriteOnce", "c"));
  await client.create(persistentVolumeClaims, claim("c", "v"));
  const clock = new ManualClock();
  const running = await harness.run(attachDetachController(), clock);
  await client.create(
    pods,
    testPod("p", { nodeName: "a", volumes: [{ name: "data", persistentVolumeClaim: { claimName: "c" } }] }),
  );
  const name = attachmentOf(volume("v"), "a");
  await eventually(async () => (await client.list(volumeAttachments)).items.length === 1, "the attachment");
  const body = { status: { attached: false, attachError: { message: "no such disk" } } };
  await client.patch(volumeAttachments, { name }, { type: "merge", body }, { subresource: "status" });
  const told = () => harness.recorded.filter((line) => line.includes("no such disk"));
  await eventually(() => told().length > 0, "the event");
  for (let passed_s = 0; passed_s < 250; passed_s += 5) {
    await clock.advance(5_000);
    await eventually(() => !running.queue.busy, "another look");
  }
  // After 0, 0.5, 1.5 ... 249.5 s.
  expect(told().length).toBeGreaterThan(4);
  expect(told().length).toBeLessThanOrEqual(10);
});

test("a claim that asks for more of a CSI volume is told who sees to it", async () => {
  const { client } = harness;
  await client.create(persistentVolumes, volume("v", "ReadWriteOnce", "c"));
  await client.create(persistentVolumeClaims, claim("c", "v", "2Gi"));
  const status = { phase: "Bound", capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"] };
  const key = { namespace: "default", name: "c" };
  await client.patch(persistentVolumeClaims, key, { type: "merge", body: { status } }, { subresource: "status" });
  await harness.run(volumeExpander);
  await eventually(() => harness.recorded.length > 0, "the event");
  const expected =
    "Normal PersistentVolumeClaim/c ExternalExpanding: waiting for an external controller to expand this PVC";
  expect(harness.recorded[0]).toBe(expected);
  // One that had asked for more before it got its volume is told when it has that.
  await client.create(persistentVolumes, { ...volume("w", "ReadWriteOnce", "d"), metadata: { name: "w" } });
  await client.create(persistentVolumeClaims, { ...claim("d", "w", "2Gi"), metadata: { ...key, name: "d" } });
  const other = { ...key, name: "d" };
  await client.patch(persistentVolumeClaims, other, { type: "merge", body: { status } }, { subresource: "status" });
  await eventually(() => harness.recorded.includes(expected.replace("/c", "/d")), "the other's event");
});
