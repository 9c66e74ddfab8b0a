import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  volumeAttachments,
} from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { PodInfo } from "../pod-info.ts";
import { TestCluster, testNode, testPod } from "../testing.ts";
import { volumeZone } from "./volume-limits.ts";
import { planVolumes } from "./volumes.ts";

type Entry = [ResourceRef<never>, KubeObject];
const entry = (ref: ResourceRef<never>, object: object): Entry => [ref, object as KubeObject];
const driver = "disk.example.com";

const bound = (name: string, labels: Record<string, string> = {}): Entry[] => [
  entry(persistentVolumes as never, {
    metadata: { name: `pv-${name}`, labels },
    spec: { accessModes: ["ReadWriteOnce"], csi: { driver, volumeHandle: name } },
  }),
  entry(persistentVolumeClaims as never, {
    metadata: {
      name,
      namespace: "default",
      uid: name,
      annotations: { "pv.kubernetes.io/bind-completed": "yes" },
    },
    spec: { accessModes: ["ReadWriteOnce"], volumeName: `pv-${name}` },
    status: { phase: "Bound" },
  }),
];
const using = (name: string, ...claims: string[]): Pod =>
  testPod(name, {
    volumes: claims.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
  });
const limit = (node: string, count: number): Entry =>
  entry(csiNodes as never, {
    metadata: { name: node },
    spec: { drivers: [{ name: driver, nodeID: node, allocatable: { count } }] },
  });

test("a node takes as many volumes of a driver as that allows, those still attached included", () => {
  const objects = [...bound("one"), ...bound("two"), limit("a", 1)];
  const reason = "0/1 nodes are available: 1 node(s) exceed max volume count.";
  const users: [Pod, string][] = [[using("x", "one"), "a"]];
  expect(new TestCluster([testNode("a")], users, objects).node(using("p", "two"))).toBe(reason);
  // A volume that is there already is no further one.
  expect(new TestCluster([testNode("a")], users, objects).node(using("p", "one"))).toBe("a");
  const attached = entry(volumeAttachments as never, {
    metadata: { name: "va" },
    spec: { attacher: driver, nodeName: "a", source: { persistentVolumeName: "pv-one" } },
  });
  expect(new TestCluster([testNode("a")], [], [...objects, attached]).node(using("p", "two"))).toBe(reason);
  expect(new TestCluster([testNode("a")], [], objects).node(using("p", "two"))).toBe("a");
});

test("a volume is used from the zones that its labels name", () => {
  const zone = "topology.kubernetes.io/zone";
  const nodes = [testNode("a", { labels: { [zone]: "z1" } }), testNode("b", { labels: { [zone]: "z3" } })];
  const cluster = (value: string) => new TestCluster(nodes, [], bound("one", { [zone]: value }));
  expect(cluster("z3").node(using("p", "one"))).toBe("b");
  expect(cluster("z1__z2").node(using("p", "one"))).toBe("a");
  expect(cluster("z9").node(using("p", "one"))).toBe(
    "0/2 nodes are available: 2 node(s) had no available volume zone.",
  );
  // Where nodes tell no zones, they count for nothing.
  expect(new TestCluster([testNode("c")], [], bound("one", { [zone]: "z9" })).node(using("p", "one"))).toBe("c");
});

test("a claim whose volume is not known yet is waited for by the zones of volumes too", () => {
  const claim = (spec: object) =>
    entry(persistentVolumeClaims as never, { metadata: { name: "c", namespace: "default" }, spec });
  const storageClass = (volumeBindingMode: string) =>
    entry(storageClasses as never, { metadata: { name: "s" }, volumeBindingMode });
  const why = (...objects: Entry[]) =>
    volumeZone.begin(new PodInfo(using("p", "c")), new TestCluster([], [], objects).view)?.reject?.reasons;
  const ofClass = claim({ storageClassName: "s" });
  expect(why()).toEqual(['persistentvolumeclaim "c" not found']);
  expect(why(claim({ volumeName: "v" }))).toEqual(['persistentvolume "v" not found']);
  expect(why(claim({}))).toEqual(["PersistentVolumeClaim had no pv name and storageClass name"]);
  expect(why(ofClass)).toEqual(['storageclass.storage.k8s.io "s" not found']);
  expect(why(ofClass, storageClass("Immediate"))).toEqual(["PersistentVolume had no name"]);
  expect(why(ofClass, storageClass("WaitForFirstConsumer"))).toBeUndefined();
});

test("a driver that tells where it has room is believed", () => {
  const objects: Entry[] = [
    entry(storageClasses as never, {
      metadata: { name: "made" },
      provisioner: driver,
      volumeBindingMode: "WaitForFirstConsumer",
    }),
    entry(csiDrivers as never, { metadata: { name: driver }, spec: { storageCapacity: true } }),
    entry(persistentVolumeClaims as never, {
      metadata: { name: "new", namespace: "default", uid: "new" },
      spec: { storageClassName: "made", accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "5Gi" } } },
    }),
  ];
  const capacity = (node: string, amount: string): Entry =>
    entry(csiStorageCapacities as never, {
      metadata: { name: `c-${node}`, namespace: "default" },
      storageClassName: "made",
      capacity: amount,
      nodeTopology: { matchLabels: { "kubernetes.io/hostname": node } },
    });
  const nodes = [testNode("a"), testNode("b")];
  const place = (...capacities: Entry[]) =>
    new TestCluster(nodes, [], [...objects, ...capacities]).node(using("p", "new"));
  expect(place(capacity("a", "1Gi"), capacity("b", "10Gi"))).toBe("b");
  expect(place(capacity("a", "1Gi"))).toBe("0/2 nodes are available: 2 node(s) did not have enough free storage.");
});

test("disks that only one may write to are not shared on a node", () => {
  const iscsi = (readOnly: boolean) => ({
    targetPortal: "192.0.2.1",
    iqn: "iqn.2026-01.example:disk",
    lun: 0,
    readOnly,
  });
  const rbd = (...monitors: string[]) => ({ monitors, image: "i", pool: "p" });
  const reason = "0/1 nodes are available: 1 node(s) had no available disk.";
  const outcome = (own: object, others: object): string =>
    new TestCluster([testNode("a")], [[testPod("x", { volumes: [{ name: "v", ...others }] }), "a"]]).node(
      testPod("p", { volumes: [{ name: "v", ...own }] }),
    );
  expect(outcome({ iscsi: iscsi(false) }, { iscsi: iscsi(true) })).toBe(reason);
  expect(outcome({ iscsi: iscsi(true) }, { iscsi: iscsi(true) })).toBe("a");
  expect(outcome({ rbd: rbd("m1", "m2") }, { rbd: rbd("m2") })).toBe(reason);
  expect(outcome({ rbd: rbd("m1") }, { rbd: rbd("m2") })).toBe("a");
});

test("small claims take no volume that a larger one needs, and everything that is wrong on a node is said", () => {
  const storageClass = entry(storageClasses as never, {
    metadata: { name: "local" },
    provisioner: "kubernetes.io/no-provisioner",
    volumeBindingMode: "WaitForFirstConsumer",
  });
  const claim = (name: string, storage: string): Entry =>
    entry(persistentVolumeClaims as never, {
      metadata: { name, namespace: "default", uid: name },
      spec: { accessModes: ["ReadWriteOnce"], storageClassName: "local", resources: { requests: { storage } } },
      status: { phase: "Pending" },
    });
  const volume = (name: string, storage: string, host = "a"): Entry =>
    entry(persistentVolumes as never, {
      metadata: { name },
      spec: {
        accessModes: ["ReadWriteOnce"],
        capacity: { storage },
        storageClassName: "local",
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [host] }] },
            ],
          },
        },
      },
      status: { phase: "Available" },
    });
  const claims = [storageClass, claim("large", "2Gi"), claim("small", "1Gi")];
  const { view } = new TestCluster([testNode("a")], [], [...claims, volume("v5", "5Gi"), volume("v2", "2Gi")]);
  const node = view.node("a")?.node;
  const wanted = ["large", "small"].flatMap((name) => view.lister(persistentVolumeClaims).get(`default/${name}`) ?? []);
  const plans = node && planVolumes(wanted, node, view);
  const chosen = Array.isArray(plans) ? plans.flatMap((plan) => (plan.kind === "bind" ? [plan] : [])) : [];
  expect(chosen.map((plan) => `${plan.claim.metadata.name}=${plan.volume.metadata.name}`)).toEqual([
    "small=v2",
    "large=v5",
  ]);

  const elsewhere = entry(persistentVolumeClaims as never, {
    metadata: {
      name: "elsewhere",
      namespace: "default",
      annotations: { "pv.kubernetes.io/bind-completed": "yes" },
    },
    spec: { accessModes: ["ReadWriteOnce"], volumeName: "on-b" },
    status: { phase: "Bound" },
  });
  const objects = [...claims, elsewhere, volume("on-b", "1Gi", "b")];
  expect(new TestCluster([testNode("a")], [], objects).node(using("p", "elsewhere", "large"))).toBe(
    "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind, 1 node(s) didn't match PersistentVolume's node affinity.",
  );
});

test("a claim that was not made for the pod is not its own", () => {
  const volumeClaimTemplate = { spec: { accessModes: ["ReadWriteOnce"] } };
  const pod = testPod("p", { volumes: [{ name: "v", ephemeral: { volumeClaimTemplate } }] });
  const foreign = entry(persistentVolumeClaims as never, {
    metadata: { name: "p-v", namespace: "default" },
    spec: { accessModes: ["ReadWriteOnce"] },
  });
  expect(new TestCluster([testNode("a")], [], [foreign]).node(pod)).toBe(
    "0/1 nodes are available: PVC default/p-v was not created for pod default/p (pod is not owner).",
  );
});
