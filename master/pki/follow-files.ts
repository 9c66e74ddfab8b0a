import { watch } from "node:fs";
import { dirname } from "node:path";
import type { Log } from "#shared/client/log.ts";

const quiet_ms = 1_000;

/** Certificates made elsewhere are renewed there: looked at once their folder is quiet again, for a pair is two files. Gives what
 *  ends it. */
export function followFiles(paths: readonly string[], look: () => void | Promise<void>, log: Log): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const soon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(look, quiet_ms);
  };
  const watchers = [...new Set(paths.map((path) => dirname(path)))].map((folder) => {
    const watcher = watch(folder, soon);
    watcher.on("error", (error) => log.error("changes of certificates are not seen", { folder, error }));
    return watcher;
  });
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
