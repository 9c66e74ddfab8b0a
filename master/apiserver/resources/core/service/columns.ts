import type { LoadBalancerStatus, Service } from "#shared/api/types/core-v1.generated.ts";
import type { TableColumn } from "../../../registry/declaration.ts";
import { ageColumn, column, formatLabels, nameColumn, orNone, wideColumn } from "../../columns.ts";

/** Addresses of a load balancer, each once and sorted. */
export function loadBalancerText(status: Pick<LoadBalancerStatus, "ingress"> | undefined): string {
  const addresses = new Set((status?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || ""));
  addresses.delete("");
  return [...addresses].sort().join(",");
}

function externalIP({ spec, status }: Service): string {
  const external = spec.externalIPs ?? [];
  if (spec.type === "ExternalName") return spec.externalName ?? "";
  if (spec.type === "ClusterIP" || spec.type === "NodePort") return orNone(external.join(","));
  if (spec.type !== "LoadBalancer") return "<unknown>";
  const balancer = loadBalancerText(status?.loadBalancer);
  return [...(balancer === "" ? [] : [balancer]), ...external].join(",") || "<pending>";
}

const ports = ({ spec }: Service): string =>
  orNone(
    (spec.ports ?? [])
      .map(({ port, nodePort, protocol }) => (nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`))
      .join(","),
  );

export const serviceColumns: readonly TableColumn<Service>[] = [
  nameColumn,
  column("Type", ({ spec }) => spec.type),
  column("Cluster-IP", ({ spec }) => spec.clusterIPs?.[0] ?? "<none>"),
  column("External-IP", externalIP),
  column("Port(s)", ports),
  ageColumn,
  wideColumn("Selector", ({ spec }) => formatLabels(spec.selector)),
];
