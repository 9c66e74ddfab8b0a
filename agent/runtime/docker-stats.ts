import { readFile } from "node:fs/promises";
import type Docker from "dockerode";
import { asRuntime } from "./docker-errors.ts";
import type { ContainerStats } from "./runtime.ts";

/** Docker walks a container's whole layer to know its size: not more often than this. */
const sizeAge_ms = 60_000;

interface Size {
  readonly measuredAt_ms: number;
  readonly used_bytes: number;
}

/** Usage of one container, with the size of its layer measured at most once a minute. */
export class DockerStats {
  readonly #docker: Docker;
  readonly #sizes = new Map<string, Size>();

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  async of(id: string): Promise<ContainerStats> {
    const container = this.#docker.getContainer(id);
    const [stats, size, details] = await asRuntime(`stats of container ${id}`, async () => {
      const [stats, details] = await Promise.all([
        container.stats({ stream: false, "one-shot": true }),
        container.inspect(),
      ]);
      return [stats, await this.#sizeOf(id), details] as const;
    });
    const memory = stats.memory_stats;
    const fields: Partial<Record<string, number>> = { ...memory?.stats };
    const usage_bytes = memory?.usage ?? 0;
    // cgroup v1 has the total_ names, v2 the plain ones; anonymous memory is v2's word for RSS.
    const inactiveFile_bytes = fields["total_inactive_file"] ?? fields["inactive_file"] ?? 0;
    const network = await networkBytes(details.State.Pid);
    return {
      timestamp_ms: Date.parse(stats.read) || Date.now(),
      cpuUsage_ns: stats.cpu_stats?.cpu_usage?.total_usage ?? 0,
      memoryUsage_bytes: usage_bytes,
      memoryWorkingSet_bytes: Math.max(0, usage_bytes - inactiveFile_bytes),
      memoryRss_bytes: fields["total_rss"] ?? fields["rss"] ?? fields["anon"] ?? 0,
      networkRx_bytes: network.received,
      networkTx_bytes: network.sent,
      fsUsed_bytes: size,
    };
  }

  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#sizes.keys()) if (!ids.has(id)) this.#sizes.delete(id);
  }

  async #sizeOf(id: string): Promise<number> {
    const now_ms = performance.now();
    const known = this.#sizes.get(id);
    if (known !== undefined && now_ms - known.measuredAt_ms < sizeAge_ms) return known.used_bytes;
    const [listed] = await this.#docker.listContainers({ all: true, size: true, filters: { id: [id] } });
    const used_bytes = listed !== undefined && "SizeRw" in listed ? Number(listed.SizeRw ?? 0) : 0;
    this.#sizes.set(id, { measuredAt_ms: now_ms, used_bytes });
    return used_bytes;
  }
}

/** The counters of a process's network namespace; Docker has none for a namespace that CNI wired. */
async function networkBytes(pid: number): Promise<{ received: number; sent: number }> {
  // Ended meanwhile: no counters any more.
  const text = pid > 0 ? await readFile(`/proc/${pid}/net/dev`, "utf8").catch(() => "") : "";
  return sumNetDev(text);
}

/** Sums /proc/net/dev over all interfaces but the loopback. */
export function sumNetDev(text: string): { received: number; sent: number } {
  let received = 0;
  let sent = 0;
  for (const line of text.split("\n")) {
    const match = /^\s*([^:\s]+):\s*(.*)$/.exec(line);
    if (match === null || match[1] === "lo") continue;
    const numbers = (match[2] ?? "").trim().split(/\s+/).map(Number);
    received += numbers[0] ?? 0;
    sent += numbers[8] ?? 0;
  }
  return { received, sent };
}
