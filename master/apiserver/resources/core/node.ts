import { nodes } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn, orNone, wideColumn } from "../columns.ts";
import { connect, proxyVerbs, status } from "../subresources.ts";

const rolePrefix = "node-role.kubernetes.io/";

function roles(node: Node): string {
  const found = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix)) found.add(key.slice(rolePrefix.length));
    else if (key === "kubernetes.io/role") found.add(value);
  }
  found.delete("");
  return orNone([...found].sort().join(","));
}

function readiness(node: Node): string {
  const ready = node.status?.conditions?.findLast(({ type }) => type === "Ready");
  const text = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return node.spec.unschedulable ? `${text},SchedulingDisabled` : text;
}

const address = (node: Node, type: string): string =>
  node.status?.addresses?.find((known) => known.type === type)?.address ?? "<none>";
const info = (node: Node, key: "osImage" | "kernelVersion" | "containerRuntimeVersion"): string =>
  node.status?.nodeInfo?.[key] || "<unknown>";

export const node: ResourceDeclaration<Node> = {
  ref: nodes,
  shortNames: ["no"],
  subresources: { proxy: connect("NodeProxyOptions", proxyVerbs), status },
  columns: [
    nameColumn,
    column("Status", readiness),
    column("Roles", roles),
    ageColumn,
    column("Version", (object) => object.status?.nodeInfo?.kubeletVersion ?? ""),
    wideColumn("Internal-IP", (object) => address(object, "InternalIP")),
    wideColumn("External-IP", (object) => address(object, "ExternalIP")),
    wideColumn("OS-Image", (object) => info(object, "osImage")),
    wideColumn("Kernel-Version", (object) => info(object, "kernelVersion")),
    wideColumn("Container-Runtime", (object) => info(object, "containerRuntimeVersion")),
  ],
  selectableFields: { "spec.unschedulable": ({ spec }) => String(spec.unschedulable ?? false) },
  strategy: { hasStatus: true },
};
