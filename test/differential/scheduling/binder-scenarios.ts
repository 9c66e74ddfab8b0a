import { node, type Scenario } from "./scenario.ts";
import { claim, claimIs, storageClass, volume, volumeIs } from "./volume-scenarios.ts";

const size = (storage: string): object => ({ resources: { requests: { storage } } });
const plain = (more: object = {}): object => ({ storageClassName: "", ...more });

export const binderScenarios: readonly Scenario[] = [
  {
    name: "static-binding",
    async play(world) {
      await world.create(volume("sb-small", plain({ capacity: { storage: "1Gi" } })));
      await world.create(volume("sb-big", plain({ capacity: { storage: "5Gi" } })));
      await world.create(volume("sb-block", plain({ capacity: { storage: "2Gi" }, volumeMode: "Block" })));
      await world.create(
        volume("sb-many", plain({ capacity: { storage: "2Gi" }, accessModes: ["ReadWriteMany", "ReadWriteOnce"] })),
      );
      await world.create(volume("sb-label", plain({ capacity: { storage: "2Gi" } }), { labels: { kind: "fast" } }));
      for (const name of ["sb-small", "sb-big", "sb-block", "sb-many", "sb-label"])
        await volumeIs(world, name, "Available");
      await world.create(claim("label", plain({ selector: { matchLabels: { kind: "fast" } } })));
      await claimIs(world, "label", "Bound");
      await world.create(claim("block", plain({ volumeMode: "Block" })));
      await claimIs(world, "block", "Bound");
      await world.create(claim("many", plain({ accessModes: ["ReadWriteMany"] })));
      await claimIs(world, "many", "Bound");
      await world.create(claim("small", plain(size("500Mi"))));
      await claimIs(world, "small", "Bound");
      await world.create(claim("none", plain(size("50Gi"))));
      await world.told("PersistentVolumeClaim", "none", "FailedBinding");
      await world.see("bound");
    },
  },
  {
    name: "prebinding",
    async play(world) {
      const reference = (name: string): object => ({ claimRef: { namespace: world.namespace, name } });
      await world.create(volume("pb-reserved", plain({ ...reference("reserved"), capacity: { storage: "3Gi" } })));
      await world.create(volume("pb-small", plain({ ...reference("wants-more") })));
      await world.create(volume("pb-free", plain({ capacity: { storage: "1Gi" } })));
      for (const name of ["pb-reserved", "pb-small", "pb-free"]) await volumeIs(world, name, "Available");
      await world.create(claim("other", plain(size("2Gi"))));
      await world.told("PersistentVolumeClaim", "other", "FailedBinding");
      await world.create(claim("reserved", plain()));
      await claimIs(world, "reserved", "Bound");
      await world.create(claim("wants-more", plain({ ...size("9Gi"), volumeName: "pb-small" })));
      await claimIs(world, "wants-more", "Bound");
      await world.create(claim("chooses", plain({ volumeName: "pb-free" })));
      await claimIs(world, "chooses", "Bound");
      await world.create(claim("too-late", plain({ volumeName: "pb-free" })));
      await world.told("PersistentVolumeClaim", "too-late", "FailedBinding");
      await world.create(claim("chooses-none", plain({ volumeName: "pb-none" })));
      await world.see("chosen");
    },
  },
  {
    name: "mismatches",
    async play(world) {
      await world.create(storageClass("mm-class"));
      await world.create(volume("mm-volume", plain({ capacity: { storage: "1Gi" } })));
      await volumeIs(world, "mm-volume", "Available");
      const wishes: Readonly<Record<string, object>> = {
        big: plain(size("9Gi")),
        class: { storageClassName: "mm-class" },
        block: plain({ volumeMode: "Block" }),
        mode: plain({ accessModes: ["ReadWriteMany"] }),
        attributes: plain({ volumeAttributesClassName: "gold" }),
      };
      for (const [name, spec] of Object.entries(wishes)) {
        await world.create(claim(name, { ...spec, volumeName: "mm-volume" }));
        await world.told("PersistentVolumeClaim", name, "VolumeMismatch");
      }
      await world.see("told why");
      await world.create(
        volume("mm-block", plain({ volumeMode: "Block", claimRef: { namespace: world.namespace, name: "file" } })),
      );
      await world.create(claim("file", plain()));
      await world.seeObjects("none fits");
    },
  },
  {
    name: "reclaiming",
    async play(world) {
      const policies: Readonly<Record<string, object>> = {
        retain: {},
        delete: { persistentVolumeReclaimPolicy: "Delete" },
        "delete-csi": {
          persistentVolumeReclaimPolicy: "Delete",
          hostPath: undefined,
          csi: { driver: "a.example.com", volumeHandle: "h" },
        },
        "delete-nfs": {
          persistentVolumeReclaimPolicy: "Delete",
          hostPath: undefined,
          nfs: { server: "192.0.2.1", path: "/srv" },
        },
        "delete-local": {
          persistentVolumeReclaimPolicy: "Delete",
          hostPath: undefined,
          local: { path: "/srv/x" },
          nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "Exists" }] }] } },
        },
        "recycle-csi": {
          persistentVolumeReclaimPolicy: "Recycle",
          hostPath: undefined,
          csi: { driver: "a.example.com", volumeHandle: "h" },
        },
      };
      for (const [name, spec] of Object.entries(policies)) {
        await world.create(volume(`rc-${name}`, plain({ ...spec, claimRef: { namespace: world.namespace, name } })));
        await volumeIs(world, `rc-${name}`, "Available");
        await world.create(claim(name, plain({ volumeName: `rc-${name}` })));
        await claimIs(world, name, "Bound");
        await volumeIs(world, `rc-${name}`, "Bound");
      }
      for (const name of Object.keys(policies)) await world.delete("v1", "PersistentVolumeClaim", name);
      for (const name of ["retain", "delete-csi", "delete-nfs"].map((each) => `rc-${each}`))
        await world.until("v1", "PersistentVolume", name, ({ status }) => status.phase !== "Bound", "released");
      await world.see("released");
      await world.patch("v1", "PersistentVolume", "rc-retain", { spec: { claimRef: null } });
      await volumeIs(world, "rc-retain", "Available");
      await world.see("given free");
    },
  },
  {
    name: "losing",
    async play(world) {
      await world.create(volume("ls-a", plain()));
      await world.create(claim("one", plain({ volumeName: "ls-a" })));
      await claimIs(world, "one", "Bound");
      await world.delete("v1", "PersistentVolume", "ls-a");
      await world.until("v1", "PersistentVolume", "ls-a", ({ metadata }) => metadata.deletionTimestamp);
      await world.see("a bound volume is deleted");
      await world.patch("v1", "PersistentVolume", "ls-a", { metadata: { finalizers: null } });
      await claimIs(world, "one", "Lost");
      await world.see("it is gone");
      await world.create(volume("ls-a", plain()));
      // Upstream looks at all claims every 15 s.
      await claimIs(world, "one", "Bound");
      await world.see("another of its name comes");
    },
  },
  {
    name: "protection",
    async play(world) {
      await node(world, "pt-node");
      await world.create(volume("pt-a", plain()));
      await world.create(claim("used", plain({ volumeName: "pt-a" })));
      await claimIs(world, "used", "Bound");
      await world.create({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "user" },
        spec: {
          nodeName: "pt-node",
          terminationGracePeriodSeconds: 7,
          containers: [{ name: "c", image: "i" }],
          volumes: [{ name: "v", persistentVolumeClaim: { claimName: "used" } }],
        },
      });
      await world.delete("v1", "PersistentVolumeClaim", "used");
      await world.see("in use");
      await world.status("v1", "Pod", "user", { phase: "Succeeded" });
      await world.see("its user has ended");
      await world.delete("v1", "Pod", "user", 0);
      await world.untilGone("v1", "PersistentVolumeClaim", "used");
      await world.see("its user is gone");
    },
  },
  {
    name: "classes",
    async play(world) {
      const makes = { provisioner: "makes.example.com", volumeBindingMode: "Immediate" };
      await world.create(claim("early", {}));
      await world.told("PersistentVolumeClaim", "early", "FailedBinding");
      await world.create(
        storageClass("cl-default", {
          ...makes,
          metadata: { name: "cl-default", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
        }),
      );
      await world.until("v1", "PersistentVolumeClaim", "early", ({ spec }) => spec.storageClassName, "has a class");
      await world.told("PersistentVolumeClaim", "early", "ExternalProvisioning");
      await world.create(claim("defaulted", {}));
      await world.told("PersistentVolumeClaim", "defaulted", "ExternalProvisioning");
      await world.create(storageClass("cl-later"));
      await world.create(claim("waits", { storageClassName: "cl-later" }));
      await world.create(storageClass("cl-none", { volumeBindingMode: "Immediate" }));
      await world.create(claim("no-provisioner", { storageClassName: "cl-none" }));
      await world.told("PersistentVolumeClaim", "no-provisioner", "ProvisioningFailed");
      await world.create(claim("no-class", { storageClassName: "cl-missing" }));
      await world.told("PersistentVolumeClaim", "no-class", "ProvisioningFailed");
      await world.see("told");
    },
  },
  {
    name: "expanding",
    async play(world) {
      await world.create(
        storageClass("ex", {
          provisioner: "ex.example.com",
          volumeBindingMode: "Immediate",
          allowVolumeExpansion: true,
        }),
      );
      const source = { hostPath: undefined, csi: { driver: "ex.example.com", volumeHandle: "h" } };
      await world.create(volume("ex-a", { storageClassName: "ex", ...source }));
      await world.create(claim("grows", { storageClassName: "ex", volumeName: "ex-a" }));
      await claimIs(world, "grows", "Bound");
      await world.patch("v1", "PersistentVolumeClaim", "grows", {
        spec: { resources: { requests: { storage: "2Gi" } } },
      });
      await world.told("PersistentVolumeClaim", "grows", "ExternalExpanding");
      await world.see("asked for more");
    },
  },
];
