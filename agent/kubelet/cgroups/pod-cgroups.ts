import { readFile } from "node:fs/promises";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { BoardFacts } from "#agent/telemetry/board.ts";
import { type CgroupUsage, readCgroupUsage } from "#agent/telemetry/cgroup-usage.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { type CpuQuota, cpuSharesOf } from "../container/container-resources.ts";
import { boardReference } from "../node/node-events.ts";
import type { Reserved } from "../node/node-status.ts";
import { podUid } from "../pod-containers.ts";
import { ResizeError } from "../pod-resizer.ts";
import { type CgroupDriver, type CgroupName, cgroupPath, PodCgroupNames, podUidOfFolder } from "./cgroup-name.ts";
import { CgroupTimes } from "./cgroup-times.ts";
import { CgroupsUnusable, CgroupTree, type GroupTree } from "./cgroup-tree.ts";
import { burstableShares, type CgroupLimits, nodeCgroupLimits, podCgroupLimits } from "./limits.ts";
import { SliceTree } from "./slice-tree.ts";
import { SystemdUnits } from "./systemd-units.ts";

/** How a board groups the processes of its pods. */
export interface PodCgroupSettings {
  /** The group that holds those of all pods; "/" for the topmost. */
  readonly root: string;
  /** Processes of a pod at most; none when not positive. */
  readonly podPidsLimit: number;
  /** Keeps all pods together within what the board has for them. */
  readonly enforceNodeAllocatable: boolean;
  /** Groups beside the pods' that are held to what is reserved for them; none when absent. */
  readonly reservedGroups?: readonly ReservedGroup[] | undefined;
  /** Where the kernel shows control groups; /sys/fs/cgroup when absent. */
  readonly mount?: string | undefined;
  /** Socket of the bus that systemd is on; the system's own when absent. */
  readonly busPath?: string | undefined;
}

/** A group that is there, and what it may take. */
export interface ReservedGroup {
  readonly what: "Kube" | "System";
  /** As the runtime's driver names it: `/kube`, or `/kube.slice`. */
  readonly group: string;
  readonly cpu_m: number;
  /** Undefined: it is not bounded. */
  readonly memory_bytes: number | undefined;
  readonly pids: number | undefined;
}

export interface PodCgroupsOptions extends PodCgroupSettings {
  readonly runtime: Pick<ContainerRuntime, "version">;
  readonly board: BoardFacts;
  readonly reserved: Reserved;
  readonly cpuQuota: CpuQuota;
  /** Has the pod CPUs of its own? Then it is not held to less time than these have. */
  hasOwnCpus(uid: string): boolean;
  readonly log: Log;
  /** The board's Node, and where what happened to it is told. */
  readonly nodeName: string;
  readonly recorder: EventRecorder;
  /** Those that take up resources of the board, as granted. */
  pods(): readonly Pod[];
}

export interface GroupUsage {
  /** By UID; without pods that have no group of their own. */
  readonly pods: ReadonlyMap<string, CgroupUsage>;
  /** Of all together. */
  readonly all: CgroupUsage | undefined;
}

interface Opened {
  readonly driver: CgroupDriver;
  readonly tree: GroupTree;
}

/**
 * Control groups by class of service: kubepods, in it burstable and besteffort, and in these (a guaranteed pod directly in
 * kubepods) one a pod, which limits the pod as a whole. A pod whose sandbox began without one goes on so.
 */
export class PodCgroups {
  /** What changes of them take; for /metrics. */
  readonly times = new CgroupTimes();
  readonly #names: PodCgroupNames;
  #opening: Promise<Opened | undefined> | undefined;
  /** Limits last given, by UID of the pod, as text; those of a pod without a group count as given. */
  readonly #given = new Map<string, string>();
  #burstableShares: number | undefined;
  #isNodeLimited = false;

  constructor(private readonly options: PodCgroupsOptions) {
    this.#names = new PodCgroupNames(options.root);
  }

  /**
   * Makes the pod's group if it is not there, and gives its path as the runtime takes it; undefined where pods have none.
   * Rejects while the runtime does not say how it names groups.
   */
  async ensure(pod: Pod): Promise<string | undefined> {
    const opened = await this.#opened();
    const limits = this.#limitsOf(pod);
    const path = opened && this.#pathOf(pod, opened);
    if (path !== undefined) await opened?.tree.create(path, limits);
    this.#given.set(podUid(pod), textOf(limits));
    if (!opened) return undefined;
    await this.#shareOut(opened);
    return path;
  }

  /** Has the pod been granted other resources than its group has? */
  isBehind(pod: Pod): boolean {
    return this.#given.get(podUid(pod)) !== textOf(this.#limitsOf(pod));
  }

  /** Before the containers get what the pod was granted: more where it is more, never less. */
  async raise(pod: Pod): Promise<void> {
    const opened = await this.#opened();
    if (!opened) return;
    const path = this.#pathOf(pod, opened);
    if (!opened.tree.exists(path)) return;
    const wanted = this.#limitsOf(pod);
    const current = await opened.tree.current(path);
    const isMore = (value: number | undefined, than: number): boolean =>
      value !== undefined && than !== 0 && (value === 0 || value > than);
    await opened.tree.set(path, {
      ...((wanted.cpuShares ?? 0) > current.cpuShares ? { cpuShares: wanted.cpuShares } : {}),
      ...(isMore(wanted.cpuQuota_us, current.cpuQuota_us)
        ? { cpuQuota_us: wanted.cpuQuota_us, cpuPeriod_us: wanted.cpuPeriod_us }
        : {}),
      ...(isMore(wanted.memoryLimit_bytes, current.memoryLimit_bytes)
        ? { memoryLimit_bytes: wanted.memoryLimit_bytes }
        : {}),
    });
  }

  /** After them: exactly what the pod was granted. Rejects with ResizeError when it uses more memory than that. */
  async settle(pod: Pod): Promise<void> {
    const opened = await this.#opened();
    const limits = this.#limitsOf(pod);
    if (opened) {
      const path = this.#pathOf(pod, opened);
      if (opened.tree.exists(path)) await this.#lower(opened.tree, path, limits);
      await this.#shareOut(opened);
    }
    this.#given.set(podUid(pod), textOf(limits));
  }

  /** What the kernel counts of them; undefined where groups cannot be had. */
  async usage(pods: readonly Pod[]): Promise<GroupUsage | undefined> {
    const opened = await this.#opened();
    if (!opened) return undefined;
    const read = (path: string): Promise<CgroupUsage | undefined> => readCgroupUsage(opened.tree.folders(path));
    const [all, ...each] = await Promise.all([
      read(cgroupPath(this.#names.kubepods, opened.driver)),
      ...pods.map(async (pod) => [podUid(pod), await read(this.#pathOf(pod, opened))] as const),
    ]);
    return { all, pods: new Map(each.flatMap(([uid, usage]) => (usage ? [[uid, usage]] : []))) };
  }

  /** Takes the pod's group away. What cannot be taken yet is found by `sweep`. */
  async remove(uid: string): Promise<void> {
    this.#given.delete(uid);
    const opened = await this.#opened();
    if (!opened) return;
    for (const place of this.#names.places(uid)) await this.#take(opened, cgroupPath(place, opened.driver));
    // The pod counts as active until all of it is gone.
    await this.#shareOut(opened, uid);
  }

  /** Takes away groups of pods that are not known, and tries again what did not work. */
  async sweep(isKnown: (uid: string) => boolean): Promise<void> {
    const wasOpen = this.#opening !== undefined;
    const opened = await this.#opened();
    if (!opened) return;
    if (wasOpen && !this.#isNodeLimited) await this.#limitNode(opened);
    for (const uid of this.#given.keys()) if (!isKnown(uid)) this.#given.delete(uid);
    for (const name of this.#names.classes) {
      const above = cgroupPath(name, opened.driver);
      for (const folder of await opened.tree.children(above)) {
        const uid = podUidOfFolder(folder, opened.driver);
        if (uid !== undefined && !isKnown(uid)) await this.#take(opened, `${above}/${folder}`);
      }
    }
    await this.#shareOut(opened);
  }

  #limitsOf(pod: Pod): CgroupLimits {
    const { podPidsLimit, cpuQuota, hasOwnCpus } = this.options;
    const quota = hasOwnCpus(podUid(pod)) ? { ...cpuQuota, isEnforced: false } : cpuQuota;
    return { ...podCgroupLimits(pod, quota), ...(podPidsLimit > 0 ? { pidsLimit: podPidsLimit } : {}) };
  }

  #pathOf(pod: Pod, { driver }: Opened): string {
    return cgroupPath(this.#names.pod(pod, podUid(pod)), driver);
  }

  async #lower(tree: GroupTree, path: string, limits: CgroupLimits): Promise<void> {
    const { memoryLimit_bytes = 0 } = limits;
    if (memoryLimit_bytes > 0) {
      // The kernel would not refuse on version 2: it would kill.
      const usage_bytes = await tree.memoryUsage_bytes(path);
      if (memoryLimit_bytes < usage_bytes)
        throw new ResizeError(
          `attempting to set pod memory limit (${memoryLimit_bytes}) below current usage (${usage_bytes})`,
        );
    }
    await tree.set(path, limits);
  }

  async #take({ tree }: Opened, path: string): Promise<void> {
    await tree
      .remove(path)
      .catch((error: unknown) =>
        this.options.log.warn("the control group of a pod that has ended stays", { path, error }),
      );
  }

  /** Burstable pods together get what they request. */
  async #shareOut({ tree, driver }: Opened, withoutUid?: string): Promise<void> {
    const cpuShares = burstableShares(this.options.pods().filter((pod) => podUid(pod) !== withoutUid));
    if (cpuShares === this.#burstableShares) return;
    await tree.create(cgroupPath(this.#names.burstable, driver), { cpuShares });
    this.#burstableShares = cpuShares;
  }

  #opened(): Promise<Opened | undefined> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** Rejects while the runtime does not answer; undefined for good where groups cannot be had. */
  async #open(): Promise<Opened | undefined> {
    const { runtime, board, log, mount, busPath } = this.options;
    const { cgroupDriver } = await runtime.version();
    try {
      if (cgroupDriver !== "cgroupfs" && cgroupDriver !== "systemd")
        throw new CgroupsUnusable(`the container runtime names them by ${cgroupDriver}`);
      const kernel = await CgroupTree.open(
        board.hugepages.map(({ size_bytes }) => size_bytes),
        mount,
      );
      const tree = cgroupDriver === "systemd" ? new SliceTree(kernel, new SystemdUnits(busPath)) : kernel;
      const opened: Opened = { driver: cgroupDriver, tree: this.times.timed(tree) };
      await this.#createClasses(opened);
      await this.#limitNode(opened);
      for (const group of this.options.reservedGroups ?? []) await this.#limitReserved(opened, group);
      return opened;
    } catch (error) {
      log.warn("pods have no control groups of their own: only containers are limited", { error });
      return undefined;
    }
  }

  async #createClasses({ tree, driver }: Opened): Promise<void> {
    const create = (name: CgroupName, limits: CgroupLimits): Promise<void> =>
      tree.create(cgroupPath(name, driver), { ...limits, hugepages: "unbounded" });
    await create(this.#names.kubepods, {});
    await create(this.#names.bestEffort, { cpuShares: cpuSharesOf(0) });
    const cpuShares = burstableShares(this.options.pods());
    await create(this.#names.burstable, { cpuShares });
    this.#burstableShares = cpuShares;
  }

  /** Of what runs beside pods. A group that is not there is told. */
  async #limitReserved({ tree, driver }: Opened, reserved: ReservedGroup): Promise<void> {
    const { log, nodeName, recorder } = this.options;
    const { what, group, cpu_m, memory_bytes, pids } = reserved;
    const path = cgroupPath(namesOf(group, driver), driver);
    const node = boardReference(nodeName);
    try {
      if (!tree.exists(path)) throw new Error(`cgroup ${JSON.stringify(group)} doesn't exist`);
      await tree.set(path, { cpuShares: cpuSharesOf(cpu_m), memoryLimit_bytes: memory_bytes, pidsLimit: pids });
      const message = `Updated limits on ${what.toLowerCase()} reserved cgroup ${group}`;
      recorder.record(node, { type: "Normal", reason: "NodeAllocatableEnforced", message });
    } catch (error) {
      log.error("a group is not held to what is reserved for it", { group, error });
      const message = `Failed to enforce ${what} Reserved Cgroup Limits on ${JSON.stringify(group)}: ${(error as Error).message}`;
      recorder.record(node, { type: "Warning", reason: "FailedNodeAllocatableEnforcement", message });
    }
  }

  /** Pods that use more already end by eviction: until then the board goes without the limit. */
  async #limitNode({ tree, driver }: Opened): Promise<void> {
    const { board, reserved, enforceNodeAllocatable, log, nodeName: name, recorder } = this.options;
    const kept = enforceNodeAllocatable ? reserved : { ...reserved, cpu_m: 0, memory_bytes: 0 };
    const limits = nodeCgroupLimits(board, kept, await mostProcesses());
    const path = cgroupPath(this.#names.kubepods, driver);
    const node = boardReference(name);
    try {
      await tree.set(path, limits);
      this.#isNodeLimited = true;
      const message = "Updated Node Allocatable limit across pods";
      recorder.record(node, { type: "Normal", reason: "NodeAllocatableEnforced", message });
    } catch (error) {
      log.warn("all pods together could not be limited yet", { error });
      const message = `Failed to update Node Allocatable Limits "${path}": ${(error as Error).message}`;
      recorder.record(node, { type: "Warning", reason: "FailedNodeAllocatableEnforcement", message });
    }
  }
}

/** The names of a group and those above it, in the path of either driver. */
function namesOf(group: string, driver: CgroupDriver): CgroupName {
  if (driver === "cgroupfs") return group.split("/").filter((part) => part !== "");
  const slice = group.slice(group.lastIndexOf("/") + 1).replace(/\.slice$/, "");
  return slice.split("-");
}

function textOf({ hugepages, ...limits }: CgroupLimits): string {
  return JSON.stringify([limits, hugepages instanceof Map ? [...hugepages] : hugepages]);
}

/** Of the whole machine; undefined where the kernel does not say. */
async function mostProcesses(): Promise<number | undefined> {
  const read = (name: string): Promise<number> => readFile(`/proc/sys/kernel/${name}`, "utf8").then(Number);
  try {
    return Math.min(await read("pid_max"), await read("threads-max"));
  } catch {
    return undefined;
  }
}
