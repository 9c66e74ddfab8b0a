import { bound, decided, node, pod, running, type Scenario } from "./scenario.ts";
import type { Manifest, World } from "./world.ts";

type Spec = Readonly<Record<string, unknown>>;

export const storageClass = (name: string, more: object = {}): Manifest => ({
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name },
  provisioner: "kubernetes.io/no-provisioner",
  volumeBindingMode: "WaitForFirstConsumer",
  ...more,
});

export const claim = (name: string, spec: object = {}, metadata: object = {}): Manifest => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { ...metadata, name },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
});

export const volume = (name: string, spec: object = {}, metadata: object = {}): Manifest => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { ...metadata, name },
  spec: {
    accessModes: ["ReadWriteOnce"],
    capacity: { storage: "1Gi" },
    persistentVolumeReclaimPolicy: "Retain",
    hostPath: { path: `/srv/${name}` },
    ...spec,
  },
});

export const onNode = (...names: string[]): Spec => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: names }] }],
    },
  },
});

export const using = (...claims: string[]): Spec => ({
  volumes: claims.map((claimName, index) => ({ name: `v${index}`, persistentVolumeClaim: { claimName } })),
});

export const claimIs = (world: World, name: string, phase: string): Promise<void> =>
  world.until("v1", "PersistentVolumeClaim", name, ({ status }) => status?.phase === phase, phase);
export const volumeIs = (world: World, name: string, phase: string): Promise<void> =>
  world.until("v1", "PersistentVolume", name, ({ status }) => status?.phase === phase, phase);

const csi = (driver: string, volumeHandle: string): Spec => ({ hostPath: undefined, csi: { driver, volumeHandle } });

export const volumeScenarios: readonly Scenario[] = [
  {
    name: "claims",
    async play(world) {
      await node(world, "vol-a");
      await node(world, "vol-b");
      await world.create(storageClass("later"));
      await world.create(storageClass("at-once", { volumeBindingMode: "Immediate", provisioner: "example.com/none" }));
      await world.create(claim("waits", { storageClassName: "later" }));
      await world.create(claim("immediate", { storageClassName: "at-once" }));
      await world.create(claim("classless", { storageClassName: "no-such" }));
      await world.create(claim("bare", { storageClassName: "" }));
      for (const name of ["waits", "immediate", "classless", "bare", "missing"]) {
        const nodeSelector = { "kubernetes.io/hostname": "vol-a" };
        await pod(world, `pod-${name}`, { spec: { ...using(name), nodeSelector } });
        await decided(world, `pod-${name}`);
      }
      await pod(world, "two", { spec: using("waits", "immediate") });
      await decided(world, "two");
      await world.see("none has its volume");
      await world.create(volume("bare-volume", { storageClassName: "" }));
      await bound(world, "pod-bare");
      await world.see("one has its volume");
    },
  },
  {
    name: "local-volumes",
    async play(world) {
      await node(world, "loc-a");
      await node(world, "loc-b");
      await world.create(storageClass("local"));
      const local = (name: string, where: string, size: string): Manifest =>
        volume(name, {
          storageClassName: "local",
          capacity: { storage: size },
          hostPath: undefined,
          local: { path: `/srv/${name}` },
          ...onNode(where),
        });
      for (const [name, where, size] of [
        ["pv-big", "loc-a", "10Gi"],
        ["pv-fit", "loc-a", "2Gi"],
        ["pv-small", "loc-b", "500Mi"],
      ] as const) {
        await world.create(local(name, where, size));
        await volumeIs(world, name, "Available");
      }
      await world.create(claim("one", { storageClassName: "local" }));
      await pod(world, "pod-one", { spec: using("one") });
      await bound(world, "pod-one");
      await claimIs(world, "one", "Bound");
      await world.see("the fitting one is taken");
      await pod(world, "beside", { spec: { ...using("one"), nodeSelector: { "kubernetes.io/hostname": "loc-b" } } });
      await decided(world, "beside");
      await world.create(
        claim("too-big", { storageClassName: "local", resources: { requests: { storage: "100Gi" } } }),
      );
      await pod(world, "pod-too-big", { spec: using("too-big") });
      await decided(world, "pod-too-big");
      await pod(world, "both", { spec: { ...using("one", "too-big") } });
      await decided(world, "both");
      await world.see("others do not fit");
      await world.create(local("pv-huge", "loc-b", "200Gi"));
      await bound(world, "pod-too-big");
      await world.seeObjects("a huge one came");
    },
  },
  {
    name: "two-local-claims",
    async play(world) {
      await node(world, "duo-a");
      await world.create(storageClass("local2"));
      for (const [name, size] of [
        ["duo-big", "10Gi"],
        ["duo-small", "2Gi"],
      ] as const) {
        await world.create(
          volume(name, { storageClassName: "local2", capacity: { storage: size }, ...onNode("duo-a") }),
        );
        await volumeIs(world, name, "Available");
      }
      await world.create(claim("larger", { storageClassName: "local2", resources: { requests: { storage: "2Gi" } } }));
      await world.create(claim("smaller", { storageClassName: "local2", resources: { requests: { storage: "1Gi" } } }));
      await pod(world, "pair", { spec: using("larger", "smaller") });
      await bound(world, "pair");
      await world.see("both are bound");
    },
  },
  {
    name: "provisioning",
    async play(world) {
      await node(world, "prov-a", { labels: { "topology.kubernetes.io/zone": "z1" } });
      await node(world, "prov-b", { labels: { "topology.kubernetes.io/zone": "z2" } });
      const provisioner = "csi.example.com";
      await world.create(
        storageClass("made", {
          provisioner,
          allowedTopologies: [{ matchLabelExpressions: [{ key: "topology.kubernetes.io/zone", values: ["z2"] }] }],
        }),
      );
      await world.create(claim("made-1", { storageClassName: "made" }));
      await pod(world, "maker", { requests: { cpu: "3" }, spec: using("made-1") });
      await world.until(
        "v1",
        "PersistentVolumeClaim",
        "made-1",
        ({ metadata }) => metadata.annotations?.["volume.kubernetes.io/selected-node"],
      );
      await world.until(
        "v1",
        "PersistentVolumeClaim",
        "made-1",
        ({ metadata }) => metadata.annotations?.["volume.kubernetes.io/storage-provisioner"],
      );
      await world.see("a node is chosen");
      await pod(world, "wants-room", {
        requests: { cpu: "3" },
        spec: { nodeSelector: { "topology.kubernetes.io/zone": "z2" } },
      });
      await decided(world, "wants-room");
      await world.see("its room is kept");
      const { metadata } = await world.get("v1", "PersistentVolumeClaim", "made-1");
      await world.create(
        volume(
          "made-volume",
          {
            storageClassName: "made",
            ...csi(provisioner, "h1"),
            claimRef: {
              apiVersion: "v1",
              kind: "PersistentVolumeClaim",
              namespace: metadata.namespace,
              name: metadata.name,
              uid: metadata.uid,
            },
          },
          { annotations: { "pv.kubernetes.io/provisioned-by": provisioner } },
        ),
      );
      await bound(world, "maker");
      await claimIs(world, "made-1", "Bound");
      await world.see("the volume is made");
    },
  },
  {
    name: "capacities",
    async play(world) {
      await node(world, "cap-a", { labels: { rack: "1" } });
      await node(world, "cap-b", { labels: { rack: "2" } });
      const provisioner = "cap.example.com";
      await world.create({
        apiVersion: "storage.k8s.io/v1",
        kind: "CSIDriver",
        metadata: { name: provisioner },
        spec: { storageCapacity: true },
      });
      await world.create(storageClass("counted", { provisioner }));
      const capacity = (name: string, size: string, rack: string): Manifest => ({
        apiVersion: "storage.k8s.io/v1",
        kind: "CSIStorageCapacity",
        metadata: { name },
        storageClassName: "counted",
        capacity: size,
        nodeTopology: { matchLabels: { rack } },
      });
      await world.create(capacity("c1", "500Mi", "1"));
      await world.create(claim("counted-1", { storageClassName: "counted" }));
      await pod(world, "counts", { spec: using("counted-1") });
      await decided(world, "counts");
      await world.see("no room");
      await world.create(capacity("c2", "5Gi", "2"));
      await world.until(
        "v1",
        "PersistentVolumeClaim",
        "counted-1",
        ({ metadata }) => metadata.annotations?.["volume.kubernetes.io/selected-node"],
      );
      await world.see("room came");
    },
  },
  {
    name: "volume-places",
    async play(world) {
      await node(world, "zone-a", { labels: { "topology.kubernetes.io/zone": "z1" } });
      await node(world, "zone-b", { labels: { "topology.kubernetes.io/zone": "z2" } });
      await node(world, "zone-c");
      const prebound = async (name: string, spec: object, metadata: object = {}): Promise<void> => {
        await world.create(volume(`${name}-volume`, { storageClassName: "", ...spec }, metadata));
        await world.create(claim(name, { storageClassName: "", volumeName: `${name}-volume` }));
        await claimIs(world, name, "Bound");
      };
      await prebound("zoned", {}, { labels: { "topology.kubernetes.io/zone": "z1__z9" } });
      await prebound("nowhere", {}, { labels: { "failure-domain.beta.kubernetes.io/zone": "z7" } });
      await prebound("pinned", onNode("zone-b"));
      await prebound("pinned-away", onNode("zone-x"));
      const shapes: Readonly<Record<string, Parameters<typeof pod>[2]>> = {
        zoned: { spec: { ...using("zoned"), nodeSelector: { "topology.kubernetes.io/zone": "z2" } } },
        nowhere: { spec: using("nowhere") },
        pinned: { spec: using("pinned") },
        away: { spec: using("pinned-away", "zoned") },
      };
      for (const [name, shape] of Object.entries(shapes)) {
        await pod(world, name, shape);
        await decided(world, name);
      }
      await world.see("decided");
    },
  },
  {
    name: "one-pod-alone",
    async play(world) {
      await node(world, "one-a");
      await node(world, "one-b");
      await world.create({
        apiVersion: "scheduling.k8s.io/v1",
        kind: "PriorityClass",
        metadata: { name: "above" },
        value: 100,
      });
      await world.create(
        volume("alone-volume", {
          storageClassName: "",
          accessModes: ["ReadWriteOncePod"],
          ...csi("rwop.example.com", "h"),
        }),
      );
      await volumeIs(world, "alone-volume", "Available");
      await world.create(claim("alone", { storageClassName: "", accessModes: ["ReadWriteOncePod"] }));
      await claimIs(world, "alone", "Bound");
      await running(world, "user", "one-a", "2026-01-01T00:00:00Z", { spec: using("alone") });
      await pod(world, "second", { spec: using("alone") });
      await decided(world, "second");
      await world.see("the second waits");
      await pod(world, "above", { spec: { ...using("alone"), priorityClassName: "above" } });
      await world.until("v1", "Pod", "above", ({ status }) => status.nominatedNodeName, "nominated");
      await world.until("v1", "Pod", "user", ({ metadata }) => metadata.deletionTimestamp);
      await world.see("one above takes its place");
    },
  },
  {
    name: "volume-limits",
    async play(world) {
      const driver = "limit.example.com";
      for (const [name, count] of [
        ["lim-a", 1],
        ["lim-b", 0],
      ] as const) {
        await node(world, name);
        await world.create({
          apiVersion: "storage.k8s.io/v1",
          kind: "CSINode",
          metadata: { name },
          spec: { drivers: [{ name: driver, nodeID: name, allocatable: { count } }] },
        });
      }
      await world.create(storageClass("limited", { provisioner: driver }));
      for (const name of ["first", "second"]) {
        await world.create(volume(`${name}-volume`, { storageClassName: "limited", ...csi(driver, name) }));
        await world.create(claim(name, { storageClassName: "limited", volumeName: `${name}-volume` }));
        await claimIs(world, name, "Bound");
      }
      await running(world, "user", "lim-a", "2026-01-01T00:00:00Z", { spec: using("first") });
      await pod(world, "shares", { spec: { ...using("first"), nodeSelector: { "kubernetes.io/hostname": "lim-a" } } });
      await bound(world, "shares");
      await pod(world, "over", { spec: using("second") });
      await decided(world, "over");
      await pod(world, "inline", { spec: { volumes: [{ name: "v", csi: { driver } }] } });
      await decided(world, "inline");
      await world.see("decided");
    },
  },
  {
    name: "claims-of-pods",
    async play(world) {
      await node(world, "eph-a");
      await world.create(storageClass("eph"));
      const ephemeral = {
        name: "v",
        ephemeral: {
          volumeClaimTemplate: {
            spec: {
              accessModes: ["ReadWriteOnce"],
              storageClassName: "eph",
              resources: { requests: { storage: "1Gi" } },
            },
          },
        },
      };
      await pod(world, "own", { spec: { volumes: [ephemeral] } });
      await world.create(claim("foreign-v", { storageClassName: "eph" }));
      await pod(world, "foreign", { spec: { volumes: [ephemeral] } });
      await world.until("v1", "Pod", "own", ({ status }) =>
        status.conditions?.[0]?.message?.includes("find available"),
      );
      await decided(world, "foreign");
      await world.seeObjects("decided");
    },
  },
  {
    name: "lost-claims",
    async play(world) {
      await node(world, "lost-a");
      await world.create(volume("lost-volume", { storageClassName: "" }));
      await volumeIs(world, "lost-volume", "Available");
      await world.create(claim("lost", { storageClassName: "" }));
      await claimIs(world, "lost", "Bound");
      await world.create(claim("going", { storageClassName: "" }, { finalizers: ["example.com/hold"] }));
      await world.delete("v1", "PersistentVolumeClaim", "going");
      await world.delete("v1", "PersistentVolume", "lost-volume");
      await world.patch("v1", "PersistentVolume", "lost-volume", { metadata: { finalizers: null } });
      await claimIs(world, "lost", "Lost");
      for (const name of ["lost", "going"]) {
        await pod(world, `pod-${name}`, { spec: using(name) });
        await decided(world, `pod-${name}`);
      }
      await world.see("decided");
    },
  },
];
