import { hostname } from "node:os";
import { join } from "node:path";
import { hasReason } from "#shared/api/errors.ts";
import { wholeValue } from "#shared/api/quantity.ts";
import type { Node, Taint } from "#shared/api/types/core-v1.generated.ts";
import { boardAddresses } from "#shared/board/addresses.ts";
import type { AgentStart, RunningAgent } from "#shared/board/start-agent.ts";
import { ConnectionError } from "#shared/client/client.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import { type Log, stderrLog } from "#shared/client/log.ts";
import { ConfigError } from "#shared/config/option.ts";
import { BoardIdentity } from "#shared/pki/board-identity.ts";
import { boardSerial } from "#shared/pki/board-serial.ts";
import { startClusterDns } from "./dns/cluster-dns.ts";
import { Heartbeat } from "./heartbeat/heartbeat.ts";
import { linuxHost } from "./host/linux-host.ts";
import { Kubelet } from "./kubelet/kubelet.ts";
import { openLocalDoor, openTlsDoor } from "./kubelet/server/doors.ts";
import { KubeletServer } from "./kubelet/server/kubelet-server.ts";
import { servedBoard } from "./kubelet/server/served-board.ts";
import { CniNetwork } from "./network/cni-network.ts";
import { NetworkSync } from "./network/network-sync.ts";
import { PodNetwork } from "./network/pod-network.ts";
import { IptablesProxy } from "./proxy/iptables-proxy.ts";
import { DockerRuntime } from "./runtime/docker.ts";
import { BoardTunnel } from "./tunnel/board-tunnel.ts";

/** Something that was started and is stopped in the reverse order. */
interface Part {
  stop(): Promise<void>;
}

const joinRetry_ms = 3_000;
const servingRetry_ms = 5_000;

/** Starts everything that runs on a board, and joins the cluster first if it has not. Rejects only for what a person has to
 *  mend (ConfigError, JoinTokenError, BoardIdentityError); a master that is away is waited for. */
export async function startAgent(start: AgentStart): Promise<RunningAgent> {
  const { settings, servers, disabled } = start;
  const log = stderrLog(settings.logLevel).named("agent");
  const ending = new AbortController();
  const identity = await joined(start, log, ending.signal);
  const { nodeName } = identity;
  log.info("this board is a node", { node: nodeName });

  const client = new HttpClient({ servers, credentials: identity.credentials });
  const informers = new InformerFactory(client, { transform: withoutManagedFields, log });
  const warn = (message: string): void => log.warn(message);
  const host = linuxHost();
  const sandboxNetwork = new CniNetwork({
    configDirectory: settings.cniConfDir,
    binDirectories: settings.cniBinDir,
    stateDirectory: join(settings.runDir, "cni"),
    warn,
  });
  const runtime = new DockerRuntime({
    socketPath: socketPath(settings.containerRuntimeEndpoint),
    network: sandboxNetwork,
    host,
    warn,
  });
  const troubles = new Troubles();
  const kubelet = new Kubelet({
    client,
    runtime,
    host,
    nodeName,
    informers,
    log,
    dataDir: join(settings.dataDir, "agent"),
    runDir: settings.runDir,
    clusterDns: [settings.clusterDns],
    clusterDomain: settings.clusterDomain,
    nodeIPs: () => boardAddresses(settings.nodeIp),
    nodeLabels: parseLabels(settings.nodeLabel),
    nodeTaints: settings.nodeTaint.map(parseTaint),
    staticPodsFolder: settings.podManifestDir || join(settings.dataDir, "static-pods"),
    maxPods: settings.maxPods,
    kubeletPort: settings.kubeletPort,
    reservedMemory_bytes: wholeValue(settings.kubeReservedMemory),
    troubles: () => troubles.list,
  });
  const server = new KubeletServer(servedBoard(kubelet), log.named("server"));
  const kubeletSocket = join(settings.runDir, "kubelet.sock");
  const localDoor = await openLocalDoor(server, kubeletSocket);
  const credentials = (): { ca: string; cert: string; key: string } => {
    const { ca = "", certificate = "", key = "" } = identity.credentials();
    return { ca, cert: certificate, key };
  };
  const parts: Part[] = [{ stop: () => closed(localDoor) }];

  const network = new PodNetwork({
    nodeName,
    podNetworks: [settings.clusterCidr],
    cniConfigDirectory: settings.cniConfDir,
    manageRoutes: !disabled.includes("routes"),
    warn,
  });
  const networkSync = new NetworkSync(network, informers, log.named("network"));
  networkSync.start();
  parts.push(networkSync);
  await kubelet.start();
  parts.push(kubelet);
  parts.push(
    troubles.watch(
      () => sandboxNetwork.notReadyReason(),
      () => kubelet.reportNode(),
    ),
  );

  const tunnels = servers.map(
    (url) => new BoardTunnel({ server: url, credentials, kubeletSocket, log: log.named("tunnel") }),
  );
  for (const tunnel of tunnels) tunnel.start();
  parts.push(...tunnels);
  const heartbeat = new Heartbeat({
    nodeName,
    brokers: start.brokers,
    credentials,
    keepalive_s: settings.mqttKeepalive,
    log: log.named("heartbeat"),
    onReturn: (brokenAt_ms) => {
      client.endSilentWatches(brokenAt_ms);
      for (const tunnel of tunnels) tunnel.retryNow();
    },
  });
  heartbeat.start();
  parts.push(heartbeat);
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
    parts.push(proxy);
  }
  if (!disabled.includes("dns")) {
    parts.push(
      await startClusterDns({
        informers,
        address: settings.clusterDns,
        domain: settings.clusterDomain,
        log: log.named("dns"),
      }),
    );
  }
  informers.start();
  const keeping = keepCertificates({ identity, client, kubelet, server, settings, log, signal: ending.signal });

  return {
    nodeName,
    async stop() {
      ending.abort();
      // The heartbeat first: it announces that the rest is going to be quiet.
      await heartbeat.stop();
      for (const part of parts.reverse()) if (part !== heartbeat) await part.stop();
      await informers.stop();
      await keeping;
    },
  };
}

/** Retries while no master can be reached; what a person has to mend ends it. */
async function joined(start: AgentStart, log: Log, signal: AbortSignal): Promise<BoardIdentity> {
  const folder = join(start.settings.dataDir, "agent", "identity");
  const serial = await boardSerial(start.settings.dataDir);
  for (let attempt = 0; ; attempt++) {
    try {
      return await BoardIdentity.ensure({
        folder,
        servers: start.servers,
        token: start.token,
        boardSerial: serial,
        log,
        signal,
        hostName: start.settings.nodeName || hostname(),
      });
    } catch (error) {
      if (
        !(
          error instanceof ConnectionError ||
          hasReason(error, "ServiceUnavailable") ||
          hasReason(error, "InternalError")
        )
      )
        throw error;
      if (attempt % 20 === 0) log.warn("waiting for the master", { servers: start.servers.join(","), error });
      await pause(systemClock, joinRetry_ms, signal);
    }
  }
}

interface CertificateKeeping {
  readonly identity: BoardIdentity;
  readonly client: HttpClient;
  readonly kubelet: Kubelet;
  readonly server: KubeletServer;
  readonly settings: AgentStart["settings"];
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Opens the kubelet's port once its serving certificate is there, renews certificates in time, and serves a new one when
 *  the board's addresses change. */
async function keepCertificates(keeping: CertificateKeeping): Promise<void> {
  const { identity, client, kubelet, server, settings, log, signal } = keeping;
  const look_ms = 60_000;
  let served: string | undefined;
  let door: Part | undefined;
  while (!signal.aborted) {
    let next_ms = look_ms;
    try {
      if (identity.renewAt.getTime() <= systemClock.wall_ms()) await identity.renew(client);
      // The signer approves only addresses that the Node shows.
      const addresses = addressesOf(kubelet.node);
      if (addresses && settings.kubeletPort > 0) {
        const serving = await identity.servingCertificate(client, addresses);
        if (serving.certificatePem !== served) {
          await door?.stop();
          const listener = await openTlsDoor(server, {
            port: settings.kubeletPort,
            ca: identity.caCertificatePem,
            serving,
            client,
          });
          door = { stop: () => closed(listener) };
          served = serving.certificatePem;
        }
      } else if (!addresses) {
        next_ms = servingRetry_ms;
      }
    } catch (error) {
      if (signal.aborted) break;
      log.warn("certificates: trying again", { error });
      next_ms = servingRetry_ms;
    }
    await pause(systemClock, next_ms, signal).catch(() => undefined);
  }
  await door?.stop();
}

/** What keeps pods from starting beside the runtime; looked at every few seconds until it is gone. */
class Troubles {
  list: readonly string[] = ["the pod network is not looked at yet"];

  /** @param onChange called when there is another reason than before, or none any more. */
  watch(reason: () => Promise<string | undefined>, onChange: () => void): Part {
    const quick_ms = 1_000;
    const slow_ms = 30_000;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isStopped = false;
    const look = async (): Promise<void> => {
      const found = await reason().catch((error: Error) => error.message);
      const before = this.list[0];
      this.list = found === undefined ? [] : [found];
      if (before !== found) onChange();
      if (!isStopped) timer = setTimeout(look, found === undefined ? slow_ms : quick_ms);
    };
    void look();
    return {
      stop: () => {
        isStopped = true;
        clearTimeout(timer);
        return Promise.resolve();
      },
    };
  }
}

function addressesOf(node: Node | undefined): { hostNames: string[]; ips: string[] } | undefined {
  const addresses = node?.status?.addresses ?? [];
  if (addresses.length === 0) return undefined;
  return {
    hostNames: addresses.filter(({ type }) => type === "Hostname").map(({ address }) => address),
    ips: addresses.filter(({ type }) => type === "InternalIP").map(({ address }) => address),
  };
}

function zoneOf(node: Node | undefined): string | undefined {
  return node?.metadata.labels?.["topology.kubernetes.io/zone"];
}

function socketPath(endpoint: string): string {
  const path = endpoint.startsWith("unix://") ? endpoint.slice("unix://".length) : endpoint;
  if (!path.startsWith("/"))
    throw new ConfigError(`container-runtime-endpoint: expected unix:///path/of/docker.sock, got ${endpoint}`);
  return path;
}

function parseLabels(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf("=");
      if (equals <= 0) throw new ConfigError(`node-label: expected KEY=VALUE, got ${text}`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function parseTaint(text: string): Taint {
  const [, key, value, effect] = /^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text) ?? [];
  if (key === undefined || effect === undefined)
    throw new ConfigError(`node-taint: expected KEY=VALUE:EFFECT, got ${text}`);
  return { key, ...(value ? { value } : {}), effect };
}

function closed(server: { close(done: () => void): unknown }): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}
