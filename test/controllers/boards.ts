/** Plays the boards of a control plane that has none. */
import { nodes, pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";

/** A Node as a kubelet registers it, ready at once. */
export async function joinBoard(admin: Client, name: string, labels: Record<string, string> = {}): Promise<void> {
  const conditions = [{ type: "Ready", status: "True", reason: "KubeletReady", message: "ok" }];
  const allocatable = { cpu: "4", memory: "4Gi", pods: "110" };
  const addresses = [{ type: "InternalIP", address: "192.0.2.1" }];
  const annotations = { "volumes.kubernetes.io/controller-managed-attach-detach": "true" };
  const own = { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" };
  await admin.create(nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { ...own, ...labels }, annotations },
    spec: {},
  });
  const body = { status: { allocatable, capacity: allocatable, conditions, addresses } };
  await admin.patch(nodes, { name }, { type: "strategic", body }, { subresource: "status" });
  await admin.patch(nodes, { name }, { type: "merge", body: { spec: { taints: null } } });
}

/** Runs what is bound to a node, ends what is labelled so, and lets go of what is deleted, until the signal. */
export async function playBoards(admin: Client, signal: AbortSignal): Promise<void> {
  for await (const { type, object } of admin.watch(pods, { sendInitialEvents: true, signal })) {
    if (type === "DELETED" || type === "BOOKMARK" || !object.spec?.nodeName) continue;
    await play(admin, object).catch(() => undefined);
  }
}

async function play(admin: Client, pod: Pod): Promise<void> {
  const key = { namespace: pod.metadata.namespace, name: pod.metadata.name ?? "" };
  if (pod.metadata.labels?.["played"] === "no") return;
  if (pod.metadata.deletionTimestamp) return admin.delete(pods, key, { gracePeriodSeconds: 0 });
  if (pod.status?.phase !== "Pending") return;
  const ends = pod.metadata.labels?.["ends"] === "yes";
  const condition = { type: "Ready", status: ends ? "False" : "True", lastTransitionTime: "2026-01-01T00:00:00Z" };
  const status = { phase: ends ? "Succeeded" : "Running", conditions: [condition] };
  await admin.patch(pods, key, { type: "strategic", body: { status } }, { subresource: "status" });
}
