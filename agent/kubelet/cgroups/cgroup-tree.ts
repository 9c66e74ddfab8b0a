import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { cgroupSettings } from "#agent/runtime/cgroup-limits.ts";
import { type CgroupFolders, foldersByController } from "#agent/telemetry/cgroup-usage.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import { errnoOf } from "#shared/files/if-present.ts";
import type { CgroupLimits } from "./limits.ts";

/** Why pods cannot have control groups of their own here. */
export class CgroupsUnusable extends Error {
  override readonly name = "CgroupsUnusable";
}

/** What a group has now; 0: no limit. */
export interface CurrentLimits {
  readonly cpuShares: number;
  readonly cpuQuota_us: number;
  readonly memoryLimit_bytes: number;
}

/** Control groups by their path below the mount of their hierarchy. */
export interface GroupTree {
  exists(path: string): boolean;
  /** Makes the group and those above it, and limits it. One that is there already is limited anew. */
  create(path: string, limits: CgroupLimits): Promise<void>;
  set(path: string, limits: CgroupLimits): Promise<void>;
  current(path: string): Promise<CurrentLimits>;
  memoryUsage_bytes(path: string): Promise<number>;
  /** Where the kernel shows what it counts of the group. */
  folders(path: string): CgroupFolders;
  /** Names of the groups directly below. */
  children(path: string): Promise<string[]>;
  /** Takes the group away with all below it. Rejects with EBUSY while a process is in it. */
  remove(path: string): Promise<void>;
}

const needed = ["cpu", "memory"];
const limited = [...needed, "pids", "hugetlb"];
const removals = 5;
const firstRemoval_ms = 10;
/** More than any machine has, and still a number that the kernel takes. */
const unbounded_bytes = 2n ** 62n;

/**
 * The kernel's own control groups. Version 1 has a hierarchy for each controller, with the same path in each; version 2 has
 * one. Rejects with the kernel's errors.
 */
export class CgroupTree implements GroupTree {
  private constructor(
    readonly version: 1 | 2,
    readonly controllers: ReadonlySet<string>,
    private readonly mount: string,
    private readonly hugepageSizes: readonly number[],
  ) {}

  /** Rejects with CgroupsUnusable where pods could not be limited. */
  static async open(hugepageSizes: readonly number[], mount = "/sys/fs/cgroup"): Promise<CgroupTree> {
    const unified = await readFile(`${mount}/cgroup.controllers`, "utf8").catch(() => undefined);
    const found = unified?.trim().split(" ") ?? limited.filter((name) => existsSync(`${mount}/${name}`));
    const missing = needed.filter((name) => !found.includes(name));
    if (missing.length > 0)
      throw new CgroupsUnusable(`the kernel's control groups are without ${missing.join(" and ")}`);
    return new CgroupTree(unified === undefined ? 1 : 2, new Set(found), mount, hugepageSizes);
  }

  exists(path: string): boolean {
    return existsSync(this.#file("memory", path));
  }

  async create(path: string, limits: CgroupLimits): Promise<void> {
    if (this.version === 2) await this.#createUnified(path);
    else for (const name of limited.filter((each) => this.controllers.has(each))) await this.#make(name, path);
    await this.set(path, limits);
  }

  async set(path: string, limits: CgroupLimits): Promise<void> {
    for (const { controller, file, value } of this.#settings(limits)) {
      await writeFile(`${this.#file(controller, path)}/${file}`, value);
    }
  }

  async current(path: string): Promise<CurrentLimits> {
    const read = async (controller: string, file: string): Promise<string> =>
      (await readFile(`${this.#file(controller, path)}/${file}`, "utf8")).trim();
    const bounded = (text: string): number => {
      const value = Number(text);
      // Version 1 has no word for "none" but a number near the largest.
      return Number.isFinite(value) && value > 0 && value < 2 ** 62 ? value : 0;
    };
    if (this.version === 1)
      return {
        cpuShares: Number(await read("cpu", "cpu.shares")),
        cpuQuota_us: bounded(await read("cpu", "cpu.cfs_quota_us")),
        memoryLimit_bytes: bounded(await read("memory", "memory.limit_in_bytes")),
      };
    const weight = Number(await read("cpu", "cpu.weight"));
    const [quota = ""] = (await read("cpu", "cpu.max")).split(" ");
    return {
      cpuShares: Math.ceil(((weight - 1) * 262_142) / 9999) + 2,
      cpuQuota_us: bounded(quota),
      memoryLimit_bytes: bounded(await read("memory", "memory.max")),
    };
  }

  async memoryUsage_bytes(path: string): Promise<number> {
    const file = this.version === 1 ? "memory.usage_in_bytes" : "memory.current";
    return Number(await readFile(`${this.#file("memory", path)}/${file}`, "utf8"));
  }

  folders(path: string): CgroupFolders {
    if (this.version === 2) return { version: 2, unified: this.mount + path };
    return foldersByController((controller) => this.#file(controller, path));
  }

  /** In whatever hierarchy. */
  async children(path: string): Promise<string[]> {
    const found = new Set<string>();
    for (const hierarchy of await this.#hierarchies()) {
      for (const name of await foldersIn(hierarchy + path)) found.add(name);
    }
    return [...found];
  }

  /** In every hierarchy, also those that runtimes alone made it in. */
  async remove(path: string): Promise<void> {
    for (const hierarchy of await this.#hierarchies()) await removeFolder(hierarchy + path);
  }

  async #make(controller: string, path: string): Promise<void> {
    await mkdir(this.#file(controller, path), { recursive: true });
  }

  /** Each group hands its controllers on to those below. */
  async #createUnified(path: string): Promise<void> {
    let folder = this.mount;
    for (const part of path.split("/").slice(1)) {
      await this.#handOn(folder);
      folder = `${folder}/${part}`;
      await mkdir(folder, { recursive: true });
    }
  }

  async #handOn(folder: string): Promise<void> {
    const words = async (file: string): Promise<string[]> =>
      (await readFile(`${folder}/${file}`, "utf8")).trim().split(/\s+/);
    const given = await words("cgroup.subtree_control");
    for (const name of await words("cgroup.controllers")) {
      if (name === "" || given.includes(name)) continue;
      try {
        await writeFile(`${folder}/cgroup.subtree_control`, `+${name}`);
      } catch (error) {
        // Some controllers cannot be handed on everywhere (cpu with realtime processes in a group); not all are needed.
        if (!needed.includes(name)) continue;
        throw new CgroupsUnusable(`${folder} cannot hand on ${name}: ${(error as Error).message}`, { cause: error });
      }
    }
  }

  #settings(limits: CgroupLimits): { controller: string; file: string; value: string }[] {
    const { pidsLimit, hugepages } = limits;
    const settings = cgroupSettings(limits, this.version);
    if (pidsLimit !== undefined && this.controllers.has("pids"))
      settings.push({ controller: "pids", file: "pids.max", value: String(pidsLimit) });
    if (hugepages !== undefined && this.controllers.has("hugetlb")) {
      for (const size_bytes of this.hugepageSizes) {
        const value = hugepages === "unbounded" ? unbounded_bytes : (hugepages.get(size_bytes) ?? 0);
        const suffix = this.version === 1 ? "limit_in_bytes" : "max";
        const file = `hugetlb.${pageSizeText(size_bytes)}.${suffix}`;
        settings.push({ controller: "hugetlb", file, value: String(value) });
      }
    }
    return settings;
  }

  #file(controller: string, path: string): string {
    return this.version === 1 ? `${this.mount}/${controller || "memory"}${path}` : this.mount + path;
  }

  async #hierarchies(): Promise<string[]> {
    if (this.version === 2) return [this.mount];
    const found: string[] = [];
    for (const name of await readdir(this.mount)) {
      // Controllers of one hierarchy are links to it.
      if ((await lstat(`${this.mount}/${name}`)).isDirectory()) found.push(`${this.mount}/${name}`);
    }
    return found;
  }
}

/** As the files of the hugetlb controller are named: 2MB, 1GB, 64KB. */
export function pageSizeText(size_bytes: number): string {
  if (size_bytes >= 2 ** 30) return `${size_bytes / 2 ** 30}GB`;
  return size_bytes >= 2 ** 20 ? `${size_bytes / 2 ** 20}MB` : `${size_bytes / 1024}KB`;
}

async function foldersIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder, { withFileTypes: true }))
      .filter((each) => each.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** Innermost first. The kernel may take a moment to let go of processes that have ended. */
async function removeFolder(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const name of await foldersIn(folder)) await removeFolder(`${folder}/${name}`);
  for (let attempt = 1; ; attempt++) {
    try {
      await rmdir(folder);
      return;
    } catch (error) {
      if (isGone(error)) return;
      if (attempt === removals || errnoOf(error) !== "EBUSY") throw error;
      await pause(systemClock, firstRemoval_ms * 2 ** attempt);
    }
  }
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENODEV";
}
