import { type FSWatcher, watch } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Log } from "#shared/client/log.ts";

/** Calls `run` when something happens to the file, which asks for renewal by being there (`bramble certificate renew`).
 *  Nothing wakes before. Where the kernel gives no watch, the log says so, and the caller's next look finds the file.
 *  @returns what ends it. */
export async function followRenewalMark(path: string, run: () => void, log: Log): Promise<() => void> {
  let watcher: FSWatcher | undefined;
  const failed = (error: unknown): void => {
    watcher?.close();
    log.warn("`bramble certificate renew` takes until the next look: its file cannot be watched", { error });
  };
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const name = path.slice(dirname(path).length + 1);
    watcher = watch(dirname(path), (_event, changed) => {
      if (changed === name) run();
    });
    watcher.on("error", failed);
  } catch (error) {
    failed(error);
  }
  return () => watcher?.close();
}
