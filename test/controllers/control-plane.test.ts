import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { isNotFound } from "#shared/api/errors.ts";
import type { ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  clusterRoles,
  configMaps,
  endpointSlices,
  endpoints,
  events,
  leases,
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  replicaSets,
  resourceQuotas,
  serviceAccounts,
  services,
} from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { eventually } from "../../master/controllers/testing/eventually.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(() => plane.stop());
afterEach(() => expect(plane.complaints).toEqual([]));

const exists = async (ref: ResourceRef<unknown>, key: ObjectKey): Promise<boolean> => {
  try {
    await plane.admin.get(ref, key);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
};
const makeNamespace = async (name: string): Promise<void> => {
  await plane.admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {} });
  await eventually(() => exists(serviceAccounts, { namespace: name, name: "default" }), "the service account");
};
const pod = (name: string, namespace: string, more: Partial<Pod["spec"]> = {}, labels = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, labels },
  spec: { containers: [{ name: "main", image: "example/image:1" }], ...more },
});
const makeNode = async (name: string): Promise<void> => {
  await plane.admin.create(nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" } },
    spec: {},
  });
  const allocatable = { cpu: "4", memory: "4Gi", pods: "110" };
  const conditions = [{ type: "Ready", status: "True", reason: "KubeletReady", message: "ok" }];
  const status = { capacity: allocatable, allocatable, conditions };
  await plane.admin.patch(nodes, { name }, { type: "merge", body: { status } }, { subresource: "status" });
  // The taint of a new node goes when it is ready.
  await eventually(async () => {
    const { spec } = await plane.admin.get(nodes, { name });
    return (spec?.taints ?? []).length === 0 && spec?.podCIDR !== undefined;
  }, `${name} usable`);
};
const setStatus = async (name: string, namespace: string, ip: string): Promise<void> => {
  const status = { phase: "Running", podIP: ip, podIPs: [{ ip }], conditions: [{ type: "Ready", status: "True" }] };
  await plane.admin.patch(
    pods,
    { namespace, name },
    { type: "strategic", body: { status } },
    { subresource: "status" },
  );
};

test("namespaces are furnished, and emptied when they are deleted", async () => {
  await makeNamespace("furnished");
  await eventually(() => exists(configMaps, { namespace: "furnished", name: "kube-root-ca.crt" }));
  await plane.admin.create(pods, pod("waiting", "furnished"));
  await plane.admin.create(services, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "s", namespace: "furnished" },
    spec: { selector: { a: "b" }, ports: [{ port: 80 }] },
  });
  await plane.admin.delete(namespaces, { name: "furnished" });
  await eventually(async () => !(await exists(namespaces, { name: "furnished" })), "the namespace gone");
});

test("pods are scheduled, or told why not", async () => {
  await makeNamespace("scheduled");
  await plane.admin.create(
    pods,
    pod("big", "scheduled", { containers: [{ name: "c", image: "i", resources: { requests: { cpu: "100" } } }] }),
  );
  await makeNode("board-1");
  await plane.admin.create(pods, pod("small", "scheduled"));
  const read = (name: string) => plane.admin.get(pods, { namespace: "scheduled", name });
  await eventually(async () => (await read("small")).spec?.nodeName === "board-1", "small on board-1");
  expect((await read("small")).status?.conditions?.find(({ type }) => type === "PodScheduled")?.status).toBe("True");
  await eventually(async () => {
    const message = (await read("big")).status?.conditions?.find(({ type }) => type === "PodScheduled")?.message;
    // Tried before the board said what it has, it finds no room for any pod either, and is not tried again for what is too little.
    return /^0\/1 nodes are available: 1 Insufficient cpu[.,]/.test(message ?? "");
  }, "the reason");
  await eventually(async () => {
    const { items } = await plane.admin.list(events, { namespace: "scheduled" });
    const reasons = items.map(({ reason }) => reason);
    return reasons.includes("Scheduled") && reasons.includes("FailedScheduling");
  }, "events");
});

test("Services get their endpoints", async () => {
  await makeNamespace("served");
  await plane.admin.create(services, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "served" },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  await plane.admin.create(pods, pod("w", "served", { nodeName: "board-1" }, { app: "web" }));
  await setStatus("w", "served", "10.42.0.7");
  const addresses = async () =>
    (await plane.admin.list(endpointSlices, { namespace: "served" })).items.flatMap((slice) =>
      (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses),
    );
  await eventually(async () => (await addresses()).join() === "10.42.0.7", "the slice");
  await eventually(
    async () =>
      (await plane.admin.get(endpoints, { namespace: "served", name: "web" })).subsets?.[0]?.addresses?.[0]?.ip ===
      "10.42.0.7",
    "the Endpoints",
  );
});

test("dependents go with their owners, stay when asked, or go first", async () => {
  await makeNamespace("owned");
  for (const [name, propagationPolicy] of [
    ["background", "Background"],
    ["foreground", "Foreground"],
    ["orphan", "Orphan"],
  ] as const) {
    const owner = await plane.admin.create(replicaSets, {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name, namespace: "owned" },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: name } },
        template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "c", image: "i" }] } },
      },
    });
    const dependent = pod(`${name}-pod`, "owned");
    dependent.metadata.ownerReferences = [
      {
        apiVersion: "apps/v1",
        kind: "ReplicaSet",
        name,
        uid: owner.metadata.uid ?? "",
        controller: true,
        blockOwnerDeletion: true,
      },
    ];
    await plane.admin.create(pods, {
      ...dependent,
      spec: { ...pod("", "").spec, containers: [{ name: "c", image: "i" }], schedulerName: "nobody" },
    });
    await plane.admin.delete(replicaSets, { namespace: "owned", name }, { propagationPolicy });
    await eventually(async () => !(await exists(replicaSets, { namespace: "owned", name })), `${name} gone`);
  }
  await eventually(async () => !(await exists(pods, { namespace: "owned", name: "background-pod" })));
  expect(await exists(pods, { namespace: "owned", name: "foreground-pod" })).toBe(false);
  const left = await plane.admin.get(pods, { namespace: "owned", name: "orphan-pod" });
  expect(left.metadata.ownerReferences ?? []).toEqual([]);
});

test("a board that is lost is unreachable at once, and its pods are not ready", async () => {
  await makeNode("board-2");
  await makeNamespace("lost");
  await plane.admin.create(pods, pod("p", "lost", { nodeName: "board-2" }));
  await setStatus("p", "lost", "10.42.1.7");
  const lease = (state: string) => ({
    apiVersion: "coordination.k8s.io/v1" as const,
    kind: "Lease" as const,
    metadata: {
      name: "board-2",
      namespace: "kube-node-lease",
      annotations: { "bramble.dev/session-state": state, "bramble.dev/session": "boot/1" },
    },
    spec: { holderIdentity: "board-2", leaseDurationSeconds: 40, renewTime: "2026-01-01T00:00:00.000000Z" },
  });
  await plane.admin.create(leases, lease("online"));
  const online = await plane.admin.get(leases, { namespace: "kube-node-lease", name: "board-2" });
  const { annotations } = lease("lost").metadata;
  await plane.admin.update(leases, { ...online, metadata: { ...online.metadata, annotations } });
  const ready = async () =>
    (await plane.admin.get(nodes, { name: "board-2" })).status?.conditions?.find(({ type }) => type === "Ready");
  await eventually(async () => (await ready())?.status === "Unknown", "board-2 Unknown");
  const podReady = async () =>
    (await plane.admin.get(pods, { namespace: "lost", name: "p" })).status?.conditions?.find(
      ({ type }) => type === "Ready",
    );
  await eventually(async () => (await podReady())?.status === "False", "p not ready");
  await eventually(async () =>
    ((await plane.admin.get(nodes, { name: "board-2" })).spec?.taints ?? []).some(
      ({ key, effect }) => key === "node.kubernetes.io/unreachable" && effect === "NoExecute",
    ),
  );
});

test("quotas, aggregated roles and volumes are kept", async () => {
  await makeNamespace("kept");
  await eventually(() => exists(configMaps, { namespace: "kept", name: "kube-root-ca.crt" }), "what is counted");
  await plane.admin.create(resourceQuotas, {
    apiVersion: "v1",
    kind: "ResourceQuota",
    metadata: { name: "q", namespace: "kept" },
    spec: { hard: { configmaps: "10" } },
  });
  const used = async () =>
    (await plane.admin.get(resourceQuotas, { namespace: "kept", name: "q" })).status?.used?.["configmaps"];
  await eventually(async () => (await used()) === "1", "the quota counted");
  await eventually(
    async () => ((await plane.admin.get(clusterRoles, { name: "view" })).rules ?? []).length > 0,
    "view filled",
  );
  await plane.admin.create(persistentVolumes, {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "v" },
    spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/x" } },
  });
  await plane.admin.create(persistentVolumeClaims, {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "c", namespace: "kept" },
    spec: { accessModes: ["ReadWriteOnce"], storageClassName: "", resources: { requests: { storage: "1Gi" } } },
  });
  const phase = async () =>
    (await plane.admin.get(persistentVolumeClaims, { namespace: "kept", name: "c" })).status?.phase;
  await eventually(async () => (await phase()) === "Bound", "the claim bound");
});
