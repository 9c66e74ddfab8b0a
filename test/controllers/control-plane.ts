import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { namespaces } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import type { ControllerDefinition } from "#shared/client/controller.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { type Log, type LogFields, silentLog } from "#shared/client/log.ts";
import { parseNetworks } from "#shared/config/networks.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { createServiceAccountKey, parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import type { TunnelTarget } from "#shared/tunnel/tunnel.ts";
import type { TolerationSeconds } from "../../master/apiserver/admission/default-toleration-seconds.ts";
import { ServiceAccountIssuer } from "../../master/apiserver/authn/service-account-issuer.ts";
import { bootstrapPolicy } from "../../master/apiserver/authz/bootstrap-policy.ts";
import { reconcilePolicy } from "../../master/apiserver/authz/policy-reconciler.ts";
import { Extensions } from "../../master/apiserver/extensions/extensions.ts";
import type { ResourceReader } from "../../master/apiserver/registry/reader.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";
import { ServiceAllocation } from "../../master/apiserver/resources/service-allocation.ts";
import { createSecurity, type Security } from "../../master/apiserver/security.ts";
import { ApiServer } from "../../master/apiserver/server.ts";
import { ControllerManager, controllerUser } from "../../master/controllers/manager.ts";
import { secretTokens } from "../../master/controllers/service-account-token.ts";
import { systemControllers } from "../../master/controllers/system-controllers.ts";
import { parsePortRange } from "../../master/networks.ts";
import { Scheduler } from "../../master/scheduler/scheduler.ts";
import { openMemoryStore } from "../../master/store/testing/memory-store.ts";
import { delaysBy } from "./delays.ts";

/** Real time, whose date can be set ahead: for what happens after hours or years. Durations stay as they are. */
class LeapingClock implements Clock {
  #ahead_ms = 0;
  leap(ms: number): void {
    this.#ahead_ms += ms;
  }
  now_ms = (): number => systemClock.now_ms();
  wall_ms = (): number => systemClock.wall_ms() + this.#ahead_ms;
  after = (delay_ms: number, run: () => void): (() => void) => systemClock.after(delay_ms, run);
}

export interface ControlPlane {
  /** Names of all controllers that run. */
  readonly controllers: readonly string[];
  /** Sets the controllers' date ahead. */
  leap(ms: number): void;
  readonly admin: Client;
  /** What components complained about, as `component: message`. */
  readonly complaints: string[];
  stop(): Promise<void>;
}

export interface ControlPlaneParts {
  /** Silence after which a node is not ready; an hour unless said otherwise, as boards that a test plays say nothing more. */
  readonly nodeMonitorGracePeriod_ms?: number;
  /** `false` leaves the scheduler out, for tests that say where pods run. */
  readonly schedules?: boolean;
  readonly tolerationSeconds?: TolerationSeconds;
  /** Services get addresses of it; absent: they get none. */
  readonly serviceCidr?: string;
  /** `true` adds what people add to the API: CustomResourceDefinitions, webhooks, and servers on this machine behind APIServices. */
  readonly isExtensible?: boolean;
}

/** The API server with its security, the scheduler and the system controllers in one process, each with its own rights;
 *  and further controllers if given. */
export async function startControlPlane(
  more: readonly ControllerDefinition[] = [],
  parts: ControlPlaneParts = {},
): Promise<ControlPlane> {
  const { nodeMonitorGracePeriod_ms = 3_600_000, schedules = true, tolerationSeconds, serviceCidr } = parts;
  const authority = await createCertificateAuthority("test");
  const frontProxy = await issueCertificate(authority, { commonName: "front-proxy-client" }, [
    extendedKeyUsages.clientAuth,
  ]);
  const issuer = new ServiceAccountIssuer(
    "https://kubernetes.default.svc.cluster.local",
    parseServiceAccountKeys(createServiceAccountKey()),
  );
  const store = openMemoryStore();
  let security: Security | undefined;
  let extensions: Extensions | undefined;
  const own = { name: "system:apiserver", groups: ["system:masters", "system:authenticated"] };
  const server = new ApiServer({
    store,
    declarations: builtinDeclarations,
    guards: ({ reader, resources, client }) => {
      const externalAddress = (): string => "127.0.0.1:6443";
      const allocation = serviceCidr === undefined ? [] : [serviceAllocation(reader, serviceCidr)];
      if (parts.isExtensible)
        extensions = new Extensions({
          reader,
          resources,
          authorizer: { authorize: (attributes) => securityOf().authorizer.authorize(attributes) },
          dialer: { boards: ["board"], dial: async (_, target) => dialHere(target) },
          client: client(own),
          log: silentLog,
          frontProxy: () => frontProxy,
          // A busy machine makes no server late that answers.
          discoveryWithin_ms: 60_000,
        });
      const aggregator = extensions?.aggregator;
      security = createSecurity({
        reader,
        issuer,
        client: () => client(own),
        externalAddress,
        tolerationSeconds,
        admissionExtensions: [...allocation, ...(extensions?.admission ?? [])],
      });
      return {
        ...security,
        ...(aggregator && {
          aggregator: (info) => aggregator.handlerFor(info),
          remoteVersions: () => aggregator.remoteVersions(),
        }),
      };
    },
  });
  const securityOf = (): Security => {
    if (!security) throw new Error("the API server is starting");
    return security;
  };
  await server.start();
  await extensions?.start(server, server.health.steps);
  const admin = server.client(own);
  for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"])
    await admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {} });
  await reconcilePolicy(admin, bootstrapPolicy());

  const complaints: string[] = [];
  const log = collectingLog(complaints);
  const delays = delaysBy(process.env["BRAMBLE_TEST_DELAYS"]);
  const as = (name: string): Client => delays.client(name, server.client({ name, groups: ["system:authenticated"] }));
  const informers = new InformerFactory(as("system:kube-controller-manager"), { log });
  informers.start();
  const mapper = new ResourceMapper(as("system:kube-controller-manager"));
  const system = systemControllers({
    rootCa: () => authority.certificatePem,
    clientAuthority: () => authority,
    clusterCidr: "10.42.0.0/16",
    nodeMonitorGracePeriod_ms,
    mapper,
    localStoragePath: "/var/lib/bramble/storage",
    reservedBoardPorts: new Map(),
    issueSecretToken: secretTokens(issuer),
  });
  const clock = new LeapingClock();
  const controllers = [...system.controllers, ...more].map(delays.controller);
  const manager = new ControllerManager({
    client: as("system:kube-controller-manager"),
    clientFor: (account) => delays.client(account, server.client(controllerUser(account))),
    informers,
    log,
    services: system.services,
    controllers,
    clock,
  });
  const schedulerInformers = new InformerFactory(as("system:kube-scheduler"), { log });
  schedulerInformers.start();
  const scheduler = new Scheduler({ client: as("system:kube-scheduler"), informers: schedulerInformers, log });
  await Promise.all([manager.start(), ...(schedules ? [scheduler.start()] : [])]);
  return {
    controllers: [...controllers, ...system.services].map(({ name }) => name),
    leap: (ms) => clock.leap(ms),
    admin,
    complaints,
    async stop() {
      if (schedules) await scheduler.stop();
      await manager.stop();
      await Promise.all([informers.stop(), schedulerInformers.stop()]);
      extensions?.stop();
      security?.stop();
      server.stop();
      await store.close();
    },
  };
}

/** Every address leads to this machine. */
function dialHere(target: TunnelTarget): Duplex {
  if (target.kind !== "tcp") throw new Error(`nothing here listens at ${target.kind}`);
  return connect({ host: "127.0.0.1", port: target.port });
}

const serviceAllocation = (reader: ResourceReader, serviceCidr: string): ServiceAllocation =>
  new ServiceAllocation({
    reader,
    serviceRanges: parseNetworks("service-cidr", serviceCidr),
    nodePorts: parsePortRange("30000-32767"),
  });

function collectingLog(into: string[], name = ""): Log {
  const note = (message: string, fields: LogFields = {}): void => {
    const { error } = fields;
    into.push(`${name}: ${message} ${error instanceof Error ? error.message : ""} ${JSON.stringify(fields)}`);
  };
  const quiet = (): void => undefined;
  return {
    debug: quiet,
    info: quiet,
    warn: note,
    error: note,
    named: (child) => collectingLog(into, name ? `${name}/${child}` : child),
  };
}
