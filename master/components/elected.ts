import { ConnectionError } from "#shared/client/client.ts";
import { HttpClient, type HttpClientOptions } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import type { Log } from "#shared/client/log.ts";
import { componentAgent } from "#shared/client/user-agent.ts";
import type { ElectedSettings } from "#shared/config/component-settings.ts";
import { metricRulesOf } from "#shared/config/metric-options.ts";
import { ConfigError } from "#shared/config/option.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import type { ComponentPages } from "#shared/http/component-pages.ts";
import { servePagesSecurely } from "#shared/http/component-server.ts";
import { DelegatedAccess } from "#shared/http/delegated-access.ts";
import type { HealthCheck } from "#shared/http/health-page.ts";
import { HealthResults } from "#shared/http/health-results.ts";
import { useMetricRules } from "#shared/metrics/metric-rules.ts";
import { gaugeFamily, processFamilies } from "#shared/metrics/process-families.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { pairInFiles, selfSignedServing } from "#shared/pki/self-signed.ts";
import { type Part, Parts } from "#shared/process/parts.ts";
import { collectWhenQuiet } from "#shared/process/quiet-collection.ts";
import { untilSignalled } from "#shared/process/signals.ts";
import type { Rate } from "#shared/process/token-bucket.ts";
import { type CheckedPart, onceInCluster } from "../leadership.ts";
import { ComponentAccess } from "./component-access.ts";
import { type ClientTrust, givenTrust, ownTrust, publishedTrust } from "./published-trust.ts";

export interface ElectedComponent {
  readonly settings: ElectedSettings;
  /** Upstream's name of it. */
  readonly component: string;
  /** Who tells of its lease's turns. */
  readonly eventSource: string;
  readonly log: Log;
  /** What /configz shows. */
  readonly configuration: () => Readonly<Record<string, unknown>>;
  /** How the parts of its work are, by their names: only of one that leads. */
  readonly partChecks?: (() => Readonly<Record<string, HealthCheck>>) | undefined;
  /** What else it needs before it can do its work. */
  readonly readiness?: Readonly<Record<string, HealthCheck>> | undefined;
  /** Further pages of metrics, by path. */
  readonly moreMetrics?: ComponentPages["moreMetrics"];
}

/** How a component's work ends. */
export interface WorkSignals {
  /** It has lost its Lease, or its process is to end. */
  readonly signal: AbortSignal;
  /** The process has waited long enough for requests that are under way: an API server that hangs must not hold it. */
  readonly givenUp: AbortSignal;
}

/** What requests under way get of the end of a component. */
const lastRequests_ms = 3_000;

/** The API as the component's kubeconfig says. Throws ConfigError, KubeconfigError. */
function componentClient(
  kubeconfig: string,
  component: string,
  more: Pick<HttpClientOptions, "rate" | "signal"> = {},
): HttpClient {
  if (kubeconfig === "") throw new ConfigError("kubeconfig: name the file that says where the API server is");
  const { servers, credentials } = loadKubeconfig(kubeconfig);
  return new HttpClient({ servers, credentials, userAgent: componentAgent(component), ...more });
}

/** How often a component may ask the API server for its work; undefined: as often as there is some. */
export const requestRateOf = ({ kubeApiQps, kubeApiBurst }: ElectedSettings): Rate | undefined =>
  kubeApiQps === undefined ? undefined : { perSecond: kubeApiQps, burst: kubeApiBurst };

/** Runs a component until it is told to end: at once, or whenever it holds its Lease. Its own server, with health, metrics
 *  and configuration, answers all the while. */
export async function runElected(
  { settings, component, eventSource, log, configuration, partChecks, readiness, moreMetrics }: ElectedComponent,
  start: (client: HttpClient, signals: WorkSignals) => Promise<CheckedPart>,
): Promise<void> {
  useMetricRules(metricRulesOf(settings, (message) => log.error(message)));
  const givingUp = new AbortController();
  const givenUp = givingUp.signal;
  const client = componentClient(settings.kubeconfig, component, { signal: givenUp });
  // Apart, so that a Lease is renewed however much work there is.
  const rate = requestRateOf(settings);
  const working = rate ? componentClient(settings.kubeconfig, component, { rate, signal: givenUp }) : client;
  const ending = new AbortController();
  const ended = untilSignalled();
  void ended.then(() => {
    ending.abort();
    setTimeout(() => givingUp.abort(new ConnectionError("the process ends")), lastRequests_ms).unref();
  });
  let isLeading = false;
  let check: () => Promise<string> = () => Promise.resolve("ok");
  const pages: ComponentPages = {
    checks: {
      healthz: () => ({ leaderElection: () => check(), ...partChecks?.() }),
      // A start anew helps nobody who waits for a Lease, or for the API server: /livez asks only whether the component answers.
      readyz: () => ({
        leaderElection: () => check(),
        shutdown: async () => ending.signal.throwIfAborted(),
        ...readiness,
      }),
    },
    results: new HealthResults(),
    families: () => [
      ...processFamilies(),
      gaugeFamily("leader_election_master_status", "1 while this process leads.", [
        { labels: { name: settings.leaderElectResourceName }, value: Number(isLeading) },
      ]),
    ],
    moreMetrics,
    resetsMetrics: true,
    configuration,
  };
  const parts = new Parts(log);
  const door = await openDoor({ settings, component }, client, pages, log.named("server"));
  if (door) parts.add("server", door);
  const lead = async (signal: AbortSignal): Promise<CheckedPart> => {
    const running = await start(working, { signal, givenUp });
    isLeading = true;
    return {
      check: () => running.check(),
      stop: () => {
        isLeading = false;
        return running.stop();
      },
    };
  };
  const part = settings.leaderElect
    ? onceInCluster({ ...candidacyOf(settings, client, log), eventSource }, lead)
    : await lead(ending.signal);
  check = () => part.check();
  parts.add(settings.leaderElectResourceName, part);
  parts.add("collections", { stop: collectWhenQuiet() });
  const signal = await ended;
  log.info("ending", { signal });
  await parts.stop();
}

function candidacyOf(settings: ElectedSettings, client: HttpClient, log: Log) {
  return {
    client,
    lease: settings.leaderElectResourceName,
    namespace: settings.leaderElectResourceNamespace,
    times: {
      leaseDuration_ms: settings.leaderElectLeaseDuration,
      renewDeadline_ms: settings.leaderElectRenewDeadline,
      retryPeriod_ms: settings.leaderElectRetryPeriod,
    },
    log,
  };
}

async function openDoor(
  { settings, component }: Pick<ElectedComponent, "settings" | "component">,
  client: HttpClient,
  pages: ComponentPages,
  log: Log,
): Promise<Part | undefined> {
  if (settings.securePort === 0) return undefined;
  const other = (kubeconfig: string): HttpClient =>
    kubeconfig === "" || kubeconfig === settings.kubeconfig ? client : componentClient(kubeconfig, component);
  const authenticating = other(settings.authenticationKubeconfig);
  const delegated = new DelegatedAccess(authenticating, other(settings.authorizationKubeconfig));
  const access = new ComponentAccess(delegated, () => trustOf(settings, authenticating, log));
  return servePagesSecurely({
    pages,
    address: { host: settings.bindAddress, port: settings.securePort },
    serving: await servingPair(settings),
    access,
    clientAuthorities: () => access.authorities(),
    alwaysAllowed: settings.authorizationAlwaysAllowPaths,
    log,
  });
}

async function trustOf(settings: ElectedSettings, client: HttpClient, log: Log): Promise<ClientTrust> {
  const { clientCaFile, requestheaderClientCaFile } = settings;
  const read = async (path: string) => (path === "" ? undefined : await readIfPresent(path));
  const [clientCa, frontProxyCa] = [await read(clientCaFile), await read(requestheaderClientCaFile)];
  const looked = settings.authenticationSkipLookup ? ownTrust(clientCa) : await publishedTrust(client, log, clientCa);
  return givenTrust({ ...settings, clientCa, frontProxyCa }, looked);
}

async function servingPair({ tlsCertFile, tlsPrivateKeyFile }: ElectedSettings): Promise<KeyAndCertificate> {
  if (tlsCertFile === "" && tlsPrivateKeyFile === "") return selfSignedServing(["localhost"], ["127.0.0.1"]);
  try {
    return pairInFiles(tlsCertFile, tlsPrivateKeyFile);
  } catch (error) {
    throw new ConfigError(`tls-cert-file, tls-private-key-file: ${(error as Error).message}`);
  }
}
