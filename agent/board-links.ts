import { endpointSlices } from "#shared/api/resources.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import type { Log } from "#shared/client/log.ts";
import type { AgentSettings } from "#shared/config/settings.ts";
import { outsideBrokerOf } from "#shared/heartbeat/outside-broker.ts";
import { boardSerial } from "#shared/pki/board-serial.ts";
import type { Parts } from "#shared/process/parts.ts";
import { version } from "#shared/version.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { Heartbeat } from "./heartbeat/heartbeat.ts";
import { renewOwnLease } from "./heartbeat/own-lease.ts";
import { TelemetryPublisher } from "./heartbeat/telemetry-publisher.ts";
import { readBoard } from "./telemetry/board.ts";
import { readTelemetry } from "./telemetry/board-telemetry.ts";
import { BoardTunnels } from "./tunnel/board-tunnels.ts";

/** Starts what a board holds open to the masters, whichever those are: a tunnel to each, and one heartbeat.
 *  The caller stops the heartbeat, first of all: it announces that the rest is going to be quiet. */
export async function startBoardLinks(
  { settings }: AgentStart,
  { nodeName, masters, client, informers, certificates: credentials }: ClusterAccess,
  { parts, log, kubeletSocket }: { parts: Parts; log: Log; kubeletSocket: string },
): Promise<Heartbeat> {
  const tunnels = new BoardTunnels({ credentials, kubeletSocket, log: log.named("tunnel") });
  tunnels.keep(masters.plan.tunnels);
  masters.onChange(() => tunnels.keep(masters.plan.tunnels));
  masters.follow(informers.informer(endpointSlices));
  parts.add("tunnels", tunnels);
  let telemetry: TelemetryPublisher | undefined;
  const heartbeat = new Heartbeat({
    nodeName,
    get brokers() {
      return masters.plan.brokers;
    },
    credentials,
    outside: outsideBrokerOf(settings),
    keepalive_s: settings.mqttKeepalive,
    renewLease: () => renewOwnLease(client, nodeName),
    log: log.named("heartbeat"),
    onReturn: (brokenAt_ms) => {
      client.endSilentWatches(brokenAt_ms);
      tunnels.retryNow();
    },
    onBegin: () => telemetry?.begin(),
  });
  if (settings.mqttTelemetry > 0) {
    telemetry = await startTelemetry(settings, nodeName, heartbeat, log.named("telemetry"));
    parts.add("telemetry", telemetry);
  }
  heartbeat.start();
  return heartbeat;
}

async function startTelemetry(
  settings: AgentSettings,
  nodeName: string,
  session: Heartbeat,
  log: Log,
): Promise<TelemetryPublisher> {
  const [{ model }, serial] = await Promise.all([readBoard(), boardSerial(settings.dataDir)]);
  return new TelemetryPublisher({
    board: { nodeName, serial, model, version },
    session,
    read: () => readTelemetry(settings.dataDir),
    interval_s: settings.mqttTelemetry,
    homeAssistantPrefix: settings.homeAssistant,
    log,
  });
}
