import { leases, nodes, pods } from "#shared/api/resources.ts";
import { updateLatest } from "#shared/client/testing/update-latest.ts";
import { joinBoard } from "../boards.ts";
import type { Rows } from "./stage.ts";

/** What looks after boards and the pods on them. */
export const boardRows: Rows = {
  async "node-ipam-controller"(stage) {
    await joinBoard(stage.admin, "ranged");
    await stage.until(nodes, { name: "ranged" }, ({ spec }) => spec?.podCIDR?.endsWith("/24"));
  },
  async "ttl-controller"(stage) {
    await joinBoard(stage.admin, "annotated");
    await stage.until(nodes, { name: "annotated" }, ({ metadata }) => {
      return metadata.annotations?.["node.alpha.kubernetes.io/ttl"] === "0";
    });
  },
  async "board-authorities-controller"(stage) {
    await joinBoard(stage.admin, "outdated");
    const body = { metadata: { annotations: { "bramble.dev/trusted-authorities": "0123456789abcdef" } } };
    await stage.admin.patch(nodes, { name: "outdated" }, { type: "merge", body });
    await stage.until(nodes, { name: "outdated" }, ({ metadata }) => {
      return /^[0-9a-f]{16}$/.test(metadata.annotations?.["bramble.dev/wanted-authorities"] ?? "");
    });
  },
  async "node-controller"(stage) {
    await joinBoard(stage.admin, "silent");
    const session = (state: string) => ({
      "bramble.dev/session-state": state,
      "bramble.dev/session": "boot/1",
    });
    const made = await stage.admin.create(leases, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "silent", namespace: "kube-node-lease", annotations: session("online") },
      spec: { holderIdentity: "silent", leaseDurationSeconds: 40, renewTime: "2026-01-01T00:00:00.000000Z" },
    });
    await stage.admin.update(leases, { ...made, metadata: { ...made.metadata, annotations: session("lost") } });
    await stage.until(nodes, { name: "silent" }, ({ status, spec }) => {
      const unknown = status?.conditions?.find(({ type }) => type === "Ready")?.status === "Unknown";
      return unknown && spec?.taints?.some(({ effect }) => effect === "NoExecute");
    });
    await stage.admin.delete(nodes, { name: "silent" });
  },
  async "taint-eviction-controller"(stage) {
    await joinBoard(stage.admin, "emptied");
    await stage.pod("evicted", { nodeName: "emptied" });
    await stage.pod("tolerant", { nodeName: "emptied", tolerations: [{ operator: "Exists" }] });
    const body = { spec: { taints: [{ key: "example.com/away", effect: "NoExecute" }] } };
    await stage.admin.patch(nodes, { name: "emptied" }, { type: "merge", body });
    await stage.gone(pods, stage.key("evicted"));
    await stage.admin.get(pods, stage.key("tolerant"));
  },
  async "pod-garbage-collector-controller"(stage) {
    await joinBoard(stage.admin, "broken");
    await stage.pod("stranded", { nodeName: "broken", tolerations: [{ operator: "Exists" }] }, { played: "no" });
    await stage.admin.delete(pods, stage.key("stranded"));
    const conditions = [{ type: "Ready", status: "False", reason: "KubeletNotReady", message: "broken" }];
    const key = { name: "broken" };
    await stage.admin.patch(
      nodes,
      key,
      { type: "strategic", body: { status: { conditions } } },
      { subresource: "status" },
    );
    const outOfService = { key: "node.kubernetes.io/out-of-service", effect: "NoExecute" };
    await updateLatest(stage.admin, nodes, key, ({ spec, ...node }) => ({
      ...node,
      spec: { ...spec, taints: [...(spec?.taints ?? []), outOfService] },
    }));
    await stage.gone(pods, stage.key("stranded"));
    await stage.admin.delete(nodes, key);
  },
};
