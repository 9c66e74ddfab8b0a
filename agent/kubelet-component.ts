import { hostname } from "node:os";
import { join } from "node:path";
import { pause, systemClock } from "#shared/client/clock.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import { type Log, stderrLog } from "#shared/client/log.ts";
import { componentAgent } from "#shared/client/user-agent.ts";
import type { KubeletSettings } from "#shared/config/board-component-settings.ts";
import { ConfigError } from "#shared/config/option.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { servePages } from "#shared/http/component-server.ts";
import { tellAlso } from "#shared/metrics/process-families.ts";
import { type TlsChoice, tlsChoiceOf } from "#shared/net/tls-choice.ts";
import { Parts } from "#shared/process/parts.ts";
import { collectWhenQuiet } from "#shared/process/quiet-collection.ts";
import { untilSignalled } from "#shared/process/signals.ts";
import { type BoardPods, boardRules, startBoardPods } from "./board-pods.ts";
import { addressesOf, ServingDoor } from "./certificate-keeping.ts";
import { CertificateTimes } from "./certificate-times.ts";
import { openCacheFiles } from "./checkpoint/cache-files.ts";
import { Seal } from "./checkpoint/seal.ts";
import { renewOwnLease } from "./heartbeat/own-lease.ts";
import { KubeconfigIdentity } from "./kubeconfig-identity.ts";
import { kubeletChecks, kubeletHealth } from "./kubelet/server/kubelet-health.ts";
import { gracePeriods } from "./kubelet/shutdown/grace-periods.ts";
import { logFolderOf, podCgroupSettings, reservedOf } from "./node-settings.ts";
import { type TlsIdentity, tlsIdentityOf } from "./tls-identity.ts";
import { BoardTunnels } from "./tunnel/board-tunnels.ts";

const look_ms = 15_000;
const retry_ms = 5_000;

interface Running extends BoardPods {
  readonly identity: KubeconfigIdentity;
  readonly client: HttpClient;
  readonly settings: KubeletSettings;
  readonly tls: TlsChoice;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** `bramble kubelet`: the node agent alone, as upstream's: it knows the API server by a kubeconfig, keeps its Node's Lease
 *  itself, and leaves Services, names and Ingresses to others. Pods go on when it ends. */
export async function runKubelet(settings: KubeletSettings): Promise<void> {
  const log = stderrLog(settings.logLevel);
  const ending = new AbortController();
  const { signal } = ending;
  const ended = untilSignalled();
  const parts = new Parts(log);
  const starting = startKubelet(settings, parts, log, signal);
  await Promise.race([starting, ended]);
  log.info("ending", { signal: await ended });
  const running = await Promise.race([starting, undefined]);
  await running?.kubelet.endPodsWithBoard();
  ending.abort();
  await parts.stop();
}

async function startKubelet(settings: KubeletSettings, parts: Parts, log: Log, signal: AbortSignal): Promise<Running> {
  boardRules(settings);
  const tls = tlsChoiceOf(settings);
  const nodeName = (settings.hostnameOverride || hostname()).trim().toLowerCase();
  const identity = await KubeconfigIdentity.open(nodeName, settings, log, signal);
  log.info("this board is a node", { node: nodeName, server: identity.servers.join(",") });
  const { servers, credentials } = identity;
  const client = new HttpClient({ servers, credentials, userAgent: componentAgent("kubelet") });
  const seal = await Seal.open(join(settings.rootDir, "checkpoint.key"), identity.clusterId);
  const caches = openCacheFiles(settings.rootDir, seal, log.named("checkpoint"), []);
  parts.add("checkpoint", caches);
  const informers = new InformerFactory(client, { transform: withoutManagedFields, log, checkpoint: caches });
  parts.add("informers", { stop: () => informers.stop() });
  const pods = await startBoardPods(
    {
      settings: {
        ...settings,
        nodeLabel: settings.nodeLabels,
        nodeTaint: settings.registerWithTaints,
        kubeletPort: settings.port,
      },
      // Of the cluster, a board by itself may read its own Node and pods alone.
      disabled: ["routes", "network-policy"],
      kubelet: {
        dataDir: settings.rootDir,
        clusterDns: settings.clusterDns,
        logFolder: logFolderOf(settings.podLogsDir),
        staticPodsFolder: settings.podManifestPath || undefined,
        reserved: reservedOf(settings),
        resolvConf: settings.resolvConf,
        cgroups: podCgroupSettings(settings),
        shutdown: gracePeriods(settings),
      },
    },
    { nodeName, client, informers, seal },
    { parts, log },
  );
  const running: Running = { ...pods, identity, client, settings, tls, log, signal };
  parts.add("tunnels", tunnelsOf(running));
  await serveHealth(running, parts);
  informers.start();
  parts.add("collections", { stop: collectWhenQuiet() });
  const keeping = Promise.all([keepLease(running), keepDoor(running)]);
  parts.add("lease and certificates", { stop: () => keeping.then(() => undefined) });
  return running;
}

/** API servers of Bramble's reach the board by a tunnel; others know none, and take the kubelet's port. */
function tunnelsOf({ identity, kubeletSocket, log }: Running): BoardTunnels {
  const credentials = (): TlsIdentity => tlsIdentityOf(identity.credentials());
  const tunnels = new BoardTunnels({ credentials, kubeletSocket, log: log.named("tunnel") });
  // By a certificate alone.
  tunnels.keep(identity.credentials().certificate ? identity.servers : []);
  return tunnels;
}

async function serveHealth({ kubelet, settings, log }: Running, parts: Parts): Promise<void> {
  if (settings.healthzPort === 0) return;
  const pages = { checks: { healthz: () => kubeletChecks(kubelet.runtime) }, results: kubeletHealth };
  const address = { host: settings.healthzBindAddress, port: settings.healthzPort };
  parts.add("health", await servePages(pages, address, log.named("health")));
}

/** Says by the Node's Lease that the board lives. */
async function keepLease({ identity, client, kubelet, settings, log, signal }: Running): Promise<void> {
  const duration_s = settings.nodeLeaseDurationSeconds;
  while (!signal.aborted) {
    const owner = kubelet.node;
    try {
      // A Lease without its Node would be nobody's to take away.
      if (owner) await renewOwnLease(client, identity.nodeName, { duration_s, owner });
    } catch (error) {
      log.debug("the Lease could not be renewed", { error });
    }
    const pause_ms = owner ? (duration_s * 1000) / 4 : 1_000;
    await pause(systemClock, pause_ms, signal).catch(() => undefined);
  }
}

/** Keeps the kubelet's port open with a certificate that fits, and the board's own certificate from running out. */
async function keepDoor({ identity, client, kubelet, server, settings, tls, log, signal }: Running): Promise<void> {
  let clientCa: string | undefined;
  const times = new CertificateTimes(() => identity.credentials().certificate);
  const tellNoMore = tellAlso(() => times.families());
  const door = new ServingDoor({
    server,
    client,
    nodeName: identity.nodeName,
    host: settings.address,
    port: settings.port,
    tls,
    clientAuthorities: () => clientCa,
    certificate: (names) => times.serving(() => identity.servingCertificate(client, names)),
  });
  while (!signal.aborted) {
    let next_ms = look_ms;
    try {
      if (settings.clientCaFile !== "") clientCa = await readAuthorities(settings.clientCaFile);
      if (identity.renewAt.getTime() <= systemClock.wall_ms()) {
        await times.renewing(() => identity.renew(client));
        log.info("the board's certificate was renewed");
      }
      const names = addressesOf(kubelet.node);
      if (names && settings.port > 0) await door.serve(names);
      else if (!names) next_ms = 1_000;
    } catch (error) {
      if (signal.aborted) break;
      log.warn("certificates: trying again", { error });
      next_ms = retry_ms;
    }
    await pause(systemClock, next_ms, signal).catch(() => undefined);
  }
  tellNoMore();
  await door.stop();
}

async function readAuthorities(path: string): Promise<string> {
  const pem = await readIfPresent(path);
  if (pem === undefined) throw new ConfigError(`client-ca-file: ${path} is not there`);
  return pem;
}
