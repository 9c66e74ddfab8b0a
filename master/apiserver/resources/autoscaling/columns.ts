import type { HorizontalPodAutoscaler, MetricSpec, MetricStatus } from "#shared/api/types/autoscaling-v2.generated.ts";
import type { TableColumn } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";

type Amount = string | number | undefined;
const known = (amount: Amount): string => String(amount ?? "<unknown>");
const percent = (value: number | undefined, absent: string): string => (value === undefined ? absent : `${value}%`);

function metric(spec: MetricSpec, status: MetricStatus | undefined): string {
  switch (spec.type) {
    case "External":
    case "Object": {
      const target = spec.type === "External" ? spec.external?.target : spec.object?.target;
      const current = spec.type === "External" ? status?.external?.current : status?.object?.current;
      return target?.averageValue !== undefined
        ? `${known(current?.averageValue)}/${target.averageValue} (avg)`
        : `${known(current?.value)}/${target?.value}`;
    }
    case "Pods":
      return `${known(status?.pods?.current.averageValue)}/${spec.pods?.target.averageValue}`;
    case "Resource":
    case "ContainerResource": {
      const source = spec.type === "Resource" ? spec.resource : spec.containerResource;
      const current = spec.type === "Resource" ? status?.resource?.current : status?.containerResource?.current;
      return source?.target.averageValue !== undefined
        ? `${source.name}: ${known(current?.averageValue)}/${source.target.averageValue}`
        : `${source?.name}: ${percent(current?.averageUtilization, "<unknown>")}/${percent(source?.target.averageUtilization, "<auto>")}`;
    }
    default:
      return "<unknown type>";
  }
}

function targets({ spec, status }: HorizontalPodAutoscaler): string {
  const all = (spec.metrics ?? []).map((each, index) => metric(each, status?.currentMetrics?.[index]));
  if (all.length === 0) return "<none>";
  const shown = all.slice(0, 2).join(", ");
  return all.length > 2 ? `${shown} + ${all.length - 2} more...` : shown;
}

export const autoscalerColumns: readonly TableColumn<HorizontalPodAutoscaler>[] = [
  nameColumn,
  column("Reference", ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`),
  column("Targets", targets),
  column("MinPods", ({ spec }) => String(spec.minReplicas ?? "<unset>")),
  column("MaxPods", ({ spec }) => spec.maxReplicas),
  column("Replicas", ({ status }) => status?.currentReplicas ?? 0),
  ageColumn,
];
