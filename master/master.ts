import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { boardAddresses } from "#shared/board/addresses.ts";
import { collectWhenQuiet } from "#shared/board/quiet-collection.ts";
import { untilSignalled } from "#shared/board/signals.ts";
import type { RunningAgent, StartAgent } from "#shared/board/start-agent.ts";
import type { Client } from "#shared/client/client.ts";
import { runController } from "#shared/client/controller.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { type Log, stderrLog } from "#shared/client/log.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { formatJoinToken } from "#shared/pki/join-token.ts";
import { version } from "#shared/version.ts";
import { startApiServer } from "./api-server.ts";
import { bootstrapPolicy } from "./apiserver/authz/bootstrap-policy.ts";
import { reconcilePolicy } from "./apiserver/authz/policy-reconciler.ts";
import type { ComponentCheck } from "./apiserver/resources/core/component-status.ts";
import { ensureBootstrapObjects } from "./bootstrap-objects.ts";
import { Broker } from "./broker/broker.ts";
import { NodeLeases } from "./broker/node-leases.ts";
import { ControllerManager, controllerUser } from "./controllers/manager.ts";
import { serviceAddresses } from "./controllers/service-cidr/service-addresses.ts";
import { systemControllers } from "./controllers/system-controllers.ts";
import { workloadControllers } from "./controllers/workload-controllers.ts";
import { flowControlConfiguration } from "./flow-control/flow-control.ts";
import { apiServerUser, brokerUser, controllerManagerUser, schedulerUser } from "./identities.ts";
import { ensureBootstrapSecret } from "./join/bootstrap-secret.ts";
import { nthAddress } from "./networks.ts";
import { publishExtensionAuthentication } from "./pki/extension-authentication.ts";
import { ensureMasterPki, type MasterPki, type MasterPkiOptions } from "./pki/master-pki.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import { serveStoreAdmin } from "./store/admin.ts";
import { openSqliteStore } from "./store/sqlite-store.ts";

/** Something that was started and is stopped in the reverse order. */
interface Part {
  stop(): Promise<void> | void;
}

/** `bramble master`: runs the control plane, and an agent on this board if one is given, until it is told to end. */
export async function runMaster(settings: MasterSettings, startAgent: StartAgent | undefined): Promise<void> {
  const log = stderrLog(settings.logLevel);
  const parts: Part[] = [];
  const began_ms = performance.now();
  log.info("starting", { version, data: settings.dataDir });
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 });
  mkdirSync(settings.runDir, { recursive: true, mode: 0o755 });

  const address = advertisedAddress(settings);
  const pkiOptions = pkiOptionsOf(settings, address);
  const pki = await ensureMasterPki(pkiOptions);
  const store = await openSqliteStore(
    {
      path: join(settings.dataDir, "store", "store.db"),
      encryption: { keyFile: join(settings.dataDir, "pki", "encryption.key"), prefixes: ["/registry/secrets/"] },
    },
    (sentence) => log.named("store").warn(sentence),
  );
  parts.push({ stop: () => store.close() });
  parts.push(await serveStoreAdmin(store, join(settings.runDir, "store.sock")));

  const components = new Map<string, ComponentCheck>([
    // Under the name that it has everywhere, whatever the store is.
    ["etcd-0", () => store.now().then(() => "ok")],
  ]);
  const api = await startApiServer({ settings, store, pki, address, components, log });
  parts.push(api);
  const { server } = api;
  const own = server.client(apiServerUser);
  await ensureBootstrapObjects({
    client: own,
    masters: [address],
    httpsPort: settings.httpsPort,
    serviceCidr: settings.serviceCidr,
    serviceIp: nthAddress(settings.serviceCidr, 1),
    dnsIp: settings.disable.includes("dns") ? undefined : settings.clusterDns,
    localStorage: !settings.disable.includes("local-storage"),
  });
  await reconcilePolicy(own, bootstrapPolicy());
  await ensureBootstrapSecret(own, pki.joinToken, { description: "made with the cluster" });
  await publishExtensionAuthentication(own, pki.authorities);
  await api.open();
  log.info("the API server is ready", {
    url: `https://${address}:${settings.httpsPort}`,
    after_ms: Math.round(performance.now() - began_ms),
  });

  parts.push(await startBroker(settings, pki, server.client(brokerUser), log));
  parts.push(startServerControllers(own, log));
  const controllers = controllersOf(settings, pki, server, log);
  components.set("controller-manager", () => controllers.check());
  await controllers.start();
  parts.push(controllers);
  parts.push(startScheduler(server, components, log));

  let agent: RunningAgent | undefined;
  const ended = untilSignalled();
  if (startAgent) {
    // Pods of this board are not a reason for the control plane to be away.
    startAgent({
      settings,
      servers: [`https://127.0.0.1:${settings.httpsPort}`],
      token: formatJoinToken(pki.joinToken),
      brokers: [`mqtts://localhost:${settings.mqttPort}`],
      disabled: settings.disable,
    }).then(
      (running) => {
        agent = running;
      },
      (error: unknown) => log.error("this board's agent did not start", { error }),
    );
  }
  const renewals = keepCertificates(pkiOptions, pki, api, log);
  parts.push(renewals);
  parts.push({ stop: collectWhenQuiet() });
  const signal = await ended;
  log.info("ending; pods go on", { signal });
  await agent?.stop();
  for (const part of parts.reverse()) await part.stop();
}

function advertisedAddress(settings: MasterSettings): string {
  const address = settings.advertiseAddress || boardAddresses(settings.nodeIp)[0];
  if (address === undefined) {
    throw new ConfigError("this board has no network address yet: connect it, or name one with --advertise-address");
  }
  return address;
}

function pkiOptionsOf(settings: MasterSettings, address: string): MasterPkiOptions {
  return {
    dataDir: settings.dataDir,
    kubeconfigPath: settings.writeKubeconfig,
    server: `https://${address}:${settings.httpsPort}`,
    names: {
      hostNames: [hostname()],
      addresses: [...new Set([address, ...boardAddresses(settings.nodeIp), "127.0.0.1"])],
      extra: settings.tlsSan,
      serviceIp: nthAddress(settings.serviceCidr, 1),
      clusterDomain: settings.clusterDomain,
    },
  };
}

async function startBroker(
  settings: MasterSettings,
  pki: MasterPki,
  client: ConstructorParameters<typeof NodeLeases>[0],
  log: Log,
): Promise<Part> {
  const { ca } = pki.authorities;
  return Broker.start({
    host: settings.bindAddress,
    port: settings.mqttPort,
    credentials: () => ({
      ca: ca.certificatePem,
      cert: pki.certificates.serving.certificatePem,
      key: pki.certificates.serving.keyPem,
    }),
    leases: new NodeLeases(client, log.named("heartbeat")),
    log: log.named("broker"),
  });
}

type Server = Awaited<ReturnType<typeof startApiServer>>["server"];

function controllersOf(settings: MasterSettings, pki: MasterPki, server: Server, log: Log): ControllerManager {
  const client = server.client(controllerManagerUser);
  const { controllers, services } = systemControllers({
    rootCaPem: pki.authorities.ca.certificatePem,
    clientAuthority: pki.authorities.ca,
    clusterCidr: settings.clusterCidr,
    nodeMonitorGracePeriod_ms: settings.nodeMonitorGracePeriod * 1000,
    mapper: new ResourceMapper(client),
    reservedBoardPorts: settings.disable.includes("servicelb") ? undefined : reservedBoardPorts(settings),
    localStoragePath: settings.disable.includes("local-storage") ? undefined : settings.defaultLocalStoragePath,
  });
  return new ControllerManager({
    client,
    clientFor: (serviceAccount) => server.client(controllerUser(serviceAccount)),
    controllers: [...controllers, ...workloadControllers],
    services,
    log,
  });
}

/** What boards need for themselves: a Service of type LoadBalancer must not shut their doors. */
function reservedBoardPorts(settings: MasterSettings): ReadonlyMap<string, string> {
  return new Map([
    ["TCP/22", "ssh"],
    [`TCP/${settings.httpsPort}`, "the API server"],
    [`TCP/${settings.mqttPort}`, "the heartbeat broker"],
    [`TCP/${settings.kubeletPort}`, "the kubelet"],
    ["UDP/8472", "the tunnel between subnets"],
  ]);
}

/** What upstream's API server looks after itself, so that it is not among the controller manager's. */
function startServerControllers(client: Client, log: Log): Part {
  const informers = new InformerFactory(client, { log });
  const events = { record: () => undefined };
  const running = [flowControlConfiguration, serviceAddresses].map((definition) => {
    const controller = runController(definition, { client, informers, events, log });
    controller.catch((error: unknown) => log.error(`${definition.name} did not start`, { error }));
    return controller;
  });
  informers.start();
  return {
    async stop() {
      await informers.stop();
      for (const controller of await Promise.allSettled(running)) {
        if (controller.status === "fulfilled") await controller.value.stop();
      }
    },
  };
}

function startScheduler(server: Server, components: Map<string, ComponentCheck>, log: Log): Part {
  const client = server.client(schedulerUser);
  const informers = new InformerFactory(client, { log });
  const scheduler = new Scheduler({ client, informers, log });
  components.set("scheduler", () => scheduler.check());
  scheduler.start();
  informers.start();
  return {
    async stop() {
      await scheduler.stop();
      await informers.stop();
    },
  };
}

const certificateLook_ms = 3_600_000;

/** Certificates are renewed while the master runs, and fit new addresses. */
function keepCertificates(
  options: MasterPkiOptions,
  first: MasterPki,
  api: { useCertificates(pki: MasterPki): void },
  log: Log,
): Part {
  let served = first.certificates.serving.certificatePem;
  const look = async (): Promise<void> => {
    try {
      const pki = await ensureMasterPki(options);
      if (pki.certificates.serving.certificatePem === served) return;
      served = pki.certificates.serving.certificatePem;
      api.useCertificates(pki);
      log.info("the serving certificate was renewed");
    } catch (error) {
      log.error("certificates cannot be renewed", { error });
    }
  };
  const timer = setInterval(look, certificateLook_ms);
  return { stop: () => clearInterval(timer) };
}
