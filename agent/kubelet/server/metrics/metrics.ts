import { cpus, loadavg, totalmem, uptime } from "node:os";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { readBoard } from "../../../telemetry/board.ts";
import { readDiskWrites } from "../../../telemetry/disk-writes.ts";
import { readSensors } from "../../../telemetry/sensors.ts";
import { readLoad, readUsage } from "../../../telemetry/usage.ts";
import type { Kubelet } from "../../kubelet.ts";
import { boardFamilies } from "./board-families.ts";
import { cadvisorFamilies } from "./cadvisor-families.ts";
import { kubeletFamilies } from "./kubelet-families.ts";
import { probeFamilies } from "./probe-families.ts";
import { resourceFamilies } from "./resource-families.ts";

/** Prometheus text by path; undefined for a path that serves none. All of it is read when somebody asks, never on a timer. */
export async function renderMetrics(path: string, kubelet: Kubelet): Promise<string | undefined> {
  switch (path) {
    case "/metrics":
      return renderPrometheus(await kubeletFamilies(kubelet));
    case "/metrics/resource":
      return renderPrometheus(resourceFamilies(await readLoad(), await kubelet.podStats({ layerSize: "skipped" })));
    case "/metrics/cadvisor":
      return renderPrometheus(cadvisorFamilies(await kubelet.podStats()));
    case "/metrics/probes":
      return renderPrometheus(probeFamilies(kubelet.probeCounts()));
    case "/metrics/board": {
      const [usage, sensors, { model }, writes] = await Promise.all([
        readUsage(kubelet.options.dataDir),
        readSensors(),
        readBoard(),
        readDiskWrites(kubelet.options.dataDir),
      ]);
      const [load1 = 0] = loadavg();
      const machine = { memory_bytes: totalmem(), cpus: cpus().length, load1, uptime_s: uptime(), model };
      return renderPrometheus(boardFamilies({ usage, sensors, writes, ...machine }));
    }
    default:
      return undefined;
  }
}
