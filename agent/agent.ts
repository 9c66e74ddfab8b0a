import { endpointSlices } from "#shared/api/resources.ts";
import { Parts } from "#shared/board/parts.ts";
import type { AgentStart, RunningAgent } from "#shared/board/start-agent.ts";
import { stderrLog } from "#shared/client/log.ts";
import { startBoardLinks } from "./board-links.ts";
import { startBoardPods } from "./board-pods.ts";
import { startBoardDns, startBoardServices } from "./board-services.ts";
import { keepCertificates } from "./certificate-keeping.ts";
import { enterCluster } from "./cluster-access.ts";
import { BoardEndpoints } from "./proxy/board-endpoints.ts";

/** Starts everything that runs on a board, and joins the cluster first if it has not. Rejects only for what a person has to
 *  mend (ConfigError, JoinTokenError, BoardIdentityError); a master that is away is waited for. */
export async function startAgent(start: AgentStart): Promise<RunningAgent> {
  const { settings } = start;
  const log = stderrLog(settings.logLevel).named("agent");
  const ending = new AbortController();
  const { signal } = ending;
  const access = await enterCluster(start, log, signal);
  const { nodeName, identity, client, informers, caches } = access;
  log.info("this board is a node", { node: nodeName });

  const parts = new Parts(log);
  parts.add("checkpoint", caches);
  parts.add("informers", { stop: () => informers.stop() });
  await startBoardDns(start, access, { parts, log });
  const endpoints = new BoardEndpoints({
    informers,
    nodeName,
    pods: () => kubelet.pods(),
    // The link may have gone dark: then only the heartbeat knows yet.
    isAway: () => informers.informer(endpointSlices).isInterrupted || !heartbeat.isConnected,
  });
  const onPodStatus = (): void => endpoints.prompt();
  const { kubelet, server, kubeletSocket } = await startBoardPods(start, access, { parts, log, onPodStatus });
  const heartbeat = await startBoardLinks(start, access, { parts, log, kubeletSocket });
  endpoints.start();
  parts.add("endpoints", endpoints);
  await startBoardServices(start, access, { parts, log, node: () => kubelet.node, signal });
  informers.start();
  const keeping = keepCertificates({ identity, client, kubelet, server, settings, log, signal });
  parts.add("certificates", { stop: () => keeping });
  parts.add("heartbeat", heartbeat);

  return {
    nodeName,
    async stop() {
      ending.abort();
      await parts.stop();
    },
  };
}
