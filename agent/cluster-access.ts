import { join } from "node:path";
import { boardAddresses } from "#shared/board/addresses.ts";
import type { AgentStart } from "#shared/board/start-agent.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { componentAgent } from "#shared/client/user-agent.ts";
import type { Trust } from "#shared/discovery/proven-masters.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import type { BoardIdentity } from "#shared/pki/board-identity.ts";
import { type CacheFiles, openCacheFiles } from "./checkpoint/cache-files.ts";
import { Seal } from "./checkpoint/seal.ts";
import { dnsSettingsScope } from "./dns/cluster-dns.ts";
import { type JoinDirectory, joinedBoard } from "./joined-board.ts";
import { MasterSearch } from "./master-search.ts";
import { Masters } from "./masters.ts";
import { type TlsIdentity, tlsIdentityOf } from "./tls-identity.ts";

/** A board's way into the cluster: who it is there, whom it asks, and what it was told last. */
export interface ClusterAccess {
  readonly nodeName: string;
  readonly identity: BoardIdentity;
  readonly masters: Masters;
  readonly client: HttpClient;
  /** Not started; they begin from the board's checkpoint when no master answers. */
  readonly informers: InformerFactory;
  readonly caches: CacheFiles;
  /** For what is secret on the card. */
  readonly seal: Seal;
  /** The node's certificate as it is now, PEM. */
  readonly certificates: () => TlsIdentity;
}

/** Joins the cluster if the board has not, and opens what it keeps of it. Rejects as `joinedBoard` does. */
export async function enterCluster(start: AgentStart, log: Log, signal: AbortSignal): Promise<ClusterAccess> {
  const { settings } = start;
  const folder = join(settings.dataDir, "agent");
  const masters = new Masters({
    configured: start.servers,
    brokers: start.brokers,
    mqttPort: settings.mqttPort,
    folder,
    ownAddresses: () => boardAddresses({ preferred: settings.nodeIp }),
    log: log.named("masters"),
  });
  let identity: BoardIdentity | undefined;
  const search = start.disabled.includes("mdns")
    ? undefined
    : new MasterSearch({
        configured: start.servers,
        trust: () => trustOf(identity, start.token, join(folder, "identity", "ca.crt")),
        found: (servers) => masters.find(servers),
        log: log.named("mdns"),
        signal,
      });
  const directory: JoinDirectory = {
    get servers() {
      return masters.plan.servers;
    },
    unreachable: async () => search?.prompt(),
  };
  identity = await joinedBoard(start, directory, log, signal);
  const client: HttpClient = new HttpClient({
    onUnreachable: (server) => {
      if (client.isAway || masters.hasFound(server)) void search?.prompt();
    },
    get servers() {
      return masters.plan.servers;
    },
    credentials: identity.credentials,
    userAgent: componentAgent("kubelet"),
    startsAway: !identity.isConfirmed,
  });
  const sealFile = join(folder, "identity", "checkpoint.key");
  const seal = await Seal.open(sealFile, identity.clusterId);
  const caches = openCacheFiles(folder, seal, log.named("checkpoint"), [dnsSettingsScope]);
  const informers = new InformerFactory(client, { transform: withoutManagedFields, log, checkpoint: caches });
  const certificates = (): TlsIdentity => tlsIdentityOf(identity.credentials());
  return { nodeName: identity.nodeName, identity, masters, client, informers, caches, seal, certificates };
}

/** Until it is settled of which cluster the board is, its token says it. */
async function trustOf(
  identity: BoardIdentity | undefined,
  token: string | undefined,
  caFile: string,
): Promise<Trust | undefined> {
  if (identity) return { ca: identity.caCertificatePem };
  if (token) return { token };
  const ca = await readIfPresent(caFile);
  return ca === undefined ? undefined : { ca };
}
