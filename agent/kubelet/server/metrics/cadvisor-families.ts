import { cpus, totalmem } from "node:os";
import type { InterfaceCounters } from "#agent/telemetry/interface-counters.ts";
import { milliValue, wholeValue } from "#shared/api/quantity.ts";
import type { Container, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import type { Family, Sample } from "#shared/metrics/prometheus-text.ts";
import { cgroupPath, PodCgroupNames } from "../../cgroups/cgroup-name.ts";
import { podUid } from "../../pod-containers.ts";
import type { PodStats } from "../../pod-workers.ts";
import { type ContainerMetric, containerMetrics, type MeasuredContainer } from "./container-metrics.ts";
import { podLabels } from "./resource-families.ts";

/** A container with what its samples carry. */
interface LabelledContainer {
  readonly each: MeasuredContainer;
  readonly spec: ResourceRequirements | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** /metrics/cadvisor: each container in cAdvisor's names and labels, as dashboards for Kubernetes query them. */
export function cadvisorFamilies(pods: readonly PodStats[]): Family[] {
  const containers = labelledContainers(pods);
  return [
    ...machineFamilies(),
    ...containerMetrics.map((metric) => containerFamily(metric, containers)),
    ...limitFamilies(containers),
    ...networkFamilies(pods),
  ];
}

function labelledContainers(pods: readonly PodStats[]): LabelledContainer[] {
  const names = new PodCgroupNames("/");
  return pods.flatMap(({ pod, containers }) =>
    containers.map((each) => ({
      each,
      spec: resourcesOf(pod, each.container.name),
      labels: {
        container: each.container.name,
        id: `${cgroupPath(names.pod(pod, podUid(pod)), "cgroupfs")}/${each.container.id}`,
        image: each.container.image,
        name: each.container.id,
        ...podLabels(pod),
      },
    })),
  );
}

const machineFamilies = (): Family[] => [
  { name: "cadvisor_version_info", type: "gauge", help: "Who counts.", samples: [{ labels: {}, value: 1 }] },
  { name: "machine_cpu_cores", type: "gauge", help: "CPU cores.", samples: [{ labels: {}, value: cpus().length }] },
  { name: "machine_memory_bytes", type: "gauge", help: "Memory.", samples: [{ labels: {}, value: totalmem() }] },
];

function containerFamily({ series, ...metric }: ContainerMetric, containers: readonly LabelledContainer[]): Family {
  const samples = series.flatMap(({ labels: own, value }) =>
    containers.flatMap(({ each, labels }): Sample[] => {
      const measured = value(each);
      if (measured === undefined) return [];
      return [{ labels: { ...labels, ...own }, value: measured, at_ms: each.stats.timestamp_ms }];
    }),
  );
  return { ...metric, samples };
}

const cfsPeriod_us = 100_000;

function limitFamilies(containers: readonly LabelledContainer[]): Family[] {
  const family = (name: string, help: string, value: (spec: ResourceRequirements) => number | undefined): Family => ({
    name,
    type: "gauge",
    help,
    samples: containers.flatMap(({ spec, labels }) => {
      const amount = spec && value(spec);
      return amount === undefined ? [] : [{ labels, value: amount }];
    }),
  });
  const milli = (amount: string | number | undefined): number | undefined =>
    amount === undefined ? undefined : milliValue(amount);
  return [
    family("container_spec_cpu_period", "CPU period in microseconds.", () => cfsPeriod_us),
    family("container_spec_cpu_quota", "CPU quota in microseconds of a period.", ({ limits }) => {
      const cores = milli(limits?.["cpu"]);
      return cores === undefined ? undefined : (cores * cfsPeriod_us) / 1000;
    }),
    family("container_spec_memory_limit_bytes", "Memory limit; 0: none.", ({ limits }) => {
      const memory = limits?.["memory"];
      return memory === undefined ? 0 : wholeValue(memory);
    }),
  ];
}

/** Of each pod's own network; a pod in the board's network has none of its own. */
function networkFamilies(pods: readonly PodStats[]): Family[] {
  const own = pods.flatMap(({ pod, containers }) => {
    const counted = containers.find(({ stats }) => (stats.interfaces?.length ?? 0) > 0);
    if (pod.spec.hostNetwork || !counted) return [];
    const labels = {
      container: "",
      id: `/kubepods/pod${pod.metadata.uid ?? ""}`,
      image: "bramble.local/pause",
      name: "",
      ...podLabels(pod),
    };
    return (counted.stats.interfaces ?? []).map((each) => ({ each, labels, at_ms: counted.stats.timestamp_ms }));
  });
  const families: readonly (readonly [string, string, (each: InterfaceCounters) => number])[] = [
    ["receive_bytes", "Bytes received.", (each) => each.received_bytes],
    ["receive_packets", "Packets received.", (each) => each.receivedPackets],
    ["receive_errors", "Errors on receiving.", (each) => each.receiveErrors],
    ["receive_packets_dropped", "Packets dropped on receiving.", (each) => each.receiveDrops],
    ["transmit_bytes", "Bytes sent.", (each) => each.sent_bytes],
    ["transmit_packets", "Packets sent.", (each) => each.sentPackets],
    ["transmit_errors", "Errors on sending.", (each) => each.sendErrors],
    ["transmit_packets_dropped", "Packets dropped on sending.", (each) => each.sendDrops],
  ];
  return families.map(([name, help, value]) => ({
    name: `container_network_${name}_total`,
    type: "counter",
    help,
    samples: own.map(({ each, labels, at_ms }) => ({
      labels: { ...labels, interface: each.name },
      value: value(each),
      at_ms,
    })),
  }));
}

function resourcesOf(pod: PodStats["pod"], name: string): ResourceRequirements | undefined {
  const { containers, initContainers = [] } = pod.spec;
  const found: Container | undefined = [...containers, ...initContainers].find((each) => each.name === name);
  return found && (found.resources ?? {});
}
