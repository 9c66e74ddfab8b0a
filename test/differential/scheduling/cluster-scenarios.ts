import { bound, node, pod, running, type Scenario } from "./scenario.ts";
import { claim, claimIs, volume } from "./volume-scenarios.ts";

const began = "2026-01-01T00:00:00Z";

export const clusterScenarios: readonly Scenario[] = [
  {
    name: "attaching",
    async play(world) {
      const driver = "att.example.com";
      await world.create({
        apiVersion: "storage.k8s.io/v1",
        kind: "CSIDriver",
        metadata: { name: driver },
        spec: { attachRequired: true },
      });
      await node(world, "att-a");
      await world.patch("v1", "Node", "att-a", {
        metadata: { annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" } },
      });
      await world.create({
        apiVersion: "storage.k8s.io/v1",
        kind: "CSINode",
        metadata: { name: "att-a" },
        spec: { drivers: [{ name: driver, nodeID: "att-a" }] },
      });
      await world.create(
        volume("att-volume", { storageClassName: "", hostPath: undefined, csi: { driver, volumeHandle: "h" } }),
      );
      await world.create(claim("data", { storageClassName: "", volumeName: "att-volume" }));
      await claimIs(world, "data", "Bound");
      await running(world, "user", "att-a", began, {
        spec: { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "data" } }] },
      });
      const attachment = await world.find(
        "storage.k8s.io/v1",
        "VolumeAttachment",
        ({ spec }) => spec.nodeName === "att-a",
      );
      await world.status("storage.k8s.io/v1", "VolumeAttachment", attachment, { attached: true });
      await world.until("v1", "Node", "att-a", ({ status }) => status.volumesAttached?.length === 1, "attached");
      await world.told("Pod", "user", "SuccessfulAttachVolume");
      await world.see("attached");
      await world.delete("v1", "Pod", "user", 0);
      await world.untilGone("storage.k8s.io/v1", "VolumeAttachment", attachment);
      await world.until("v1", "Node", "att-a", ({ status }) => !status.volumesAttached?.length, "detached");
      await world.see("detached");
    },
  },
  {
    name: "claims-for-pods",
    async play(world) {
      await node(world, "rc-a");
      await world.create({ apiVersion: "resource.k8s.io/v1", kind: "DeviceClass", metadata: { name: "rc" }, spec: {} });
      await world.create({
        apiVersion: "resource.k8s.io/v1",
        kind: "ResourceSlice",
        metadata: { name: "rc-slice" },
        spec: {
          driver: "rc.example.com",
          nodeName: "rc-a",
          pool: { name: "rc-a", generation: 1, resourceSliceCount: 1 },
          devices: [{ name: "d0" }],
        },
      });
      await world.create({
        apiVersion: "resource.k8s.io/v1",
        kind: "ResourceClaim",
        metadata: { name: "shared" },
        spec: { devices: { requests: [{ name: "r", exactly: { deviceClassName: "rc" } }] } },
      });
      await pod(world, "user", { spec: { resourceClaims: [{ name: "c", resourceClaimName: "shared" }] } });
      await bound(world, "user");
      await world.see("reserved");
      await world.delete("v1", "Pod", "user", 0);
      await world.until(
        "resource.k8s.io/v1",
        "ResourceClaim",
        "shared",
        ({ status }) => !status?.allocation,
        "given back",
      );
      await world.see("given back");
    },
  },
  {
    name: "role-aggregation",
    async play(world) {
      const role = (name: string, labels: Record<string, string>, rules: object[] | undefined, more: object = {}) =>
        world.create({
          apiVersion: "rbac.authorization.k8s.io/v1",
          kind: "ClusterRole",
          metadata: { name, labels },
          rules,
          ...more,
        });
      await role("ra-all", {}, undefined, {
        aggregationRule: { clusterRoleSelectors: [{ matchLabels: { into: "ra" } }, { matchLabels: { also: "ra" } }] },
      });
      await role("ra-b", { into: "ra" }, [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]);
      await role("ra-a", { also: "ra" }, [
        { apiGroups: [""], resources: ["nodes"], verbs: ["list"] },
        { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
      ]);
      await world.until(
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        "ra-all",
        ({ rules }) => rules?.length === 2,
        "aggregated",
      );
      await world.see("aggregated");
      await world.patch("rbac.authorization.k8s.io/v1", "ClusterRole", "ra-a", { metadata: { labels: null } });
      await world.until(
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        "ra-all",
        ({ rules }) => rules?.length === 1,
        "less",
      );
      await world.see("one left");
    },
  },
  {
    name: "service-ranges",
    async play(world) {
      await world.create({
        apiVersion: "networking.k8s.io/v1",
        kind: "ServiceCIDR",
        metadata: { name: "sr-a" },
        spec: { cidrs: ["10.77.0.0/24"] },
      });
      await world.until(
        "networking.k8s.io/v1",
        "ServiceCIDR",
        "sr-a",
        ({ status }) => status?.conditions?.length,
        "ready",
      );
      await world.see("ready");
      await world.create({
        apiVersion: "networking.k8s.io/v1",
        kind: "IPAddress",
        metadata: {
          name: "10.77.0.9",
          labels: {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
          },
        },
        spec: { parentRef: { resource: "services", namespace: "service-ranges", name: "s" } },
      });
      await world.delete("networking.k8s.io/v1", "ServiceCIDR", "sr-a");
      await world.until(
        "networking.k8s.io/v1",
        "ServiceCIDR",
        "sr-a",
        ({ status }) => status.conditions[0].status === "False",
        "kept",
      );
      await world.see("in use");
      await world.delete("networking.k8s.io/v1", "IPAddress", "10.77.0.9");
      await world.untilGone("networking.k8s.io/v1", "ServiceCIDR", "sr-a");
      await world.see("gone");
    },
  },
  {
    name: "account-tokens",
    async play(world) {
      await world.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "robot" } });
      const secret = (name: string, account: string) =>
        world.create({
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name, annotations: { "kubernetes.io/service-account.name": account } },
          type: "kubernetes.io/service-account-token",
        });
      await secret("token", "robot");
      await world.until("v1", "Secret", "token", ({ data }) => data?.token, "has its token");
      await secret("stray", "nobody");
      await world.untilGone("v1", "Secret", "stray");
      await world.see("made");
      await world.delete("v1", "ServiceAccount", "robot");
      await world.untilGone("v1", "Secret", "token");
      await world.see("gone with its account");
    },
  },
];
