import { stderrLog } from "#shared/client/log.ts";
import type { SchedulerSettings } from "#shared/config/component-settings.ts";
import { startScheduler } from "../control-loops.ts";
import { runElected } from "./elected.ts";

/** `bramble scheduler`: the scheduler in a process of its own. */
export async function runScheduler(settings: SchedulerSettings): Promise<void> {
  const log = stderrLog(settings.logLevel);
  await runElected({ ...settings, lease: "kube-scheduler", log }, async (client) => startScheduler(client, log));
}
