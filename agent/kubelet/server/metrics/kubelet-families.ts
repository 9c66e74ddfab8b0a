import { gaugeFamily as gauge, processFamilies } from "#shared/metrics/process-families.ts";
import type { Family, Sample } from "#shared/metrics/prometheus-text.ts";
import type { ContainerStatus } from "../../../runtime/runtime.ts";
import type { Kubelet } from "../../kubelet.ts";
import type { VolumeStats, VolumeUsage } from "../../volumes/volume-stats.ts";
import { podFamilies } from "./pod-families.ts";

/**
 * /metrics: the kubelet of itself. Upstream's kubelet_pleg_* are not among it: they tell how long it takes to list every container
 * each second, and nothing is listed here, the runtime tells what happens. Alerts on them have nothing to go by.
 */
export async function kubeletFamilies(kubelet: Kubelet): Promise<Family[]> {
  const containers = await kubelet.runtime.listContainers();
  return [
    gauge("kubelet_node_name", "The node's name; the value is always 1.", [
      { labels: { node: kubelet.options.nodeName }, value: 1 },
    ]),
    ...podFamilies(kubelet.pods(), kubelet.holdingPods()),
    gauge("kubelet_running_containers", "Containers by their state.", byState(containers)),
    ...volumeFamilies([...(await kubelet.volumeStats()).values()].flat()),
    ...(await kubelet.volumeFamilies()),
    ...kubelet.operations.families(),
    ...kubelet.podFamilies(),
    ...processFamilies(),
  ];
}

/** Of volumes by claims, each claim once however many pods use it. */
function volumeFamilies(volumes: readonly VolumeStats[]): Family[] {
  const byClaim = new Map<string, { labels: Sample["labels"]; usage: VolumeUsage }>();
  for (const { claim, usage } of volumes) {
    if (!claim) continue;
    const labels = { namespace: claim.namespace, persistentvolumeclaim: claim.name };
    byClaim.set(`${claim.namespace}/${claim.name}`, { labels, usage });
  }
  const family = (name: string, help: string, value: (usage: VolumeUsage) => number | undefined): Family =>
    gauge(
      `kubelet_volume_stats_${name}`,
      help,
      [...byClaim.values()].flatMap(({ labels, usage }) => {
        const measured = value(usage);
        return measured === undefined ? [] : [{ labels, value: measured }];
      }),
    );
  return [
    family("capacity_bytes", "Capacity in bytes of the volume.", (usage) => usage.capacity_bytes),
    family("available_bytes", "Number of available bytes in the volume.", (usage) => usage.available_bytes),
    family("used_bytes", "Number of used bytes in the volume.", (usage) => usage.used_bytes),
    family("inodes", "Maximum number of inodes in the volume.", (usage) => usage.inodes),
    family("inodes_free", "Number of free inodes in the volume.", (usage) => usage.inodesFree),
    family("inodes_used", "Number of used inodes in the volume.", (usage) => usage.inodesUsed),
    family("health_status_abnormal", "1 when its driver finds the volume unhealthy.", ({ condition }) =>
      condition ? Number(condition.abnormal) : undefined,
    ),
  ];
}

function byState(containers: readonly ContainerStatus[]): Sample[] {
  const counts = new Map<string, number>();
  for (const { state } of containers) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, value]) => ({ labels: { container_state: state }, value }));
}
