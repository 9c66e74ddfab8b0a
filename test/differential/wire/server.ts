/** The API server as `bramble master` puts it together, with a store in memory and no other controllers than upstream's has. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runController } from "#shared/client/controller.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { silentLog } from "#shared/client/log.ts";
import type { ValuesOf } from "#shared/config/option.ts";
import { masterOptions } from "#shared/config/settings.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { startApiServer } from "../../../master/api-server.ts";
import { bootstrapPolicy } from "../../../master/apiserver/authz/bootstrap-policy.ts";
import { reconcilePolicy } from "../../../master/apiserver/authz/policy-reconciler.ts";
import { ensureBootstrapObjects } from "../../../master/bootstrap-objects.ts";
import { flowControlConfiguration } from "../../../master/flow-control/flow-control.ts";
import { apiServerUser } from "../../../master/identities.ts";
import { MasterKeys } from "../../../master/pki/master-keys.ts";
import type { Store } from "../../../master/store/store.ts";
import { openMemoryStore } from "../../../master/store/testing/memory-store.ts";
import type { Target } from "./request.ts";

type Settings = Partial<ValuesOf<typeof masterOptions>>;

export interface WireServer {
  readonly target: Target;
  readonly store: Store;
  /** Its store forgets all history. */
  compact(): Promise<void>;
  /** Starts it anew over the same store, at another address, from now on with other settings where they are given; whoever is
   *  connected is cut off. */
  restart(changed?: Settings): Promise<void>;
  /** Gone when it stops. */
  readonly folder: string;
  /** A client certificate of the cluster. */
  issue(commonName: string, organizations: readonly string[]): ReturnType<typeof issueCertificate>;
  stop(): Promise<void>;
}

/** @param overrides of settings */
export async function startWireServer(overrides: Settings = {}): Promise<WireServer> {
  const dataDir = await mkdtemp(join(tmpdir(), "bramble-wire-"));
  const fallbacks = Object.fromEntries(Object.entries(masterOptions).map(([key, { fallback }]) => [key, fallback]));
  let settings = {
    ...(fallbacks as ValuesOf<typeof masterOptions>),
    dataDir,
    bindAddress: "127.0.0.1",
    httpsPort: 0,
    dist: dataDir,
    // Upstream's.
    defaultTolerationSeconds: 300,
    ...overrides,
  };
  const keys = await MasterKeys.open(
    () => ({
      dataDir,
      kubeconfigPath: join(dataDir, "kubeconfig.yaml"),
      server: "https://127.0.0.1:6443",
      names: {
        hostNames: [],
        addresses: ["127.0.0.1"],
        extra: [],
        serviceIp: "10.43.0.1",
        clusterDomain: "cluster.local",
      },
    }),
    silentLog,
  );
  const store = openMemoryStore();
  const log = process.env["WIRE_LOG"] ? (await import("#shared/client/log.ts")).stderrLog("warn") : silentLog;
  const start = async (): Promise<Running> => {
    const api = await startApiServer({
      settings,
      store,
      keys,
      address: () => "127.0.0.1",
      components: new Map(),
      log,
    });
    return prepared(api, settings);
  };
  let running = await start();
  const { ca } = keys.current.authorities;
  const oracle = await issueCertificate(ca, { commonName: "oracle", organizations: ["system:masters"] }, [
    extendedKeyUsages.clientAuth,
  ]);
  return {
    folder: dataDir,
    issue: (commonName, organizations) =>
      issueCertificate(ca, { commonName, organizations: [...organizations] }, [extendedKeyUsages.clientAuth]),
    store,
    get target() {
      return {
        url: running.url,
        headers: {},
        tls: { ca: ca.certificatePem, cert: oracle.certificatePem, key: oracle.keyPem },
      };
    },
    async compact() {
      await store.compact(await store.now());
    },
    async restart(changed = {}) {
      settings = { ...settings, ...changed };
      await running.stop();
      running = await start();
    },
    async stop() {
      await running.stop();
      await store.close();
      await rm(dataDir, { recursive: true });
    },
  };
}

interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

type Api = Awaited<ReturnType<typeof startApiServer>>;

/** With what is there before anybody asks. */
async function prepared(api: Api, settings: Pick<ValuesOf<typeof masterOptions>, "serviceCidr">): Promise<Running> {
  const client = api.server.client(apiServerUser);
  await ensureBootstrapObjects({
    client,
    masters: ["192.0.2.1"],
    httpsPort: 6443,
    serviceCidrs: [settings.serviceCidr],
    serviceIp: "10.43.0.1",
    dnsIp: undefined,
    localStorage: false,
    helm: false,
    ingress: false,
  });
  await reconcilePolicy(client, bootstrapPolicy());
  // Upstream runs it in its API server.
  const informers = new InformerFactory(client);
  informers.start();
  const flowControl = await runController(flowControlConfiguration, {
    client,
    informers,
    events: { record: () => undefined },
  });
  return {
    url: `https://127.0.0.1:${await api.open()}`,
    async stop() {
      await flowControl.stop();
      await informers.stop();
      await api.stop();
    },
  };
}
