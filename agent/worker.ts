import { dirname, join } from "node:path";
import { stderrLog } from "#shared/client/log.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { WorkerSettings } from "#shared/config/settings.ts";
import { hasIdentity } from "#shared/pki/identity-files.ts";
import { noteProcess } from "#shared/process/process-note.ts";
import { collectWhenQuiet } from "#shared/process/quiet-collection.ts";
import { untilSignalled } from "#shared/process/signals.ts";
import { startWatchdog } from "#shared/process/watchdog.ts";
import { startAgent } from "./agent.ts";

/** `bramble worker`: runs this board's agent until it is told to end.
 *  @param settingsFile what the settings were read from, if it is there; install.sh's flags lie beside it. */
export async function runWorker(settings: WorkerSettings, settingsFile: string): Promise<void> {
  const isJoined = hasIdentity(join(settings.dataDir, "agent", "identity"));
  const maySearch = !settings.disable.includes("mdns") && (isJoined || settings.token !== "");
  if (settings.server.length === 0 && !maySearch) {
    throw new ConfigError(
      "no master is named: give --server https://ADDRESS:6443 (the master's `bramble token create --print-join` prints the whole line), or --token alone to find the master on this network by mDNS",
    );
  }
  const servers = settings.server.map(serverUrl);
  const log = stderrLog(settings.logLevel);
  for (const server of servers.filter((each) => new URL(each).port === ""))
    log.warn("the server's address names no port, so 443 is asked: a master listens at 6443 unless told otherwise", {
      server,
    });
  const watchdog = startWatchdog(log);
  const forget = noteProcess(settings.runDir, "worker");
  const agent = await startAgent({
    settings,
    servers,
    token: settings.token || undefined,
    tokenFiles: settings.keepToken ? [] : [settingsFile, join(dirname(settingsFile), "worker.env")],
    brokers: servers.map((server) => `mqtts://${new URL(server).hostname}:${settings.mqttPort}`),
    disabled: settings.disable,
  });
  const stopCollecting = collectWhenQuiet();
  await untilSignalled();
  stopCollecting();
  watchdog.stop();
  await agent.stop();
  forget();
}

function serverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:") throw new ConfigError(`server: expected https://ADDRESS:6443, got ${text}`);
  return url.origin;
}
