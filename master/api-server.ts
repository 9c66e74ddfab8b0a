import { hostname } from "node:os";
import { forbidden, StatusError } from "#shared/api/errors.ts";
import type { Log } from "#shared/client/log.ts";
import type { GivenCredentials } from "#shared/config/given-credentials.ts";
import { readNamedFile } from "#shared/config/named-file.ts";
import { parseNetworks } from "#shared/config/networks.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { hostPort } from "#shared/http/host-port.ts";
import { watchConnection } from "#shared/net/connection-watch.ts";
import { tunnelLimits, tunnelPath } from "#shared/tunnel/tunnel.ts";
import { readAdmissionConfiguration } from "./apiserver/admission/admission-configuration.ts";
import { pluginChoiceOf } from "./apiserver/admission/plugin-choice.ts";
import { auditorOf } from "./apiserver/audit/auditor.ts";
import { anonymousAccess } from "./apiserver/authn/anonymous.ts";
import type { ConfiguredAuthentication } from "./apiserver/authn/authentication-configuration.ts";
import { fileTokensOf } from "./apiserver/authn/file-tokens.ts";
import {
  type FollowedFrontProxyTrust,
  type FrontProxyTrust,
  frontProxyTrustOf,
} from "./apiserver/authn/front-proxy-trust.ts";
import { OidcTokens, oidcSettingsOf } from "./apiserver/authn/oidc-token.ts";
import { issuerOf, type ServiceAccountIssuer } from "./apiserver/authn/service-account-issuer.ts";
import { tokenLifetimesOf } from "./apiserver/authn/token-request.ts";
import { webhookTokensOf } from "./apiserver/authn/webhook-token.ts";
import { authorizationOf } from "./apiserver/authz/authorization.ts";
import { BoardDialer } from "./apiserver/connect/board-dialer.ts";
import { connectHandlers } from "./apiserver/connect/handlers.ts";
import { KubeletCalls } from "./apiserver/connect/kubelet-calls.ts";
import { Extensions } from "./apiserver/extensions/extensions.ts";
import { requestRulesOf } from "./apiserver/http/request-rules.ts";
import { type TlsRules, tlsRulesOf } from "./apiserver/http/tls-rules.ts";
import { HttpsTransport, type TransportCertificates } from "./apiserver/http/transport.ts";
import { openApiPaths } from "./apiserver/openapi-paths.ts";
import type { ResourceReader } from "./apiserver/registry/reader.ts";
import { type Companions, companionsOf } from "./apiserver/resources/companions.ts";
import { type ComponentCheck, computedComponentStatus } from "./apiserver/resources/core/component-status.ts";
import { capabilities } from "./apiserver/resources/core/pod/capabilities.ts";
import { type ServedVersions, servedDeclarations, servedVersions } from "./apiserver/resources/runtime-config.ts";
import { ServiceAllocation } from "./apiserver/resources/service-allocation.ts";
import { StoredReservations } from "./apiserver/resources/shared-reservations.ts";
import { createSecurity, type Security } from "./apiserver/security.ts";
import { ApiServer } from "./apiserver/server.ts";
import type { Guards, PathAnswer, PathHandler, ServerParts } from "./apiserver/server-parts.ts";
import type { Tracing } from "./apiserver/tracing/tracing.ts";
import { dashboardPaths } from "./dashboard/dashboard-paths.ts";
import { apiServerUser, nodeUser } from "./identities.ts";
import { BoardClaims } from "./join/board-claims.ts";
import { clusterSettings } from "./join/cluster-settings.ts";
import { controlPlanePaths } from "./join/control-plane.ts";
import { distPaths } from "./join/dist-paths.ts";
import { encryptionKeyPaths } from "./join/encryption-key-path.ts";
import { joinPaths } from "./join/join-paths.ts";
import { nodeNameFrom } from "./join/node-name.ts";
import { renewalPaths } from "./join/renewal-path.ts";
import { serverIdentity } from "./kubernetes-endpoints.ts";
import { metricsDeclarations } from "./metrics/metrics.ts";
import { listenAddress, parsePortRange } from "./networks.ts";
import { followFiles } from "./pki/follow-files.ts";
import type { MasterKeys } from "./pki/master-keys.ts";
import type { MasterPki } from "./pki/master-pki.ts";
import type { Store } from "./store/store.ts";

export interface ApiServerSetup {
  readonly settings: MasterSettings & Partial<GivenCredentials>;
  readonly store: Store;
  readonly keys: MasterKeys;
  /** Where this master is reached, at the moment. */
  readonly address: () => string;
  /** What `kubectl get componentstatuses` asks; may grow while the server runs. */
  readonly components: ReadonlyMap<string, ComponentCheck>;
  readonly log: Log;
}

export interface RunningApiServer {
  readonly server: ApiServer;
  readonly dialer: BoardDialer;
  readonly issuer: ServiceAccountIssuer;
  readonly frontProxies: FollowedFrontProxyTrust;
  /** Begins to listen, and gives the port: in-process clients were served before. */
  open(): Promise<number>;
  stop(): Promise<void>;
}

/** Puts the API server together: registry, guards, ways to boards and pods, HTTPS. */
export async function startApiServer(setup: ApiServerSetup): Promise<RunningApiServer> {
  const { settings, store, keys, log } = setup;
  capabilities.allowsPrivileged = settings.allowPrivileged;
  let reader: ResourceReader | undefined;
  const dialer = new BoardDialer(
    log.named("tunnel"),
    undefined,
    kubeletCallsOf(setup, () => reader),
  );
  const access = await accessOf(setup);
  const { issuer, frontProxies } = access;
  const auditor = auditorOf(settings, log.named("audit"));
  const tracing = await tracingIn(setup);
  let built: GuardParts | undefined;
  const served = servedVersions(settings.runtimeConfig);
  const report = (message: string): void => log.named("apiserver").error(message);
  const server = new ApiServer({
    store,
    auditor,
    tracer: tracing?.requests,
    report,
    declarations: servedDeclarations(served),
    eventLifetime_ms: settings.eventTtl,
    shortestWatch_s: settings.minRequestTimeout,
    seats: seatsOf(settings),
    guards: (parts) => {
      reader = parts.reader;
      built = guardPartsOf(setup, access, dialer, parts);
      return guardsOf(setup, { ...built, served }, dialer, parts);
    },
  });
  await server.start();
  await built?.extensions.start(server, server.health.steps);
  server.metrics.add(() => built?.extensions.aggregator.families() ?? []);
  server.metrics.add(() => built?.companions.families() ?? []);
  const tls = tlsRulesOf(settings);
  const transport = new HttpsTransport(server, {
    host: listenAddress(settings),
    port: settings.httpsPort,
    rules: requestRulesOf(settings),
    tls,
    ...transportCertificates(keys.current, frontProxies),
    log: report,
  });
  const useCertificates = (): void => transport.useCertificates(transportCertificates(keys.current, frontProxies));
  keys.onChange((pki) => {
    issuer.use(pki.authorities.serviceAccountKeys);
    useCertificates();
  });
  frontProxies.onChange(useCertificates);
  const unfollow = followNamed(tls, useCertificates, log);
  return {
    server,
    dialer,
    issuer,
    frontProxies,
    open: () => transport.listen(),
    async stop() {
      // Balancers see meanwhile that it is not ready any more.
      server.health.state = "stopping";
      if (settings.shutdownDelayDuration > 0) await Bun.sleep(settings.shutdownDelayDuration);
      server.stop();
      dialer.close();
      await transport.stop();
      await auditor?.stop();
      await tracing?.stop();
      built?.extensions.stop();
      built?.security.stop();
      access.configured?.stop();
      frontProxies.stop();
      unfollow();
    },
  };
}

/** Loaded where it is asked for. */
async function tracingIn({ settings, address, log }: ApiServerSetup): Promise<Tracing | undefined> {
  if (settings.tracingConfigFile === "") return undefined;
  const { tracingOf } = await import("./apiserver/tracing/tracing.ts");
  return tracingOf(settings.tracingConfigFile, serverIdentity(address()), log.named("tracing"));
}

/** Certificates for names come from elsewhere: renewed ones are used as soon as they are there. Gives what ends it. */
function followNamed({ namedFiles }: TlsRules, use: () => void, log: Log): () => void {
  const look = (): void => {
    try {
      use();
    } catch (error) {
      log.error("certificates for names stay as they were", { error });
    }
  };
  return followFiles(namedFiles, look, log);
}

/** Undefined where the settings do not say what is shown to kubelets. */
function kubeletCallsOf({ settings, keys }: ApiServerSetup, reader: () => ResourceReader | undefined) {
  const { kubeletClientCertificate, kubeletCertificateAuthority, kubeletPreferredAddressTypes = [] } = settings;
  if (!kubeletClientCertificate) return undefined;
  const authorities = (path: string): string => readNamedFile("kubelet-certificate-authority", path);
  // What is missing is said before anything runs.
  if (kubeletCertificateAuthority) authorities(kubeletCertificateAuthority);
  return new KubeletCalls({
    reader: () => {
      const found = reader();
      if (!found) throw new StatusError("ServiceUnavailable", "the API server is starting");
      return found;
    },
    credentials: () => {
      const { certificatePem: cert, keyPem: key } = keys.current.certificates.kubeletClient;
      return { cert, key };
    },
    authorities: kubeletCertificateAuthority ? () => authorities(kubeletCertificateAuthority) : undefined,
    addressTypes: kubeletPreferredAddressTypes,
  });
}

type Access = Awaited<ReturnType<typeof accessOf>>;

/** By what it is known who asks and what they may do, as the settings have it. */
async function accessOf({ settings, keys, log }: ApiServerSetup) {
  const authentication = log.named("authentication");
  const issuer = issuerOf(settings, keys.current.authorities.serviceAccountKeys);
  const oidc = oidcSettingsOf(settings);
  const configured = await configuredAuthentication(settings, issuer.issuer, log);
  const webhookTokens = webhookTokensOf(settings, issuer.apiAudiences, authentication);
  return {
    issuer,
    configured,
    admissionPlugins: {
      choice: pluginChoiceOf(settings),
      configurations: readAdmissionConfiguration(settings.admissionControlConfigFile),
    },
    /** Beside those of service accounts and of joining boards. */
    moreTokens: [fileTokensOf(settings), oidc && new OidcTokens(oidc), configured, webhookTokens].filter(
      (each) => each !== undefined,
    ),
    authorization: await authorizationOf(settings, log.named("authorization")),
    frontProxies: frontProxyTrustOf({
      settings,
      own: {
        clients: () => keys.current.door.ca,
        frontProxies: () => keys.current.authorities.frontProxyTrusted,
      },
      log: authentication,
    }),
  };
}

const externalAddressOf = ({ address, settings }: ApiServerSetup): string =>
  hostPort(settings.externalHostname || address(), settings.httpsPort);

/** As many at a time as upstream's two bounds allow together. Throws ConfigError; undefined where neither is given. */
function seatsOf({ maxRequestsInflight, maxMutatingRequestsInflight }: MasterSettings): number | undefined {
  if (maxRequestsInflight === undefined && maxMutatingRequestsInflight === undefined) return undefined;
  const seats = (maxRequestsInflight ?? 400) + (maxMutatingRequestsInflight ?? 200);
  if (seats > 0) return seats;
  throw new ConfigError("max-requests-inflight and max-mutating-requests-inflight cannot both be 0");
}

interface GuardParts {
  readonly security: Security;
  readonly extensions: Extensions;
  readonly companions: Companions;
}

/** Who is let in, and what people add to the API: each asks the other. */
function guardPartsOf(
  setup: ApiServerSetup,
  access: Access,
  dialer: BoardDialer,
  { reader, resources, client }: ServerParts,
): GuardParts {
  const { settings, store, keys, log } = setup;
  const { issuer, configured, moreTokens, authorization, frontProxies } = access;
  const allocation = new ServiceAllocation({
    reader,
    serviceRanges: parseNetworks("service-cidr", settings.serviceCidr),
    nodePorts: parsePortRange(settings.serviceNodePortRange),
    shared: store.isShared ? new StoredReservations(store) : undefined,
  });
  const extensions = new Extensions({
    reader,
    resources,
    authorizer: { authorize: (attributes) => security.authorizer.authorize(attributes) },
    dialer,
    client: client(apiServerUser),
    log: log.named("extensions"),
    frontProxy: () => keys.current.certificates.frontProxyClient,
    webhookLogins: access.admissionPlugins.configurations.webhookLogins,
  });
  const security = createSecurity({
    reader,
    issuer,
    moreTokens,
    authorization,
    frontProxies,
    allowsAnonymous: anonymousAccess(settings, configured, log.named("authentication")),
    takesBootstrapTokens: settings.enableBootstrapTokenAuth,
    tokenLifetimes: tokenLifetimesOf(settings),
    client: () => client(apiServerUser),
    externalAddress: () => externalAddressOf(setup),
    tolerationSeconds: {
      notReady_s: settings.defaultNotReadyTolerationSeconds ?? settings.defaultTolerationSeconds,
      unreachable_s: settings.defaultUnreachableTolerationSeconds ?? settings.defaultTolerationSeconds,
    },
    resources,
    admissionPlugins: access.admissionPlugins,
    admissionExtensions: [allocation, ...extensions.admission],
  });
  const registry = log.named("registry");
  const companions = companionsOf({
    reader,
    client: client(apiServerUser),
    report: (message, error) => registry.error(message, { error }),
  });
  return { security, extensions, companions };
}

/** What stands before the registry, and what is served beside it. */
function guardsOf(
  setup: ApiServerSetup,
  { security, companions, served, extensions: { aggregator } }: GuardParts & { readonly served: ServedVersions },
  dialer: BoardDialer,
  { reader, resources, client }: ServerParts,
): Guards {
  const { settings, log } = setup;
  const openApi = openApiPaths(resources, aggregator);
  const dist = distPaths(settings.dist);
  const dashboard = settings.disable.includes("dashboard") ? undefined : dashboardPaths();
  return {
    ...security,
    companions: companions.all,
    declarations: [
      ...served.of([...security.declarations, computedComponentStatus(setup.components)]),
      ...metricsDeclarations({
        dialer,
        reader,
        log: log.named("metrics"),
        metricsApi: settings.disable.includes("metrics-server") ? "left-out" : "served",
      }),
    ],
    subresources: {
      ...security.subresources,
      "": { ...security.subresources[""], ...connectHandlers({ dialer, reader }) },
    },
    paths: {
      ...security.paths,
      ...membershipPaths(setup, client),
      ...openApi.exact,
      ...dist.exact,
      ...dashboard?.exact,
      [tunnelPath]: tunnelHandler(dialer),
    },
    pathPrefixes: { ...openApi.prefixes, ...dist.prefixes, ...dashboard?.prefixes },
    aggregator: (info) => aggregator.handlerFor(info),
    remoteVersions: () => aggregator.remoteVersions(),
    serverAddress: () => externalAddressOf(setup),
  };
}

/** Where boards and masters join, come again and get keys. */
function membershipPaths(
  { settings, keys, log }: ApiServerSetup,
  client: ServerParts["client"],
): Record<string, PathAnswer> {
  const own = client(apiServerUser);
  const isBoard = !settings.noAgent || settings.asPods;
  const claims = new BoardClaims(own, isBoard ? [] : [nodeNameFrom(hostname())]);
  return {
    ...joinPaths({ trusted: () => keys.current.authorities.trusted, claims, settings: clusterSettings(settings) }),
    ...controlPlanePaths(settings),
    ...encryptionKeyPaths(settings.dataDir, log.named("store")),
    ...renewalPaths({
      authorities: () => keys.current.authorities.trusted + keys.current.authorities.former,
      claims,
      client: own,
      clientOfNode: (name) => client(nodeUser(name)),
      log: log.named("join"),
    }),
  };
}

/** With its CEL, which few need. */
async function configuredAuthentication(
  settings: MasterSettings,
  ownIssuer: string,
  log: Log,
): Promise<ConfiguredAuthentication | undefined> {
  const { authenticationConfig, oidcIssuerUrl } = settings;
  if (authenticationConfig === "") return undefined;
  if (oidcIssuerUrl !== "") throw new ConfigError("authentication-config: the oidc-… flags cannot be given beside it");
  const { ConfiguredAuthentication } = await import("./apiserver/authn/authentication-configuration.ts");
  return new ConfiguredAuthentication(authenticationConfig, ownIssuer, log.named("authentication"));
}

function transportCertificates(pki: MasterPki, frontProxies: FrontProxyTrust): TransportCertificates {
  const { ca, cert, key } = pki.door;
  return { certificate: cert, key, authorities: { clients: ca, frontProxies: frontProxies.authorities() } };
}

function tunnelHandler(dialer: BoardDialer): PathHandler {
  return async ({ user }, exchange) => {
    if (exchange?.kind === "upgrade" && dialer.accept(user, exchange.socket, exchange.head)) {
      // Whoever waits for a board that has lost its power gets an error.
      watchConnection(exchange.request.socket, tunnelLimits);
      return "handled";
    }
    throw forbidden({ group: "", plural: "nodes" }, "", "only boards open tunnels, with their node certificate");
  };
}
