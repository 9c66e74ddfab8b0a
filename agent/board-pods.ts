import { join } from "node:path";
import { wholeValue } from "#shared/api/quantity.ts";
import { boardAddresses } from "#shared/board/addresses.ts";
import type { Parts } from "#shared/board/parts.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import type { Log } from "#shared/client/log.ts";
import { BoardTroubles } from "./board-troubles.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { linuxHost } from "./host/linux-host.ts";
import { Kubelet } from "./kubelet/kubelet.ts";
import { openLocalDoor } from "./kubelet/server/doors.ts";
import { KubeletServer } from "./kubelet/server/kubelet-server.ts";
import { servedBoard } from "./kubelet/server/served-board.ts";
import { CniNetwork } from "./network/cni-network.ts";
import { NetworkSync } from "./network/network-sync.ts";
import { PodNetwork } from "./network/pod-network.ts";
import { PolicedNetwork } from "./network-policy/policed-network.ts";
import { PolicySync } from "./network-policy/policy-sync.ts";
import { parseLabels, parseTaint, socketPath } from "./node-settings.ts";
import { DockerRuntime } from "./runtime/docker.ts";
import { RegistryMirrors } from "./runtime/registries/registry-mirrors.ts";

export interface BoardPods {
  readonly kubelet: Kubelet;
  readonly server: KubeletServer;
  /** Where the kubelet's server answers on this board; the tunnels lead here. */
  readonly kubeletSocket: string;
}

/**
 * Starts the kubelet with its runtime, and the network that its pods get.
 * @param onPodStatus a pod of this board changed.
 */
export async function startBoardPods(
  { settings, disabled }: AgentStart,
  { nodeName, client, informers, seal }: ClusterAccess,
  { parts, log, onPodStatus }: { parts: Parts; log: Log; onPodStatus: () => void },
): Promise<BoardPods> {
  const warn = (message: string): void => log.warn(message);
  const host = linuxHost();
  const sandboxNetwork = new CniNetwork({
    configDirectory: settings.cniConfDir,
    binDirectories: settings.cniBinDir,
    stateDirectory: join(settings.runDir, "cni"),
    warn,
  });
  const policies = disabled.includes("network-policy")
    ? undefined
    : new PolicySync({ informers, nodeName, families: ["IPv4"], log: log.named("network-policy") });
  const runtime = new DockerRuntime({
    socketPath: socketPath(settings.containerRuntimeEndpoint),
    network: policies ? new PolicedNetwork(sandboxNetwork, policies) : sandboxNetwork,
    host,
    resolvConfDirectory: join(settings.runDir, "resolv"),
    mirrors: new RegistryMirrors({
      file: settings.privateRegistry,
      port: settings.registryProxyPort,
      useRegistryItself: !settings.disableDefaultRegistryEndpoint,
      warn,
    }),
    warn,
  });
  const troubles = new BoardTroubles();
  const kubelet = new Kubelet({
    client,
    runtime,
    host,
    nodeName,
    informers,
    log,
    dataDir: join(settings.dataDir, "agent"),
    seal,
    runDir: settings.runDir,
    clusterDns: [settings.clusterDns],
    clusterDomain: settings.clusterDomain,
    nodeIPs: () => boardAddresses(settings.nodeIp),
    nodeLabels: parseLabels(settings.nodeLabel),
    nodeTaints: settings.nodeTaint.map(parseTaint),
    staticPodsFolder: settings.podManifestDir || join(settings.dataDir, "static-pods"),
    logFolder: "/var/log",
    maxPods: settings.maxPods,
    kubeletPort: settings.kubeletPort,
    reservedMemory_bytes: wholeValue(settings.kubeReservedMemory),
    troubles: () => troubles.list,
    onPodStatus,
  });
  const server = new KubeletServer(servedBoard(kubelet), log.named("server"));
  const kubeletSocket = join(settings.runDir, "kubelet.sock");
  parts.add("local door", await openLocalDoor(server, kubeletSocket));

  const network = new PodNetwork({
    nodeName,
    podNetworks: [settings.clusterCidr],
    cniConfigDirectory: settings.cniConfDir,
    manageRoutes: !disabled.includes("routes"),
    warn,
  });
  const networkSync = new NetworkSync(network, informers, log.named("network"));
  networkSync.start();
  parts.add("pod network", networkSync);
  if (policies) {
    policies.start();
    parts.add("network policies", policies);
  } else {
    await PolicySync.removeAll().catch((error: unknown) => log.warn("rules of network policies stay", { error }));
  }
  await kubelet.start();
  parts.add("kubelet", kubelet);
  const report = (): void => kubelet.reportNode();
  parts.add(
    "troubles",
    troubles.watch(() => sandboxNetwork.notReadyReason(), report),
  );
  return { kubelet, server, kubeletSocket };
}
