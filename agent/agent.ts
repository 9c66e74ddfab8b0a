import { join } from "node:path";
import { wholeValue } from "#shared/api/quantity.ts";
import { endpointSlices } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { boardAddresses } from "#shared/board/addresses.ts";
import { Parts } from "#shared/board/parts.ts";
import type { AgentStart, RunningAgent } from "#shared/board/start-agent.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import { stderrLog } from "#shared/client/log.ts";
import { outsideBrokerOf } from "#shared/heartbeat/outside-broker.ts";
import { certificateFingerprint } from "#shared/pki/certificate.ts";
import { BoardTroubles } from "./board-troubles.ts";
import { keepCertificates } from "./certificate-keeping.ts";
import { openCacheFiles } from "./checkpoint/cache-files.ts";
import { Seal } from "./checkpoint/seal.ts";
import { startClusterDns } from "./dns/cluster-dns.ts";
import { Heartbeat } from "./heartbeat/heartbeat.ts";
import { renewOwnLease } from "./heartbeat/own-lease.ts";
import { linuxHost } from "./host/linux-host.ts";
import { IngressBoard } from "./ingress/ingress.ts";
import { joinedBoard } from "./joined-board.ts";
import { Kubelet } from "./kubelet/kubelet.ts";
import { openLocalDoor } from "./kubelet/server/doors.ts";
import { KubeletServer } from "./kubelet/server/kubelet-server.ts";
import { servedBoard } from "./kubelet/server/served-board.ts";
import { startLocalPathFolders } from "./kubelet/volumes/local-path.ts";
import { Masters } from "./masters.ts";
import { CniNetwork } from "./network/cni-network.ts";
import { NetworkSync } from "./network/network-sync.ts";
import { PodNetwork } from "./network/pod-network.ts";
import { PolicedNetwork } from "./network-policy/policed-network.ts";
import { PolicySync } from "./network-policy/policy-sync.ts";
import { parseLabels, parseTaint, socketPath } from "./node-settings.ts";
import { BoardEndpoints } from "./proxy/board-endpoints.ts";
import { IptablesProxy } from "./proxy/iptables-proxy.ts";
import { DockerRuntime } from "./runtime/docker.ts";
import { BoardTunnels } from "./tunnel/board-tunnels.ts";

/** Starts everything that runs on a board, and joins the cluster first if it has not. Rejects only for what a person has to
 *  mend (ConfigError, JoinTokenError, BoardIdentityError); a master that is away is waited for. */
export async function startAgent(start: AgentStart): Promise<RunningAgent> {
  const { settings, servers, disabled } = start;
  const log = stderrLog(settings.logLevel).named("agent");
  const ending = new AbortController();
  const masters = new Masters({
    configured: servers,
    brokers: start.brokers,
    mqttPort: settings.mqttPort,
    folder: join(settings.dataDir, "agent"),
    ownAddresses: () => boardAddresses(settings.nodeIp),
    log: log.named("masters"),
  });
  const identity = await joinedBoard({ ...start, servers: masters.plan.servers }, log, ending.signal);
  const { nodeName } = identity;
  log.info("this board is a node", { node: nodeName });

  const client = new HttpClient({
    get servers() {
      return masters.plan.servers;
    },
    credentials: identity.credentials,
  });
  const { caCertificatePem } = identity;
  const agentFolder = join(settings.dataDir, "agent");
  const sealFile = join(agentFolder, "identity", "checkpoint.key");
  const seal = await Seal.open(sealFile, certificateFingerprint(caCertificatePem));
  const caches = openCacheFiles(agentFolder, seal, log.named("checkpoint"));
  const informers = new InformerFactory(client, { transform: withoutManagedFields, log, checkpoint: caches });
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
    dataDir: agentFolder,
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
    onPodStatus: () => endpoints.prompt(),
  });
  const endpoints = new BoardEndpoints({
    informers,
    nodeName,
    pods: () => kubelet.pods(),
    // The link may have gone dark: then only the heartbeat knows yet.
    isAway: () => informers.informer(endpointSlices).isInterrupted || !heartbeat.isConnected,
  });
  const server = new KubeletServer(servedBoard(kubelet), log.named("server"));
  const kubeletSocket = join(settings.runDir, "kubelet.sock");
  const localDoor = await openLocalDoor(server, kubeletSocket);
  const credentials = (): { ca: string; cert: string; key: string } => {
    const { ca = "", certificate = "", key = "" } = identity.credentials();
    return { ca, cert: certificate, key };
  };
  const parts = new Parts(log);
  parts.add("checkpoint", caches);
  parts.add("informers", { stop: () => informers.stop() });
  parts.add("local door", localDoor);

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
  parts.add(
    "troubles",
    troubles.watch(
      () => sandboxNetwork.notReadyReason(),
      () => kubelet.reportNode(),
    ),
  );

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
  endpoints.start();
  parts.add("endpoints", endpoints);
  if (!disabled.includes("proxy")) {
    const proxy = new IptablesProxy({
      informers,
      network: {
        family: "IPv4",
        clusterCidr: settings.clusterCidr,
        serviceCidr: settings.serviceCidr,
        ownClusterIps: new Set(disabled.includes("dns") ? [] : [settings.clusterDns]),
      },
      node: () => ({ name: nodeName, zone: zoneOf(kubelet.node) }),
      log: log.named("proxy"),
    });
    // Rules need the API's state once; pods do not wait for it.
    proxy
      .start()
      .catch((error: unknown) => ending.signal.aborted || log.error("the service proxy did not start", { error }));
    parts.add("proxy", proxy);
  }
  if (!disabled.includes("dns")) {
    parts.add(
      "dns",
      await startClusterDns({
        informers,
        address: settings.clusterDns,
        domain: settings.clusterDomain,
        log: log.named("dns"),
      }),
    );
  }
  if (!disabled.includes("local-storage")) {
    parts.add("local storage", startLocalPathFolders({ nodeName, client, informers, log, signal: ending.signal }));
  }
  if (!disabled.includes("ingress")) {
    const ingress = new IngressBoard({
      informers,
      nodeName,
      httpPort: settings.ingressHttpPort || undefined,
      httpsPort: settings.ingressHttpsPort || undefined,
      idle_ms: settings.ingressTimeout * 1000,
      log: log.named("ingress"),
    });
    ingress.start();
    parts.add("ingress", ingress);
  }
  informers.start();
  const keeping = keepCertificates({ identity, client, kubelet, server, settings, log, signal: ending.signal });
  parts.add("certificates", { stop: () => keeping });
  // The first to end: it announces that the rest is going to be quiet.
  parts.add("heartbeat", heartbeat);

  return {
    nodeName,
    async stop() {
      ending.abort();
      await parts.stop();
    },
  };
}

function zoneOf(node: Node | undefined): string | undefined {
  return node?.metadata.labels?.["topology.kubernetes.io/zone"];
}
