import { chmod } from "node:fs/promises";
import type { Host } from "#agent/host/host.ts";
import type { Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import { podCgroupLimits } from "../cgroups/limits.ts";
import type { PodFacts } from "../container/field-ref.ts";
import { wholeOf } from "../pod-qos.ts";

type EmptyDir = NonNullable<Volume["emptyDir"]>;

const mount_timeout_ms = 120_000;
const hugePages = "HugePages";
const resourcePrefix = "hugepages-";

/** Is what is in it lost with the board's power? Throws for a medium that nobody knows. */
export function isVolatile({ medium = "" }: EmptyDir): boolean {
  if (medium === "") return false;
  if (medium === "Memory" || medium === hugePages || medium.startsWith(`${hugePages}-`)) return true;
  throw new Error(`unknown storage medium "${medium}"`);
}

/** Mounts what the volume's medium is on its folder, which exists. Once mounted it stays. */
export async function mountMedium(host: Host, path: string, emptyDir: EmptyDir, facts: PodFacts): Promise<void> {
  const { medium = "" } = emptyDir;
  if (!isVolatile(emptyDir) || host.isMountPoint(path)) return;
  if (medium === "Memory") {
    const size_bytes = memorySize(emptyDir, facts);
    host.mountTmpfs(path, { mode: 0o1777, ...(size_bytes ? { size_bytes } : {}) });
    await chmod(path, 0o1777);
    return;
  }
  const options = [`pagesize=${hugePageSize(medium, facts.pod)}`, "mode=0777"];
  await host.mountFilesystem({
    type: "hugetlbfs",
    source: "nodev",
    target: path,
    options,
    timeout_ms: mount_timeout_ms,
  });
}

/** Bytes that a volume in memory may have: no more than itself, its pod's control group and the board allow. 0: no bound. */
export function memorySize({ sizeLimit }: EmptyDir, { pod, allocatable }: PodFacts): number {
  const bounds = [
    wholeOf({ size: sizeLimit ?? 0 }, "size"),
    podCgroupLimits(pod).memoryLimit_bytes ?? 0,
    wholeOf(allocatable, "memory"),
  ].filter((bound) => bound > 0);
  return bounds.length > 0 ? Math.min(...bounds) : 0;
}

/** `HugePages-2Mi` names its size; `HugePages` means the one size that the pod or its containers ask for. Gives `2M`. */
export function hugePageSize(medium: string, pod: Pod): string {
  const { containers, initContainers = [], resources } = pod.spec;
  const lists = [
    resources,
    ...containers.map((each) => each.resources),
    ...initContainers.map((each) => each.resources),
  ];
  const asked = lists.flatMap((list) => Object.keys({ ...list?.requests, ...list?.limits }));
  const sizes = new Set(
    asked.filter((name) => name.startsWith(resourcePrefix)).map((name) => name.slice(resourcePrefix.length)),
  );
  const named = medium.slice(hugePages.length + 1);
  if (named === "" && sizes.size > 1)
    throw new Error(`medium: ${medium} can't be used if container requests multiple huge page sizes`);
  const found = named === "" ? [...sizes][0] : sizes.has(named) ? named : undefined;
  if (found === undefined)
    throw new Error(`medium ${medium}: hugePages storage requested, but there is no resource request for huge pages`);
  return found.replace(/i$/, "");
}
