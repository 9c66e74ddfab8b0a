import type Docker from "dockerode";
import { asRuntime } from "./docker-errors.ts";
import { type Counted, type Place, placeOf, usageAt } from "./process-usage.ts";
import type { ContainerStats, StatsOptions } from "./runtime.ts";

/** Docker walks a container's whole layer to know its size: not more often than this. */
const sizeAge_ms = 60_000;

interface Size {
  readonly measuredAt_ms: number;
  readonly used_bytes: number;
}

/**
 * Usage of one container. The kernel's own counters are read; Docker is asked once for the container's process, and for
 * the size of its layer at most once a minute. Where the control groups cannot be read from here (a daemon elsewhere),
 * Docker's own numbers stand in.
 */
export class DockerStats {
  readonly #docker: Docker;
  readonly #sizes = new Map<string, Size>();
  /** Under way: a large layer on a slow card takes longer than those who ask wait until they ask again. */
  readonly #measuring = new Map<string, Promise<number>>();
  readonly #places = new Map<string, Place>();

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  async of(id: string, { layerSize = "measured" }: StatsOptions = {}): Promise<ContainerStats> {
    const timestamp_ms = Date.now();
    const place = await this.#placeOf(id);
    const [usage, fsUsed_bytes] = await Promise.all([
      usageAt(place, () => this.#askDocker(id)),
      layerSize === "measured" ? this.#sizeOf(id) : undefined,
    ]);
    // A container that was started again has another process.
    if (!usage.isComplete) this.#places.delete(id);
    return { timestamp_ms, ...usage.counted, ...usage.network, fsUsed_bytes };
  }

  retain(ids: ReadonlySet<string>): void {
    for (const known of [this.#sizes, this.#places]) for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
  }

  async #placeOf(id: string): Promise<Place | undefined> {
    const known = this.#places.get(id);
    if (known) return known;
    const { State } = await asRuntime(`inspect container ${id}`, () => this.#docker.getContainer(id).inspect());
    const place = await placeOf(State.Pid);
    if (place) this.#places.set(id, place);
    return place;
  }

  async #askDocker(id: string): Promise<Counted> {
    const stats = await asRuntime(`stats of container ${id}`, () =>
      this.#docker.getContainer(id).stats({ stream: false, "one-shot": true }),
    );
    const memory = stats.memory_stats;
    const fields: Partial<Record<string, number>> = { ...memory?.stats };
    const usage_bytes = memory?.usage ?? 0;
    // cgroup v1 has the total_ names, v2 the plain ones; anonymous memory is v2's word for RSS.
    const inactiveFile_bytes = fields["total_inactive_file"] ?? fields["inactive_file"] ?? 0;
    return {
      cpuUsage_ns: stats.cpu_stats?.cpu_usage?.total_usage ?? 0,
      memoryUsage_bytes: usage_bytes,
      memoryWorkingSet_bytes: Math.max(0, usage_bytes - inactiveFile_bytes),
      memoryRss_bytes: fields["total_rss"] ?? fields["rss"] ?? fields["anon"] ?? 0,
    };
  }

  async #sizeOf(id: string): Promise<number> {
    const known = this.#sizes.get(id);
    if (known !== undefined && performance.now() - known.measuredAt_ms < sizeAge_ms) return known.used_bytes;
    const measuring = this.#measuring.get(id) ?? this.#measure(id).finally(() => this.#measuring.delete(id));
    this.#measuring.set(id, measuring);
    return await measuring;
  }

  async #measure(id: string): Promise<number> {
    const measuredAt_ms = performance.now();
    const [listed] = await asRuntime(`measure container ${id}`, () =>
      this.#docker.listContainers({ all: true, size: true, filters: { id: [id] } }),
    );
    const used_bytes = listed !== undefined && "SizeRw" in listed ? Number(listed.SizeRw ?? 0) : 0;
    this.#sizes.set(id, { measuredAt_ms, used_bytes });
    return used_bytes;
  }
}
