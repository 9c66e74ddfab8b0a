/**
 * The API server: authentication, authorisation, then for resources decoding, admission, validation and the registry;
 * for other paths discovery, health, metrics. Transports (http/) and in-process clients both end here.
 */
import { internalError, StatusError } from "#shared/api/errors.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { flowSchemas, priorityLevelConfigurations } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { flowControlDump } from "../flow-control/flow-dump.ts";
import { RequestGate, widthOf } from "../flow-control/request-gate.ts";
import { KeyServiceError } from "../store/encryption/key-service-error.ts";
import { OutcomeUnknownError, StoreUnavailableError } from "../store/store.ts";
import { StoreMetrics } from "../store/store-metrics.ts";
import { UnknownEncryptionKeyError } from "../store/value-transformer.ts";
import type { Auditor } from "./audit/auditor.ts";
import type { Authenticator } from "./authn/authenticator.ts";
import { IdentityHeaders } from "./authn/identity-headers.ts";
import { DiscoveryPaths } from "./discovery/discovery-paths.ts";
import { HealthChecks } from "./discovery/health.ts";
import { isLongRunning, ServerMetrics } from "./discovery/metrics.ts";
import { objectFamilies } from "./discovery/object-metrics.ts";
import { assertAllowed, attributesOf, impersonated } from "./http/access.ts";
import { jsonInLines } from "./http/negotiate.ts";
import { InProcessCalls } from "./in-process-calls.ts";
import { valueResponse } from "./registry/answer.ts";
import { CacheReader } from "./registry/cache-reader.ts";
import { isReplaceable, type ResourceDeclaration } from "./registry/declaration.ts";
import { ResourceEndpoint, type SubresourceHandlers } from "./registry/endpoint.ts";
import { EventExpiry, upstreamTimes } from "./registry/event-expiry.ts";
import type { ResourceReader } from "./registry/reader.ts";
import { connectsBy, pageNotFound, pathNotFound } from "./registry/request-target.ts";
import { ResourceTable } from "./registry/resource-table.ts";
import type { ServedResource } from "./registry/served-resource.ts";
import type { Exchange } from "./registry/subresource-handler.ts";
import { PodBinding } from "./registry/subresources/binding.ts";
import { PodEviction } from "./registry/subresources/eviction.ts";
import type { ApiResponse, RequestContext, RequestInfo, User } from "./request.ts";
import type { ApiRequest, ApiServerOptions, Guards } from "./server-parts.ts";
import type { RequestTracer } from "./tracing/request-tracer.ts";
import { CacheHub } from "./watch-cache/cache-hub.ts";
import { forgetRecentViews } from "./watch-cache/entry.ts";

const WORTHWHILE_EVENTS = 256;

export class ApiServer {
  readonly resources: ResourceTable;
  readonly reader: ResourceReader;
  readonly health: HealthChecks;
  readonly auditor: Auditor | undefined;
  readonly tracer: RequestTracer | undefined;
  /** Nobody behind the door sees these of a request. */
  identityHeaders = new IdentityHeaders();
  readonly gate: RequestGate;
  readonly metrics: ServerMetrics;
  readonly #options: ApiServerOptions;
  readonly #hub: CacheHub;
  readonly #discovery: DiscoveryPaths;
  readonly #events: EventExpiry;
  readonly #inProcess: InProcessCalls;
  #guards: Guards | undefined;
  #unfollow: readonly (() => void)[] = [];
  #endpoint: ResourceEndpoint | undefined;

  constructor(given: ApiServerOptions) {
    const storeMetrics = new StoreMetrics((key) => this.resources.ownerOf(key));
    const options = { ...given, store: storeMetrics.measured(given.store) };
    this.#options = options;
    this.gate = new RequestGate(options.seats);
    this.metrics = new ServerMetrics(this.gate, (info) => this.resources.isServed(info));
    this.auditor = options.auditor;
    this.tracer = options.tracer;
    this.#hub = new CacheHub(options.store, options.report ?? console.error);
    this.resources = new ResourceTable(this.#hub);
    this.reader = new CacheReader(this.resources);
    this.#discovery = new DiscoveryPaths(this.resources);
    this.metrics.add(() => objectFamilies(this.resources));
    this.metrics.add(() => storeMetrics.families());
    this.health = new HealthChecks(
      {
        etcd: () => options.store.now(),
        "watch-cache": async () => this.#assertFollowing(),
      },
      options.store.checks,
    );
    const now_ms = options.now_ms ?? Date.now;
    this.#events = new EventExpiry(options.store, this.resources, now_ms, {
      ...upstreamTimes,
      lifetime_ms: options.eventLifetime_ms ?? upstreamTimes.lifetime_ms,
    });
    this.#inProcess = new InProcessCalls({
      resources: this.resources,
      auditor: options.auditor,
      authorizer: () => this.#ready().authorizer,
      handle: (request, user) => this.handle(request, user),
    });
  }

  /** Loads the state, builds the guards and begins to serve in-process clients. Transports are started by the caller. */
  async start(): Promise<void> {
    const { store, declarations, guards } = this.#options;
    for (const declaration of inOrder(declarations)) await this.resources.register(declaration);
    await this.health.steps.tracked("watch caches", () => this.#hub.start())();
    const plain = await guards({
      reader: this.reader,
      resources: this.resources,
      client: (user, userAgent) => this.client(user, userAgent),
    });
    const { access, admission } = this.metrics;
    const built: Guards = {
      ...plain,
      authorizer: access.counted(plain.authorizer),
      admission: admission.counted(plain.admission),
    };
    const parts = {
      store,
      hub: this.#hub,
      admission: built.admission,
      companions: built.companions,
      now_ms: this.#options.now_ms ?? Date.now,
    };
    const internal = { parts, table: this.resources, reader: this.reader };
    const binding = new PodBinding(internal);
    const own = { "": { bindings: binding, "pods/binding": binding, "pods/eviction": new PodEviction(internal) } };
    this.#guards = built;
    this.health.steps.done("guards");
    if (built.identityHeaders) this.identityHeaders = built.identityHeaders;
    this.#discovery.serverAddress = built.serverAddress;
    if (built.remoteVersions) this.#discovery.remoteVersions = built.remoteVersions;
    this.#endpoint = new ResourceEndpoint({
      ...parts,
      handlers: mergeHandlers(own, built.subresources ?? {}),
      shortestWatch_s: this.#options.shortestWatch_s,
      mayAlso: ({ user, info, query }, verb) =>
        assertAllowed(built.authorizer, attributesOf(user, { ...info, verb }, query)),
    });
    for (const declaration of built.declarations ?? []) await this.resources.register(declaration);
    this.#events.start();
    this.#followFlowControl();
    this.health.steps.done("request gate");
    this.health.state = "serving";
  }

  /** The gate goes by what stands in the cluster; before anything does, by what every cluster begins with. */
  #followFlowControl(): void {
    const { reader } = this;
    const configure = (): void => {
      const levels = reader.list(priorityLevelConfigurations);
      if (levels.length > 0) this.gate.configure(levels, reader.list(flowSchemas));
    };
    configure();
    let isDue = false;
    const soon = (): void => {
      if (isDue) return;
      isDue = true;
      setImmediate(() => {
        isDue = false;
        configure();
      });
    };
    this.#unfollow = [reader.onChange(priorityLevelConfigurations, soon), reader.onChange(flowSchemas, soon)];
  }

  /** Seats that a request takes at the gate: more for a list of many objects. */
  widthOf({ isResourceRequest, verb, group, version, resource }: RequestInfo, query: URLSearchParams): number {
    if (!isResourceRequest || verb !== "list") return 1;
    const objects = this.resources.find(group, version, resource)?.stored?.cache.size ?? 0;
    const limit = Number(query.get("limit") ?? "0");
    return widthOf(limit > 0 ? Math.min(limit, objects) : objects);
  }

  register(declaration: ResourceDeclaration): Promise<void> {
    return this.resources.register(declaration);
  }

  unregister(ref: Pick<ResourceRef, "group" | "plural">): void {
    this.resources.unregister(ref);
  }

  hasOwn(ref: Pick<ResourceRef, "group" | "plural">): boolean {
    return this.resources.hasOwn(ref);
  }

  endWatches(ref: Pick<ResourceRef, "group" | "plural">): void {
    this.resources.endWatches(ref);
  }

  /** When nothing happens: gives up what only speeds up a busy server. True where that is worth a collection. */
  forgetOld(): boolean {
    forgetRecentViews();
    return this.#hub.forgetOld() >= WORTHWHILE_EVENTS;
  }

  /** Ends watches and in-process work. The store stays open: it is the caller's. */
  stop(): void {
    this.health.state = "stopping";
    for (const end of this.#unfollow) end();
    this.#events.stop();
    this.#hub.stop();
  }

  #assertFollowing(): void {
    if (this.#hub.failure) throw this.#hub.failure;
  }

  /** Who a request is from. Throws Unauthorized. */
  authenticate(credentials: Parameters<Authenticator["authenticate"]>[0]): Promise<User> {
    return this.metrics.access.authenticating(() => this.#authenticate(credentials));
  }

  async #authenticate(credentials: Parameters<Authenticator["authenticate"]>[0]): Promise<User> {
    const { authenticator } = this.#ready();
    let user: User | undefined;
    try {
      user = await authenticator.authenticate(credentials);
    } catch (error) {
      // What proves who this is may have been written a moment ago, by way of another API server.
      if (!this.#options.store.isShared) throw error;
      await this.#hub.fresh().catch(() => {
        throw error;
      });
      user = await authenticator.authenticate(credentials);
    }
    if (!user) throw new StatusError("Unauthorized", "Unauthorized");
    return user;
  }

  /** A client in this process that acts as `user`, through authorisation and admission as any other. */
  client(user: User, userAgent?: string): Client {
    return this.#inProcess.client(user, userAgent);
  }

  #ready(): Guards {
    if (!this.#guards) throw new StatusError("ServiceUnavailable", "the API server is starting");
    return this.#guards;
  }

  /** Whether a request is passed on to somebody else: by connections to pods, proxies, and to other API servers. */
  #isPassedOn(info: RequestInfo): boolean {
    const resource = info.isResourceRequest && this.resources.find(info.group, info.version, info.resource);
    if (!resource) return this.#guards?.aggregator?.(info) !== undefined;
    const declared = resource.declaration.subresources?.[info.subresource ?? ""];
    return declared?.body !== undefined && connectsBy(declared.body.kind);
  }

  /** Whether a connection may leave HTTP, for a protocol, to what is at a place; elsewhere nobody minds that it would. */
  takesUpgrade(info: RequestInfo, protocol: string): boolean {
    // By HTTP/2 a client would ask whoever is behind for anything, in this server's name: such a request is answered as it is.
    if (/(^|[\s,])(h2c|http\/)/.test(protocol)) return false;
    if (this.#isPassedOn(info)) return true;
    if (!info.isResourceRequest) return this.#guards?.paths?.[info.path] !== undefined;
    return protocol === "websocket" && isLongRunning(info);
  }

  /** As whom a request is made: its user, or the one that it names, if it may. Throws Forbidden. */
  actorOf({ headers, audit }: Pick<ApiRequest, "headers" | "audit">, user: User): User | Promise<User> {
    const acting = impersonated(this.#ready().authorizer, user, headers);
    if (!(acting instanceof Promise)) return acting;
    return acting.then((actor) => {
      if (actor !== user) audit?.impersonated(actor);
      return actor;
    });
  }

  /** Serves a request of a known user: authorisation by its head, then what the path names, which reads the body if it wants it. */
  async handle(request: ApiRequest, user: User, exchange?: Exchange): Promise<ApiResponse | "handled"> {
    const { authorizer } = this.#ready();
    try {
      const behind = wantsNewest(request) ? await this.#hub.fresh() : undefined;
      const auditAnnotations = request.audit?.annotations ?? {};
      const context: RequestContext = { ...request, user, auditAnnotations, behind };
      await assertAllowed(authorizer, attributesOf(user, request.info, request.query), request.audit?.annotations);
      return await this.#route(context, exchange, this.#resourceOf(request));
    } catch (error) {
      throw storeFailure(error) ?? error;
    }
  }

  #resourceOf({ info: { group, version, resource }, isInProcess = false }: ApiRequest): ServedResource | undefined {
    const { resources } = this;
    return isInProcess ? resources.findInProcess(group, version, resource) : resources.find(group, version, resource);
  }

  #route(
    context: RequestContext,
    exchange: Exchange | undefined,
    resource: ServedResource | undefined,
  ): Promise<ApiResponse | "handled"> {
    const { info } = context;
    const guards = this.#ready();
    if (info.path.startsWith("//")) throw pageNotFound();
    if (!info.isResourceRequest) return this.#path(context, exchange, guards);
    const elsewhere = !resource || isReplaceable(resource.declaration) ? guards.aggregator?.(info) : undefined;
    if (elsewhere) return elsewhere(context, exchange);
    if (resource && this.#endpoint) {
      context.span?.workBegins();
      return this.#endpoint.handle(context, resource, exchange);
    }
    throw this.#nothingAt(info.path);
  }

  async #path(
    context: RequestContext,
    exchange: Exchange | undefined,
    guards: Guards,
  ): Promise<ApiResponse | "handled"> {
    const { path } = context.info;
    const exact = guards.paths?.[path];
    if (exact) return exact(context, exchange);
    const prefix = Object.keys(guards.pathPrefixes ?? {})
      .filter((candidate) => path.startsWith(candidate))
      .sort((a, b) => b.length - a.length)[0];
    const prefixed = prefix === undefined ? undefined : guards.pathPrefixes?.[prefix];
    if (prefixed) return prefixed(context, exchange);
    if (path === "/" || path === "/index.html") return valueResponse({ paths: this.#paths(guards) }, 200, jsonInLines);
    const elsewhere = guards.aggregator?.(context.info);
    // Whoever was put in the place of a version that is served here tells what there is of it, as soon as it is registered.
    if (elsewhere && this.#discovery.isReplaceable(path)) return elsewhere(context, exchange);
    const answer =
      this.#discovery.handle(context) ??
      this.health.handle(context) ??
      flowControlDump(context, this.gate) ??
      this.metrics.handle(context);
    if (answer) return answer;
    if (elsewhere) return elsewhere(context, exchange);
    throw this.#nothingAt(path);
  }

  /** What `kubectl get --raw /` lists. */
  #paths({ paths }: Guards): string[] {
    // Where a path leads with a slash behind it too, it is told of once.
    const own = Object.keys(paths ?? {}).filter((path) => !path.endsWith("/"));
    const all = [...this.#discovery.paths(), ...this.health.paths(), ...own, "/openapi/v3/", "/metrics"];
    return [...new Set(all)].sort();
  }

  /** The router of a group that is served answers otherwise than whoever is asked when there is none. */
  #nothingAt(path: string): StatusError {
    const [first, group = ""] = path.slice(1).split("/");
    const isRouted = first === "api" || (first === "apis" && group !== "" && this.#discovery.hasGroup(group));
    return isRouted ? pathNotFound() : pageNotFound();
  }
}

/** Everything but reads of resources that are content with what the caches show. */
function wantsNewest({ info, query }: ApiRequest): boolean {
  if (!info.isResourceRequest) return false;
  const reads = info.verb === "get" || info.verb === "list" || info.verb === "watch";
  return !reads || (query.get("resourceVersion") ?? "") === "";
}

/** How clients are told that the store does not serve. */
function storeFailure(error: unknown): StatusError | undefined {
  if (error instanceof KeyServiceError || error instanceof UnknownEncryptionKeyError)
    return internalError(error.message);
  if (error instanceof StoreUnavailableError) return new StatusError("ServiceUnavailable", error.message);
  if (error instanceof OutcomeUnknownError) {
    return new StatusError("Timeout", `${error.message}. Look at the object before trying again`);
  }
  return undefined;
}

/** What others are stored as comes before them. */
const inOrder = (declarations: readonly ResourceDeclaration[]): ResourceDeclaration[] => [
  ...declarations.filter(({ storedAs }) => !storedAs),
  ...declarations.filter(({ storedAs }) => storedAs),
];

function mergeHandlers(a: SubresourceHandlers, b: SubresourceHandlers): SubresourceHandlers {
  const groups = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...groups].map((group) => [group, { ...a[group], ...b[group] }]));
}
