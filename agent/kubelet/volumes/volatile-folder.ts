import { mkdir } from "node:fs/promises";
import type { Host } from "#agent/host/host.ts";
import type { Log } from "#shared/client/log.ts";

/**
 * A folder in memory for what pods are shown of the API (Secrets, tokens, ConfigMaps): it must not reach the card. /run
 * is in memory on most systems; elsewhere a tmpfs is put on the folder.
 */
export async function prepareVolatileFolder(host: Host, folder: string, log: Log): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o750 });
  const covering = host
    .mounts()
    .filter(({ path }) => path === "/" || folder === path || folder.startsWith(`${path}/`))
    .reduce((deepest, mount) => (mount.path.length >= deepest.path.length ? mount : deepest));
  if (covering.type === "tmpfs") return folder;
  try {
    host.mountTmpfs(folder, { mode: 0o750 });
  } catch (error) {
    log.warn("no memory file system can be mounted: Secrets of pods lie on disk", { folder, error });
  }
  return folder;
}
