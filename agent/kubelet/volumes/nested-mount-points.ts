import { normalize } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { podContainers } from "../pod-containers.ts";

/**
 * Folders, relative to a volume's root, on which containers mount other volumes. In a read-only volume they must be there
 * before a container starts: the runtime cannot make them. What lies below such a folder is the other volume's.
 */
export function nestedMountPoints(pod: Pod, volume: string): string[] {
  const found = new Set<string>();
  for (const { container } of podContainers(pod.spec)) {
    const { volumeMounts = [] } = container;
    const paths = volumeMounts.map(({ mountPath }) => asFolder(mountPath));
    for (const { name, mountPath } of volumeMounts) {
      if (name !== volume) continue;
      const root = asFolder(mountPath);
      const below = paths.filter((path) => path.startsWith(root) && path !== root);
      for (const path of below) {
        const isDeeper = below.some((other) => other !== path && path.startsWith(other));
        if (!isDeeper) found.add(path.slice(root.length, -1));
      }
    }
  }
  return [...found].sort();
}

/** Absolute, without dots, with a slash at its end. */
const asFolder = (path: string): string => normalize(`/${path}/`);
