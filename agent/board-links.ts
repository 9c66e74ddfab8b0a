import { endpointSlices } from "#shared/api/resources.ts";
import type { Parts } from "#shared/board/parts.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import type { Log } from "#shared/client/log.ts";
import { outsideBrokerOf } from "#shared/heartbeat/outside-broker.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { Heartbeat } from "./heartbeat/heartbeat.ts";
import { renewOwnLease } from "./heartbeat/own-lease.ts";
import { BoardTunnels } from "./tunnel/board-tunnels.ts";

/** Starts what a board holds open to the masters, whichever those are: a tunnel to each, and one heartbeat.
 *  The caller stops the heartbeat, first of all: it announces that the rest is going to be quiet. */
export function startBoardLinks(
  { settings }: AgentStart,
  { nodeName, masters, client, informers, certificates: credentials }: ClusterAccess,
  { parts, log, kubeletSocket }: { parts: Parts; log: Log; kubeletSocket: string },
): Heartbeat {
  const tunnels = new BoardTunnels({ credentials, kubeletSocket, log: log.named("tunnel") });
  tunnels.keep(masters.plan.tunnels);
  masters.onChange(() => tunnels.keep(masters.plan.tunnels));
  masters.follow(informers.informer(endpointSlices));
  parts.add("tunnels", tunnels);
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
  });
  heartbeat.start();
  return heartbeat;
}
