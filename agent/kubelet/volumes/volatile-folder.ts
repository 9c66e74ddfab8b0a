import { mkdir, readdir } from "node:fs/promises";
import type { Host } from "#agent/host/host.ts";
import type { Log } from "#shared/client/log.ts";

/**
 * A folder in memory for what pods are shown of the API (Secrets, tokens, ConfigMaps): it must not reach the card. So it is a tmpfs of its
 * own: /run is one on most systems, but what is in that may go to a swap file.
 */
export async function prepareVolatileFolder(host: Host, folder: string, log: Log): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o750 });
  const covering = host
    .mounts()
    .filter(({ path }) => path === "/" || folder === path || folder.startsWith(`${path}/`))
    .reduce((deepest, mount) => (mount.path.length >= deepest.path.length ? mount : deepest));
  const isInMemory = covering.type === "tmpfs";
  // What pods have in it, since before an upgrade for instance, must stay where they see it.
  if (isInMemory && (covering.path === folder || (await readdir(folder)).length > 0)) return folder;
  try {
    host.mountTmpfs(folder, { mode: 0o750 });
  } catch (error) {
    const why = isInMemory ? "Secrets of pods may go to a swap file" : "Secrets of pods lie on disk";
    log.warn(`no memory file system can be mounted: ${why}`, { folder, error });
  }
  return folder;
}
