/** The API server with what belongs to it on this machine: store, keys, broker, its place in the list of masters, backups. */
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { wholeValue } from "#shared/api/quantity.ts";
import { boardAddresses } from "#shared/board/addresses.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import type { ApiServerSettings } from "#shared/config/component-settings.ts";
import type { GivenCredentials } from "#shared/config/given-credentials.ts";
import {
  assertSamePrimary,
  dnsAddress,
  nthAddress,
  parseNetworks,
  primaryFamily,
  primaryServiceCidr,
} from "#shared/config/networks.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { type Announcer, startAnnouncer } from "#shared/discovery/announcer.ts";
import { outsideBrokerOf } from "#shared/heartbeat/outside-broker.ts";
import { hostPort } from "#shared/http/host-port.ts";
import { bundleFingerprints } from "#shared/pki/certificate-bundle.ts";
import type { Part, Parts } from "#shared/process/parts.ts";
import { version } from "#shared/version.ts";
import { startApiServer } from "./api-server.ts";
import type { FollowedFrontProxyTrust } from "./apiserver/authn/front-proxy-trust.ts";
import type { ServiceAccountIssuer } from "./apiserver/authn/service-account-issuer.ts";
import { bootstrapPolicy } from "./apiserver/authz/bootstrap-policy.ts";
import { reconcilePolicy } from "./apiserver/authz/policy-reconciler.ts";
import type { StartSteps } from "./apiserver/discovery/start-steps.ts";
import type { ComponentCheck } from "./apiserver/resources/core/component-status.ts";
import type { ApiServer } from "./apiserver/server.ts";
import { ensureKeysWhole } from "./backup/key-recovery.ts";
import { scheduleBackups } from "./backup/schedule.ts";
import { backupFolderOf, openStoreSafely } from "./backup/store-recovery.ts";
import { ensureBootstrapObjects, ensureMasterEndpoints } from "./bootstrap-objects.ts";
import { Broker } from "./broker/broker.ts";
import { NodeLeases } from "./broker/node-leases.ts";
import { reviewReaders } from "./broker/readers.ts";
import { ensureUntilDone } from "./ensured.ts";
import { apiServerUser, brokerUser } from "./identities.ts";
import { ensureBootstrapSecret } from "./join/bootstrap-secret.ts";
import { joinedSettings } from "./join/control-plane.ts";
import { KubernetesEndpoints } from "./kubernetes-endpoints.ts";
import { listenAddress } from "./networks.ts";
import { OwnAddress } from "./own-address.ts";
import type { Identity } from "./pki/credentials.ts";
import { publishExtensionAuthentication } from "./pki/extension-authentication.ts";
import { MasterKeys } from "./pki/master-keys.ts";
import { type MasterPki, type MasterPkiOptions, serverCredentials } from "./pki/master-pki.ts";
import { serveStoreAdmin } from "./store/admin.ts";
import type { Store } from "./store/store.ts";
import { isOwnEtcd } from "./store/store-choice.ts";
import { stateRoot } from "./store/transfer.ts";

/** Of a master, or of an API server alone, which may have its certificates and keys from elsewhere. */
export type ServingSettings = MasterSettings &
  Partial<GivenCredentials & Pick<ApiServerSettings, "endpointReconcilerType">>;

export interface ServingMaster {
  /** With what was taken over from another master. */
  readonly settings: MasterSettings;
  readonly server: ApiServer;
  /** The API server's own client. */
  readonly own: Client;
  readonly keys: MasterKeys;
  /** Signs with the keys as they are at the moment. */
  readonly issuer: ServiceAccountIssuer;
  /** Others serve over the same store. */
  readonly isShared: boolean;
  storeAnswers(): Promise<unknown>;
  /** What `kubectl get componentstatuses` asks. */
  readonly components: Map<string, ComponentCheck>;
}

/** Resolves when the API server is ready; what is to be stopped is added to `parts`. Rejects for what a person has to mend;
 *  etcd is waited for.
 *  @param kubeconfigs who else gets one, by its name below the data folder. */
export async function startServing(
  given: ServingSettings,
  log: Log,
  parts: Parts,
  kubeconfigs: Readonly<Record<string, Identity>> = {},
): Promise<ServingMaster> {
  const began_ms = performance.now();
  log.info("starting", { version, data: given.dataDir });
  const settings: ServingSettings = { ...given, ...(await joinedSettings(given, log)) };
  assertSamePrimary(settings);

  const address = new OwnAddress(settings, log.named("address"));
  await ensureKeysWhole(settings, log);
  const keys = await MasterKeys.open(() => pkiOptionsOf(settings, address.current, kubeconfigs), log.named("keys"));
  const store = await openMastersStore(settings, address, log, parts);
  const components = new Map<string, ComponentCheck>([
    // Under the name that it has everywhere, whatever the store is.
    ["etcd-0", () => store.now().then(() => "ok")],
  ]);
  const api = await startApiServer({ settings, store, keys, address: () => address.current, components, log });
  parts.add("API server", api);
  const { server } = api;
  const own = server.client(apiServerUser);
  // Before anybody is served: what the masters agreed on while this one was away.
  await keys.takeShared(own, address.current);
  const { steps } = server.health;
  const masters = store.isShared ? undefined : [address.current];
  await ensureClusterObjects({ client: own, settings, masters, steps, log }, parts);
  parts.add("join token", await keepJoinToken(own, keys, log));
  const { frontProxies } = api;
  parts.add("extension authentication", await tellExtensions({ client: own, keys, frontProxies, steps, log }));
  // First the certificate, for it is what boards ask of a master that they find at another address.
  address.onChange(async (now, before) => {
    await keys.renew();
    if (now !== before) await keys.takeShared(own, now);
  });
  await api.open();
  log.info("the API server is ready", {
    url: `https://${hostPort(address.current, settings.httpsPort)}`,
    after_ms: Math.round(performance.now() - began_ms),
  });

  if (!settings.disable.includes("mdns")) parts.add("mDNS", announce(settings, keys, address, log));
  parts.add("broker", await startBroker(settings, keys, server.client(brokerUser), log));
  if (settings.endpointReconcilerType !== "none")
    await listThisMaster({ settings, isShared: store.isShared, client: own, address, steps, log }, parts);
  const renewing = keys.keep(own, () => address.current);
  parts.add("certificates", renewing);
  steps.done("certificates");
  parts.add("backups", backUpBySchedule(settings, store, log));
  parts.add("addresses", await address.follow());
  return {
    settings,
    server,
    own,
    keys,
    issuer: api.issuer,
    isShared: store.isShared,
    storeAnswers: () => store.now(),
    components,
  };
}

/** The store, with what looks after it and who may look into it. Rejects as `openStoreSafely` and `assertMoved` do. */
async function openMastersStore(settings: MasterSettings, address: OwnAddress, log: Log, parts: Parts): Promise<Store> {
  const store = await openStoreSafely(settings, log.named("store"));
  parts.add("store", { stop: () => store.close() });
  if (isOwnEtcd(settings.store)) {
    await assertMoved(settings, store);
    // Before all that writes to the store.
    parts.add("etcd's upkeep", await keepOwnEtcd(settings, address, log));
  }
  parts.add("store admin", await serveStoreAdmin(store, join(settings.runDir, "store.sock")));
  return store;
}

/** Sees to the Secret of the join token: now, and where Secrets cannot be written yet, since their key service is away, once they can. */
function keepJoinToken(client: Client, keys: MasterKeys, log: Log): Promise<Part> {
  const trouble = new StandingTrouble(log, { wrong: "the join token is not good yet", over: "the join token is good" });
  return ensureUntilDone(
    () => ensureBootstrapSecret(client, keys.current.joinToken, { description: "made with the cluster" }),
    trouble,
  );
}

function backUpBySchedule(settings: MasterSettings, store: Store, log: Log): Part {
  return scheduleBackups({
    schedule: settings.backupSchedule,
    keep: settings.backupKeep,
    folder: backupFolderOf(settings),
    dataDir: settings.dataDir,
    store,
    log: log.named("backup"),
  });
}

/** Tells aggregated API servers by which authorities clients and proxies are known here, now and after each change. */
async function tellExtensions({ client, keys, frontProxies, steps, log }: ToldExtensions): Promise<Part> {
  const publish = (pki: MasterPki) => publishExtensionAuthentication(client, pki, frontProxies);
  const wrong = "aggregated API servers are not told by which authorities clients are known";
  const publishFirst = steps.tracked("extension authentication", () => publish(keys.current));
  const published = await ensureUntilDone(publishFirst, new StandingTrouble(log, { wrong }));
  keys.onChange(publish);
  frontProxies.onChange(() => {
    publish(keys.current).catch((error: unknown) => {
      log.error("aggregated API servers are not told of other front proxies", { error });
    });
  });
  return published;
}

interface ToldExtensions {
  readonly client: Client;
  readonly keys: MasterKeys;
  readonly frontProxies: FollowedFrontProxyTrust;
  readonly steps: StartSteps;
  readonly log: Log;
}

/** The upkeep of this master's member of the etcd that Bramble runs. */
async function keepOwnEtcd({ dataDir, etcdQuota }: MasterSettings, address: OwnAddress, log: Log): Promise<Part> {
  const { startKeeper } = await import("./etcd/keeper.ts");
  const quota_bytes = wholeValue(etcdQuota);
  const keeper = startKeeper({ dataDir, address: () => address.current, quota_bytes, log: log.named("etcd") });
  address.onChange(() => keeper.addressChanged());
  return keeper;
}

/** Namespaces, Services, roles and the rest that every cluster has. */
async function ensureClusterObjects(
  { client, settings, masters, steps, log }: ClusterObjects,
  parts: Parts,
): Promise<void> {
  const { httpsPort, disable } = settings;
  const wanted = {
    client,
    masters,
    httpsPort,
    serviceCidrs: parseNetworks("service-cidr", settings.serviceCidr).map(({ cidr }) => cidr),
    serviceIp: nthAddress(primaryServiceCidr(settings), 1),
    dnsIp: disable.includes("dns") ? undefined : dnsAddress(settings),
    ingress: !disable.includes("ingress"),
    helm: !disable.includes("helm-controller"),
    localStorage: !disable.includes("local-storage"),
  };
  const objects = () =>
    ensureBootstrapObjects(wanted, (part, work) => (part === "more" ? work : steps.tracked(part, work)));
  const roles = steps.tracked("roles", () => reconcilePolicy(client, bootstrapPolicy()));
  const ensured = (what: string, ensure: () => Promise<void>): Promise<Part> =>
    ensureUntilDone(
      ensure,
      new StandingTrouble(log, { wrong: `the cluster refuses ${what}`, over: `${what} are there` }),
    );
  parts.add("objects of every cluster", await ensured("objects that every cluster has", objects));
  parts.add("roles", await ensured("roles that every cluster has", roles));
}

interface ClusterObjects {
  readonly client: Client;
  readonly settings: MasterSettings;
  /** The addresses of all masters, where they are known. */
  readonly masters: readonly string[] | undefined;
  readonly steps: StartSteps;
  readonly log: Log;
}

/** Tells the network by mDNS that there is a master here. */
function announce({ httpsPort }: MasterSettings, keys: MasterKeys, address: OwnAddress, log: Log): Announcer {
  const describe = () => ({
    host: hostname(),
    httpsPort,
    caHashes: bundleFingerprints(keys.current.authorities.trusted),
    version,
  });
  const announcer = startAnnouncer(describe, () => address.current, log.named("mdns"));
  address.onChange(() => announcer.addressesChanged());
  return announcer;
}

/** Keeps this master among those that the `kubernetes` Service leads to. One alone over its store was listed at its start. */
async function listThisMaster(
  { settings: { httpsPort }, isShared, client, address, steps, log }: ListedMaster,
  parts: Parts,
): Promise<void> {
  if (!isShared) {
    address.onChange((now) => ensureMasterEndpoints({ client, masters: [now], httpsPort }));
    return;
  }
  const start = async (now: string): Promise<KubernetesEndpoints> => {
    const started = new KubernetesEndpoints({ client, address: now, httpsPort, log });
    await started.start();
    return started;
  };
  steps.begin("identity lease");
  let listed = await start(address.current);
  steps.done("identity lease");
  parts.add("endpoints", { stop: () => listed.stop() });
  address.onChange(async (now, before) => {
    if (now === before) return;
    await listed.stop();
    listed = await start(now);
  });
}

interface ListedMaster {
  readonly settings: MasterSettings;
  readonly isShared: boolean;
  readonly client: Client;
  readonly address: OwnAddress;
  readonly steps: StartSteps;
  readonly log: Log;
}

/** A cluster that lies in sqlite must not begin anew in an etcd that is empty. */
async function assertMoved({ dataDir }: MasterSettings, store: Store): Promise<void> {
  if (!existsSync(join(dataDir, "store", "store.db"))) return;
  if ((await store.list(stateRoot, { limit: 1 })).items.length > 0) return;
  throw new ConfigError("this cluster's state rests in sqlite yet: bring it to etcd with `bramble store move etcd`");
}

export function pkiOptionsOf(
  settings: ServingSettings,
  address: string,
  kubeconfigs: Readonly<Record<string, Identity>>,
): MasterPkiOptions {
  return {
    dataDir: settings.dataDir,
    kubeconfigPath: settings.writeKubeconfig,
    given: settings,
    kubeconfigs: Object.entries(kubeconfigs).map(([name, identity]) => ({
      path: join(settings.dataDir, "kubeconfigs", `${name}.yaml`),
      identity,
    })),
    server: `https://${hostPort(address, settings.httpsPort)}`,
    names: {
      hostNames: [hostname()],
      addresses: [
        ...new Set([
          address,
          ...boardAddresses({ preferred: settings.nodeIp, family: primaryFamily(settings) }),
          "127.0.0.1",
          "::1",
        ]),
      ],
      extra: settings.tlsSan,
      serviceIp: nthAddress(primaryServiceCidr(settings), 1),
      clusterDomain: settings.clusterDomain,
    },
  };
}

async function startBroker(
  settings: MasterSettings,
  keys: MasterKeys,
  client: ConstructorParameters<typeof NodeLeases>[0],
  log: Log,
): Promise<Part> {
  const leases = new NodeLeases(client, log.named("heartbeat"));
  const outside = outsideBrokerOf(settings);
  if (outside) {
    // With its MQTT client, which the broker built in does without.
    const { OutsideSessions } = await import("./broker/outside-sessions.ts");
    const sessions = new OutsideSessions({
      broker: outside,
      certificate: () => {
        const { certificatePem: cert, keyPem: key } = keys.current.certificates.kubeletClient;
        return { cert, key };
      },
      name: hostname(),
      leases,
      log: log.named("broker"),
    });
    sessions.start();
    return sessions;
  }
  const broker = await Broker.start({
    host: listenAddress(settings),
    port: settings.mqttPort,
    credentials: () => serverCredentials(keys.current),
    leases,
    reviewReader: reviewReaders(client),
    log: log.named("broker"),
  });
  keys.onChange(() => broker.reload());
  return broker;
}
