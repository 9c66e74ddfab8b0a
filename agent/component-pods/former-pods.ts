import { stderrLog } from "#shared/client/log.ts";
import type { AgentSettings } from "#shared/config/settings.ts";
import { boardRuntime } from "../board-runtime.ts";
import { staticPodsFolder } from "../node-settings.ts";
import { removeComponentPods } from "./component-pods.ts";

/** Ends components that ran as pods here before, so that this process can be what they were. */
export async function endFormerPods(settings: AgentSettings): Promise<void> {
  const log = stderrLog(settings.logLevel).named("components");
  const warn = (message: string): void => log.warn(message);
  await removeComponentPods(
    staticPodsFolder(settings),
    async () => (await boardRuntime({ settings, warn })).runtime,
    log,
  );
}
