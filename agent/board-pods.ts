import { join } from "node:path";
import type { AgentStart } from "#shared/board/start-agent.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { parseNetworks } from "#shared/config/networks.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { AgentSettings } from "#shared/config/settings.ts";
import type { Parts } from "#shared/process/parts.ts";
import { boardRuntime, type RuntimeSettings } from "./board-runtime.ts";
import { BoardTroubles } from "./board-troubles.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { linuxHost } from "./host/linux-host.ts";
import { type PlacementSettings, placementOf, withReservedCpus } from "./kubelet/cpus/cpu-settings.ts";
import type { CredentialProviders } from "./kubelet/images/credential-providers.ts";
import { type ImageSettings, imageRulesOf, imageVerificationOf } from "./kubelet/images/image-settings.ts";
import { Kubelet, type KubeletOptions } from "./kubelet/kubelet.ts";
import { hasUnifiedGroups, type TuningSettings, tuningOf } from "./kubelet/kubelet-tuning.ts";
import { type EvictionSettings, evictionRulesOf } from "./kubelet/node/eviction-rules.ts";
import { nothingReserved } from "./kubelet/node/node-status.ts";
import { openLocalDoor } from "./kubelet/server/doors.ts";
import { KubeletServer } from "./kubelet/server/kubelet-server.ts";
import { servedBoard } from "./kubelet/server/served-board.ts";
import { foundSettingsFile } from "./network/kernel-settings.ts";
import { NetworkSync } from "./network/network-sync.ts";
import { PodNetwork } from "./network/pod-network.ts";
import { PolicySync } from "./network-policy/policy-sync.ts";
import { nodeAddresses } from "./node-addresses.ts";
import { parseLabels, parseTaint } from "./node-settings.ts";
import { applyProcessTuning } from "./process-tuning.ts";

export interface BoardPods {
  readonly kubelet: Kubelet;
  readonly server: KubeletServer;
  /** Where the kubelet's server answers on this board; the tunnels lead here. */
  readonly kubeletSocket: string;
}

export interface BoardPodsStart {
  readonly settings: RuntimeSettings &
    Pick<
      AgentSettings,
      | "clusterCidr"
      | "clusterDomain"
      | "nodeIp"
      | "nodeLabel"
      | "nodeTaint"
      | "maxPods"
      | "kubeletPort"
      | "rootDir"
      | "imageCredentialProviderConfig"
      | "imageCredentialProviderBinDir"
    > &
    ImageSettings &
    EvictionSettings &
    PlacementSettings &
    TuningSettings;
  readonly disabled: AgentStart["disabled"];
  /** What differs between a board of Bramble's own and a kubelet alone. */
  readonly kubelet: Pick<
    KubeletOptions,
    | "dataDir"
    | "clusterDns"
    | "logFolder"
    | "staticPodsFolder"
    | "imagesFolder"
    | "reserved"
    | "cgroups"
    | "resolvConf"
    | "onPodStatus"
    | "shutdown"
  >;
}

/** Starts the kubelet with its runtime, and the network that its pods get. */
export async function startBoardPods(
  { settings, disabled, kubelet: given }: BoardPodsStart,
  { nodeName, client, informers, seal }: Pick<ClusterAccess, "nodeName" | "client" | "informers" | "seal">,
  { parts, log }: { parts: Parts; log: Log },
): Promise<BoardPods> {
  const warn = (message: string): void => log.warn(message);
  applyProcessTuning(settings, warn);
  const host = linuxHost();
  const podNetworks = parseNetworks("cluster-cidr", settings.clusterCidr);
  const families = podNetworks.map(({ family }) => family);
  const policies = disabled.includes("network-policy")
    ? undefined
    : new PolicySync({ informers, nodeName, families, log: log.named("network-policy") });
  const { runtime, networkTrouble } = await boardRuntime({
    settings,
    logFolder: given.logFolder,
    isolation: policies,
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
    seal,
    runDir: settings.runDir,
    pluginDir: settings.rootDir,
    clusterDomain: settings.clusterDomain,
    nodeIPs: nodeAddresses({ nodeIp: settings.nodeIp, family: podNetworks[0].family, log: log.named("kubelet") }),
    nodeLabels: parseLabels(settings.nodeLabel),
    nodeTaints: settings.nodeTaint.map(parseTaint),
    maxPods: settings.maxPods,
    kubeletPort: settings.kubeletPort,
    ...boardRules(settings),
    imageRules: imageRulesOf(settings),
    imageVerification: imageVerificationOf(settings),
    credentialProviders: await credentialProviders(settings, client, log),
    troubles: () => troubles.list,
    ...given,
    reserved: withReservedCpus(given.reserved ?? nothingReserved, settings),
  });
  const server = new KubeletServer(servedBoard(kubelet), log.named("server"));
  const kubeletSocket = join(settings.runDir, "kubelet.sock");
  parts.add("local door", await openLocalDoor(server, kubeletSocket));

  const network = podNetwork({ settings, disabled }, { nodeName, informers }, log);
  network.start();
  parts.add("pod network", network);
  if (policies) {
    policies.start();
    parts.add("network policies", policies);
  } else {
    await PolicySync.removeAll().catch((error: unknown) => log.warn("rules of network policies stay", { error }));
  }
  await kubelet.start();
  parts.add("kubelet", kubelet);
  const report = (): void => kubelet.reportNode();
  parts.add("troubles", troubles.watch(networkTrouble, report));
  return { kubelet, server, kubeletSocket };
}

/** What the settings say of how pods are kept. Throws ConfigError: to be asked before anything is asked of the cluster. */
export function boardRules(
  settings: EvictionSettings & PlacementSettings & TuningSettings,
): Pick<KubeletOptions, "eviction" | "placement" | "tuning"> {
  return {
    eviction: evictionRulesOf(settings),
    placement: placementOf(settings),
    tuning: tuningOf(settings, hasUnifiedGroups()),
  };
}

/** The board's part of the pods' network, in step with the Nodes. */
function podNetwork(
  { settings, disabled }: Pick<BoardPodsStart, "settings" | "disabled">,
  { nodeName, informers }: Pick<ClusterAccess, "nodeName" | "informers">,
  log: Log,
): NetworkSync {
  const manageRoutes = !disabled.includes("routes");
  const network = new PodNetwork({
    nodeName,
    podNetworks: parseNetworks("cluster-cidr", settings.clusterCidr).map(({ cidr }) => cidr),
    cniConfigDirectory: settings.cniConfDir,
    leaseDirectory: join(settings.runDir, "ipam"),
    foundSettings: foundSettingsFile(settings.runDir),
    manageRoutes,
    warn: (message) => log.warn(message),
  });
  const scope = manageRoutes ? {} : { fieldSelector: `metadata.name=${nodeName}` };
  return new NetworkSync(network, informers, log.named("network"), scope);
}

/** undefined where none are set. Rejects with ConfigError. */
async function credentialProviders(
  settings: Pick<AgentSettings, "imageCredentialProviderConfig" | "imageCredentialProviderBinDir">,
  client: Client,
  log: Log,
): Promise<CredentialProviders | undefined> {
  const { imageCredentialProviderConfig: path, imageCredentialProviderBinDir: folder } = settings;
  if (path === "") return undefined;
  if (folder === "")
    throw new ConfigError("image-credential-provider-bin-dir: needed with a configuration of providers");
  const [{ readCredentialProviders }, { CredentialProviders }, { AccountTokens }] = await Promise.all([
    import("./kubelet/images/credential-provider-config.ts"),
    import("./kubelet/images/credential-providers.ts"),
    import("./kubelet/images/account-tokens.ts"),
  ]);
  const accounts = new AccountTokens(client);
  return new CredentialProviders(readCredentialProviders(path), folder, log.named("images"), accounts);
}
