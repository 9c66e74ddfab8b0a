import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Cron } from "croner";
import type { Log } from "#shared/client/log.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { Store } from "../store/store.ts";
import { wholeState } from "../store/transfer.ts";
import { type MadeBackup, makeBackup } from "./make-backup.ts";

const prefix = "bramble-";
const suffix = ".backup.gz";

/** Names sort by time. */
export const backupName = (at: Date): string => `${prefix}${at.toISOString().replace(/[-:]|\.\d+/g, "")}${suffix}`;

export const isBackupName = (name: string): boolean => name.startsWith(prefix) && name.endsWith(suffix);

export interface BackupSchedule {
  /** Cron, in UTC; empty: never. */
  readonly schedule: string;
  readonly keep: number;
  readonly folder: string;
  readonly dataDir: string;
  readonly store: Store;
  readonly log: Log;
}

/** Backs up by the clock while the master runs, and keeps the newest ones. Throws ConfigError for no schedule of cron's. */
export function scheduleBackups(options: BackupSchedule): { stop(): void } {
  const { schedule, log } = options;
  if (schedule === "") return { stop: () => undefined };
  const run = async (): Promise<void> => {
    try {
      const { path, objects, ownKeys } = await backUp(options);
      const needed = ownKeys.length > 0 ? { needs: ownKeys.join(", ") } : {};
      log.info("backed up", { path, objects, ...needed });
    } catch (error) {
      log.error("no backup was made", { error });
    }
  };
  try {
    const job = new Cron(schedule, { timezone: "UTC", protect: true, unref: true }, run);
    return { stop: () => job.stop() };
  } catch (error) {
    throw new ConfigError(
      `backup-schedule: expected a line of cron such as 17 3 * * *, got ${schedule} (${(error as Error).message})`,
    );
  }
}

/** One backup out of a running store; older ones beyond the bound go. */
export async function backUp(
  options: Omit<BackupSchedule, "schedule" | "log">,
): Promise<MadeBackup & { readonly path: string }> {
  const { folder, keep, dataDir, store } = options;
  const path = join(folder, backupName(new Date()));
  const made = await makeBackup(path, dataDir, async () => ({
    revision: await store.now(),
    items: wholeState(store, { asItRests: true }),
  }));
  const names = (await readdir(folder)).filter(isBackupName).sort();
  for (const name of names.slice(0, -keep)) await rm(join(folder, name));
  return { path, ...made };
}
