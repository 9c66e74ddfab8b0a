import { join } from "node:path";
import { endpointSlices } from "#shared/api/resources.ts";
import type { AgentStart, RunningAgent } from "#shared/board/start-agent.ts";
import { type Log, stderrLog } from "#shared/client/log.ts";
import { dnsAddress } from "#shared/config/networks.ts";
import type { AgentSettings } from "#shared/config/settings.ts";
import { Parts } from "#shared/process/parts.ts";
import { startBoardLinks } from "./board-links.ts";
import { type BoardPodsStart, boardRules, startBoardPods } from "./board-pods.ts";
import { startBoardDns, startBoardServices } from "./board-services.ts";
import { keepCertificates } from "./certificate-keeping.ts";
import { type ClusterAccess, enterCluster } from "./cluster-access.ts";
import { withClusterSettings } from "./cluster-settings.ts";
import type { Heartbeat } from "./heartbeat/heartbeat.ts";
import { forgetJoinToken } from "./join-token-files.ts";
import { gracePeriods } from "./kubelet/shutdown/grace-periods.ts";
import { boardKubeReserved, boardReserved, logFolderOf, podCgroupSettings, staticPodsFolder } from "./node-settings.ts";
import { BoardEndpoints } from "./proxy/board-endpoints.ts";
import { BoardUpgrade } from "./upgrade/board-upgrade.ts";
import { InstalledProgram } from "./upgrade/program.ts";
import { UpgradeFile } from "./upgrade/upgrade-state.ts";

/** Starts everything that runs on a board, and joins the cluster first if it has not. Rejects only for what a person has to
 *  mend (ConfigError, JoinTokenError, BoardIdentityError); a master that is away is waited for. */
export async function startAgent(own: AgentStart): Promise<RunningAgent> {
  const log = stderrLog(own.settings.logLevel).named("agent");
  boardRules(own.settings);
  const ending = new AbortController();
  const { signal } = ending;
  const access = await enterCluster(own, log, signal);
  const settings = withClusterSettings(own.settings, access.identity.settings);
  const start = { ...own, settings };
  const { nodeName, client, informers } = access;
  log.info("this board is a node", { node: nodeName });

  const parts = new Parts(log);
  parts.add("checkpoint", access.caches);
  parts.add("informers", { stop: () => informers.stop() });
  const asPods = settings.asPods || access.identity.settings["asPods"] === "true";
  if (!asPods) {
    await (await import("./component-pods/former-pods.ts")).endFormerPods(settings);
    await startBoardDns(start, access, { parts, log });
  }
  const endpoints = new BoardEndpoints({
    informers,
    nodeName,
    pods: () => kubelet.pods(),
    // The link may have gone dark: then only the heartbeat knows yet.
    isAway: () => informers.informer(endpointSlices).isInterrupted || !heartbeat.isConnected,
  });
  const ownPods = { ...ownKubelet(settings), onPodStatus: () => endpoints.prompt() };
  const pods = { settings, disabled: start.disabled, kubelet: ownPods };
  const { kubelet, server, kubeletSocket } = await startBoardPods(pods, access, { parts, log });
  if (asPods) {
    const { startBoardComponents } = await import("./component-pods/board-components.ts");
    parts.add("components", await startBoardComponents(start, access, { runtime: kubelet.runtime, log }));
  }
  const heartbeat = await startBoardLinks(start, access, { parts, log, kubeletSocket });
  endpoints.start();
  parts.add("endpoints", endpoints);
  const inside: AgentStart = asPods ? { ...start, disabled: [...start.disabled, "proxy"] } : start;
  await startBoardServices(inside, access, { parts, log, node: () => kubelet.node, signal });
  if (!start.disabled.includes("upgrade")) startUpgrades(start, access, { parts, heartbeat, log, signal });
  informers.start();
  const kept = { identity: access.identity, client, informers, kubelet, heartbeat, server, settings };
  parts.add("certificates", await keepCertificates({ ...kept, log: log.named("certificates") }));
  parts.add("heartbeat", heartbeat);
  if (start.tokenFiles?.length)
    void forgetJoinToken({ files: start.tokenFiles, client, nodeName, log: log.named("join-token"), signal });

  return {
    nodeName,
    async stop() {
      // First, while all that pods need in order to end is there.
      await kubelet.endPodsWithBoard();
      ending.abort();
      await parts.stop();
    },
  };
}

function ownKubelet(settings: AgentSettings): BoardPodsStart["kubelet"] {
  return {
    dataDir: join(settings.dataDir, "agent"),
    clusterDns: [dnsAddress(settings)],
    logFolder: logFolderOf(settings.podLogsDir),
    staticPodsFolder: staticPodsFolder(settings),
    imagesFolder: join(settings.dataDir, "images"),
    reserved: boardReserved(settings),
    cgroups: podCgroupSettings({ ...settings, kubeReserved: boardKubeReserved(settings) }),
    shutdown: gracePeriods(settings),
  };
}

function startUpgrades(
  { settings }: AgentStart,
  { nodeName, client, informers, masters, certificates }: ClusterAccess,
  { parts, heartbeat, log, signal }: { parts: Parts; heartbeat: Heartbeat; log: Log; signal: AbortSignal },
): void {
  const upgrade = new BoardUpgrade({
    nodeName,
    client,
    informers,
    file: new UpgradeFile(settings.dataDir),
    program: new InstalledProgram(),
    source: {
      get servers() {
        return masters.plan.servers;
      },
      get ca() {
        return certificates().ca;
      },
      signal,
    },
    isHeard: () => heartbeat.isConnected,
    restart: () => process.kill(process.pid, "SIGTERM"),
    log: log.named("upgrade"),
  });
  upgrade.start();
  parts.add("upgrade", upgrade);
}
