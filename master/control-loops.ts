/** What acts on the cluster's state beside the API server: each is a client of it, in this process or in another. */
import { hostname } from "node:os";
import type { Client } from "#shared/client/client.ts";
import { type ControllerDefinition, runController } from "#shared/client/controller.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { orAborted } from "#shared/client/or-aborted.ts";
import type { AutoscalingValues } from "#shared/config/autoscaling-options.ts";
import type { ControllerManagerSettings } from "#shared/config/component-settings.ts";
import { type ConcurrencyValues, type ControllerValues, concurrencies } from "#shared/config/controller-settings.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import type { ServiceAccountIssuer } from "./apiserver/authn/service-account-issuer.ts";
import type { StartSteps } from "./apiserver/discovery/start-steps.ts";
import type { SigningAuthority } from "./controllers/certificates/signer.ts";
import { choiceOfControllers } from "./controllers/chosen-controllers.ts";
import {
  type AutoscalingSettings,
  usualAutoscaling,
} from "./controllers/horizontal-pod-autoscaler/autoscaling-settings.ts";
import { ControllerManager, type Service } from "./controllers/manager.ts";
import { volumeFamiliesOf } from "./controllers/persistent-volume/volume-families.ts";
import { secretTokens } from "./controllers/service-account-token.ts";
import { serviceAddresses } from "./controllers/service-cidr/service-addresses.ts";
import { systemControllers } from "./controllers/system-controllers.ts";
import { workloadControllers } from "./controllers/workload-controllers.ts";
import { flowControlConfiguration } from "./flow-control/flow-control.ts";
import type { CheckedPart } from "./leadership.ts";
import { defaultConfiguration } from "./scheduler/configuration/configuration.ts";
import { Scheduler } from "./scheduler/scheduler.ts";

export type ControllerSettings = Pick<
  MasterSettings,
  | "clusterCidr"
  | "nodeMonitorGracePeriod"
  | "strainedBoardTaint"
  | "disable"
  | "defaultLocalStoragePath"
  | "httpsPort"
  | "helmJobImage"
  | "mqttPort"
  | "kubeletPort"
  | "ingressHttpPort"
  | "ingressHttpsPort"
> &
  Partial<
    Pick<MasterSettings, "tlsSan"> &
      AutoscalingValues &
      ControllerValues &
      ConcurrencyValues &
      Pick<ControllerManagerSettings, "allocateNodeCidrs" | "serviceClusterIpRange">
  >;

export interface ControllerManagerSetup {
  readonly settings: ControllerSettings;
  /** Signs certificates; asked whenever there is one to sign. */
  readonly ca: SigningAuthority;
  /** What is published to namespaces, PEM. */
  readonly rootCa: () => string;
  /** Signs the tokens of Secrets for service accounts; absent: such Secrets stay empty. */
  readonly issuer?: ServiceAccountIssuer | undefined;
  readonly client: Client;
  /** A client that acts as a service account of kube-system. */
  readonly clientFor: (serviceAccount: string) => Client;
  readonly log: Log;
  /** Ends the start, which else waits for an API server that is away. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the accounts before the first client is asked for. */
  readonly prepare?: ((accounts: readonly string[]) => Promise<void>) | undefined;
}

/** Resolves when every controller runs. Once its signal has aborted it rejects, or what it resolves with has been stopped. */
export async function startControllerManager(setup: ControllerManagerSetup): Promise<ControllerManager> {
  const { settings, ca, client, clientFor, log } = setup;
  const { controllers, services } = systemControllers({
    rootCa: setup.rootCa,
    clientAuthority: ca,
    clusterCidr: settings.clusterCidr,
    nodeMonitorGracePeriod_ms: settings.nodeMonitorGracePeriod * 1000,
    strainedBoardTaint: settings.strainedBoardTaint,
    mapper: new ResourceMapper(client),
    reservedBoardPorts: settings.disable.includes("servicelb") ? undefined : reservedBoardPorts(settings),
    apiServerNames: [hostname(), ...(settings.tlsSan ?? [])],
    issueSecretToken: setup.issuer && secretTokens(setup.issuer),
    helm: settings.disable.includes("helm-controller")
      ? undefined
      : { image: settings.helmJobImage, httpsPort: settings.httpsPort },
    tuning: settings,
    localStoragePath: settings.disable.includes("local-storage") ? undefined : settings.defaultLocalStoragePath,
  });
  const { all, chosenServices } = chosenOf(
    [...controllers, ...workloadControllers(autoscalingOf(settings))],
    services,
    settings,
  );
  const accounts = [
    ...all.map(({ serviceAccount, name }) => serviceAccount ?? name).filter((account) => account !== ""),
    ...chosenServices.map(({ serviceAccount }) => serviceAccount),
  ];
  const { prepare, signal = new AbortController().signal } = setup;
  if (prepare) await orAborted(signal, prepare(accounts));
  const manager = new ControllerManager({
    client,
    clientFor,
    controllers: all,
    services: chosenServices,
    log,
    families: volumeFamiliesOf,
  });
  signal.throwIfAborted();
  const end = (): void => void manager.stop();
  signal.addEventListener("abort", end, { once: true });
  await manager.start();
  signal.removeEventListener("abort", end);
  return manager;
}

/** Those that the settings want to run, each as busy as they say. */
function chosenOf(
  controllers: readonly ControllerDefinition[],
  services: readonly Service[],
  settings: ControllerSettings,
): { readonly all: readonly ControllerDefinition[]; readonly chosenServices: readonly Service[] } {
  const names = [...controllers, ...services].map(({ name }) => name);
  const runs = choiceOfControllers(settings.controllers ?? ["*"], names);
  const leftOut = settings.allocateNodeCidrs === false ? "node-ipam-controller" : undefined;
  const busyness = new Map<string, number>();
  for (const [flag, [name]] of Object.entries(concurrencies)) {
    const concurrency = settings[flag as keyof typeof concurrencies];
    if (concurrency) busyness.set(name, concurrency);
  }
  const all = controllers
    .filter(({ name }) => runs(name) && name !== leftOut)
    .map((one) => (busyness.has(one.name) ? { ...one, concurrency: busyness.get(one.name) } : one));
  return { all, chosenServices: services.filter(({ name }) => runs(name)) };
}

const autoscalingOf = (settings: ControllerSettings): AutoscalingSettings => ({
  syncPeriod_ms: settings.horizontalPodAutoscalerSyncPeriod ?? usualAutoscaling.syncPeriod_ms,
  downscaleStabilization_ms:
    settings.horizontalPodAutoscalerDownscaleStabilization ?? usualAutoscaling.downscaleStabilization_ms,
  tolerance: settings.horizontalPodAutoscalerTolerance ?? usualAutoscaling.tolerance,
  cpuInitializationPeriod_ms:
    settings.horizontalPodAutoscalerCpuInitializationPeriod ?? usualAutoscaling.cpuInitializationPeriod_ms,
  initialReadinessDelay_ms:
    settings.horizontalPodAutoscalerInitialReadinessDelay ?? usualAutoscaling.initialReadinessDelay_ms,
});

/** What boards need for themselves: a Service of type LoadBalancer must not shut their doors. */
function reservedBoardPorts(settings: ControllerSettings): ReadonlyMap<string, string> {
  return new Map([
    ["TCP/22", "ssh"],
    [`TCP/${settings.httpsPort}`, "the API server"],
    [`TCP/${settings.mqttPort}`, "the heartbeat broker"],
    [`TCP/${settings.kubeletPort}`, "the kubelet"],
    ["UDP/8472", "the tunnel between subnets"],
    ...(settings.disable.includes("ingress")
      ? []
      : [settings.ingressHttpPort, settings.ingressHttpsPort].map((port): [string, string] => [
          `TCP/${port}`,
          "Ingresses (--disable ingress frees it)",
        ])),
  ]);
}

export interface SchedulerPart extends CheckedPart {
  /** Rejects while it has not seen yet what decisions are made of. */
  checkCaches(): Promise<string>;
  /** What pods ask for, for /metrics/resources. */
  podResources(): Family[];
}

export function startScheduler(client: Client, log: Log, configuration = defaultConfiguration()): SchedulerPart {
  const informers = new InformerFactory(client, { log });
  const scheduler = new Scheduler({ client, informers, configuration, log });
  scheduler.start().catch((error: unknown) => log.error("the scheduler does not run", { error }));
  informers.start();
  return {
    check: () => scheduler.check(),
    checkCaches: () => scheduler.checkCaches(),
    podResources: () => scheduler.podResources(),
    async stop() {
      await scheduler.stop();
      await informers.stop();
    },
  };
}

const serverControllers = [
  ["flow control objects", flowControlConfiguration],
  ["service addresses", serviceAddresses],
] as const;

/** What upstream's API server looks after itself, so that it is not among the controller manager's.
 *  @param steps of the server whose process this is; it tells of these once they run, for another's may run them instead. */
export function startServerControllers(client: Client, log: Log, steps: StartSteps): CheckedPart {
  const informers = new InformerFactory(client, { log });
  const events = { record: () => undefined };
  const running = serverControllers.map(([step, definition]) => {
    const controller = runController(definition, { client, informers, events, log });
    controller.then(
      () => steps.done(step),
      (error: unknown) => log.error(`${definition.name} did not start`, { error }),
    );
    return controller;
  });
  informers.start();
  return {
    check: () => Promise.all(running).then(() => "ok"),
    async stop() {
      await informers.stop();
      for (const controller of await Promise.allSettled(running)) {
        if (controller.status === "fulfilled") await controller.value.stop();
      }
    },
  };
}
