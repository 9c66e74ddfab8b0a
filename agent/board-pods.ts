import { join } from "node:path";
import { boardAddresses } from "#shared/board/addresses.ts";
import type { Parts } from "#shared/board/parts.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import type { Log } from "#shared/client/log.ts";
import type { AgentSettings } from "#shared/config/settings.ts";
import { BoardTroubles } from "./board-troubles.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { linuxHost } from "./host/linux-host.ts";
import { Kubelet, type KubeletOptions } from "./kubelet/kubelet.ts";
import { openLocalDoor } from "./kubelet/server/doors.ts";
import { KubeletServer } from "./kubelet/server/kubelet-server.ts";
import { servedBoard } from "./kubelet/server/served-board.ts";
import { CniNetwork } from "./network/cni-network.ts";
import { NetworkSync } from "./network/network-sync.ts";
import { PodNetwork } from "./network/pod-network.ts";
import type { SandboxNetwork } from "./network/sandbox-network.ts";
import { PolicedNetwork } from "./network-policy/policed-network.ts";
import { PolicySync } from "./network-policy/policy-sync.ts";
import { parseLabels, parseTaint, socketPath } from "./node-settings.ts";
import { DockerRuntime } from "./runtime/docker.ts";
import { RegistryMirrors } from "./runtime/registries/registry-mirrors.ts";
import type { ContainerRuntime } from "./runtime/runtime.ts";

export interface BoardPods {
  readonly kubelet: Kubelet;
  readonly server: KubeletServer;
  /** Where the kubelet's server answers on this board; the tunnels lead here. */
  readonly kubeletSocket: string;
}

/** The board's container runtime, as its settings name it. */
export function boardRuntime(
  settings: Pick<
    AgentSettings,
    "containerRuntimeEndpoint" | "runDir" | "privateRegistry" | "registryProxyPort" | "disableDefaultRegistryEndpoint"
  >,
  network: SandboxNetwork,
  warn: (message: string) => void,
): ContainerRuntime {
  return new DockerRuntime({
    socketPath: socketPath(settings.containerRuntimeEndpoint),
    network,
    host: linuxHost(),
    resolvConfDirectory: join(settings.runDir, "resolv"),
    mirrors: new RegistryMirrors({
      file: settings.privateRegistry,
      port: settings.registryProxyPort,
      useRegistryItself: !settings.disableDefaultRegistryEndpoint,
      warn,
    }),
    warn,
  });
}

/** The sandboxes' network, by the CNI configuration of the board. */
export function boardSandboxNetwork(
  settings: Pick<AgentSettings, "cniConfDir" | "cniBinDir" | "runDir">,
  warn: (message: string) => void,
): CniNetwork {
  return new CniNetwork({
    configDirectory: settings.cniConfDir,
    binDirectories: settings.cniBinDir,
    stateDirectory: join(settings.runDir, "cni"),
    warn,
  });
}

export interface BoardPodsStart {
  readonly settings: Pick<
    AgentSettings,
    | "cniConfDir"
    | "cniBinDir"
    | "runDir"
    | "containerRuntimeEndpoint"
    | "clusterCidr"
    | "clusterDomain"
    | "nodeIp"
    | "nodeLabel"
    | "nodeTaint"
    | "maxPods"
    | "kubeletPort"
    | "privateRegistry"
    | "registryProxyPort"
    | "disableDefaultRegistryEndpoint"
  >;
  readonly disabled: AgentStart["disabled"];
  /** What differs between a board of Bramble's own and a kubelet alone. */
  readonly kubelet: Pick<
    KubeletOptions,
    "dataDir" | "clusterDns" | "logFolder" | "staticPodsFolder" | "reservedMemory_bytes" | "resolvConf" | "onPodStatus"
  >;
}

/** Starts the kubelet with its runtime, and the network that its pods get. */
export async function startBoardPods(
  { settings, disabled, kubelet: given }: BoardPodsStart,
  { nodeName, client, informers, seal }: Pick<ClusterAccess, "nodeName" | "client" | "informers" | "seal">,
  { parts, log }: { parts: Parts; log: Log },
): Promise<BoardPods> {
  const warn = (message: string): void => log.warn(message);
  const host = linuxHost();
  const sandboxNetwork = boardSandboxNetwork(settings, warn);
  const policies = disabled.includes("network-policy")
    ? undefined
    : new PolicySync({ informers, nodeName, families: ["IPv4"], log: log.named("network-policy") });
  const runtime = boardRuntime(
    settings,
    policies ? new PolicedNetwork(sandboxNetwork, policies) : sandboxNetwork,
    warn,
  );
  const troubles = new BoardTroubles();
  const kubelet = new Kubelet({
    client,
    runtime,
    host,
    nodeName,
    informers,
    log,
    seal,
    runDir: settings.runDir,
    clusterDomain: settings.clusterDomain,
    nodeIPs: () => boardAddresses(settings.nodeIp),
    nodeLabels: parseLabels(settings.nodeLabel),
    nodeTaints: settings.nodeTaint.map(parseTaint),
    maxPods: settings.maxPods,
    kubeletPort: settings.kubeletPort,
    troubles: () => troubles.list,
    ...given,
  });
  const server = new KubeletServer(servedBoard(kubelet), log.named("server"));
  const kubeletSocket = join(settings.runDir, "kubelet.sock");
  parts.add("local door", await openLocalDoor(server, kubeletSocket));

  const manageRoutes = !disabled.includes("routes");
  const network = new PodNetwork({
    nodeName,
    podNetworks: [settings.clusterCidr],
    cniConfigDirectory: settings.cniConfDir,
    manageRoutes,
    warn,
  });
  const networkSync = new NetworkSync(
    network,
    informers,
    log.named("network"),
    manageRoutes ? {} : { fieldSelector: `metadata.name=${nodeName}` },
  );
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
