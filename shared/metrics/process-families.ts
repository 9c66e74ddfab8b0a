import { readdirSync, readFileSync } from "node:fs";
import { platform } from "#shared/client/user-agent.ts";
import { gitVersion, kubernetesVersion } from "#shared/version.ts";
import { metricRuleFamilies } from "./metric-rules.ts";
import type { Family, Sample } from "./prometheus-text.ts";
import { restClientFamilies } from "./rest-client.ts";
import { workQueueFamilies } from "./work-queues.ts";

const mostFiles = Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Number.NaN);
const startedAt_s = Date.now() / 1000 - process.uptime();

/** Of parts of this process that keep their own numbers. */
const sources = new Set<() => readonly Family[]>();

/** What a part tells from now on; call what it gives when the part ends. */
export function tellAlso(source: () => readonly Family[]): () => void {
  sources.add(source);
  return () => void sources.delete(source);
}

/** What every component tells of its process, under the names of Prometheus' client libraries. */
export function processFamilies(): Family[] {
  const cpu = process.cpuUsage();
  const [major = "", minor = ""] = kubernetesVersion.replace(/^v/, "").split(".");
  return [
    gaugeFamily("kubernetes_build_info", "What was built.", [
      { labels: { git_version: gitVersion(), major, minor, platform }, value: 1 },
    ]),
    {
      name: "process_cpu_seconds_total",
      type: "counter",
      help: "CPU time, user and system, in seconds.",
      samples: [{ labels: {}, value: (cpu.user + cpu.system) / 1e6 }],
    },
    single("process_resident_memory_bytes", "Resident memory in bytes.", process.memoryUsage().rss),
    startTimeFamily(),
    single("process_open_fds", "Open file descriptors.", readdirSync("/proc/self/fd").length),
    single("process_max_fds", "How many may be open.", mostFiles),
    ...metricRuleFamilies(),
    ...restClientFamilies(),
    ...workQueueFamilies(),
    ...[...sources].flatMap((source) => source()),
  ];
}

/** By which a reader tells that counts began anew, as client libraries for Go send it. */
export const startTimeHeader = { "process-start-time-unix": String(Math.floor(startedAt_s)) } as const;

export const startTimeFamily = (): Family =>
  single("process_start_time_seconds", "Start in seconds since 1970.", startedAt_s);

export const gaugeFamily = (name: string, help: string, samples: readonly Sample[]): Family => ({
  name,
  type: "gauge",
  help,
  samples,
});

const single = (name: string, help: string, value: number): Family => gaugeFamily(name, help, [{ labels: {}, value }]);
