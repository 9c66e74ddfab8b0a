/**
 * The aggregation layer: passes requests for group versions that an APIService gives to another server on to it, looks
 * whether these servers answer, shows what they serve in discovery and OpenAPI, and keeps the APIServices of what is served here.
 */
import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { equalJson } from "#shared/api/patch/json-value.ts";
import { apiServices, endpointSlices, services } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { APIService, APIServiceCondition } from "#shared/api/types/apiregistration-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { type KeyOutcome, runQueueWorker } from "#shared/client/queue-worker.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";
import type { RemoteGroupVersion } from "../discovery/remote-version.ts";
import type { StartSteps } from "../discovery/start-steps.ts";
import { isReplaceable } from "../registry/declaration.ts";
import type { ResourceTable } from "../registry/resource-table.ts";
import type { RequestInfo } from "../request.ts";
import type { PathHandler } from "../server-parts.ts";
import { type Availability, availabilityOf } from "./availability.ts";
import { localServices, managedLabel } from "./local-services.ts";
import { passOn, unavailable } from "./pass-on.ts";
import { discoveryOf, type Told } from "./remote-discovery.ts";
import { RemoteOpenApi } from "./remote-openapi.ts";
import type { RemoteParts } from "./remote-service.ts";

export interface AggregatorOptions extends RemoteParts {
  readonly resources: ResourceTable;
  /** The API server's own: of system:masters. */
  readonly client: Client;
  readonly log: Log;
}

interface ToldOnce extends Told {
  /** The specification of the APIService that was asked by. */
  readonly registered: string;
  readonly at_ms: number;
}

/** One that hangs does not keep the others waiting. */
const WORKERS = 5;
/** While it answers. */
const CHECK_EVERY_MS = 30_000;
const DISCOVER_EVERY_MS = 60_000;
/** Not the name of an APIService: has all local ones looked through. */
const LOCAL = "";

export class Aggregator {
  readonly #options: AggregatorOptions;
  readonly #queue = new WorkQueue({
    name: "RemoteAvailabilityController",
    firstBackOff_ms: 50,
    longestBackOff_ms: 30_000,
  });
  readonly #told = new Map<string, ToldOnce>();
  readonly #unavailable = new CounterTable({
    name: "aggregator_unavailable_apiservice_total",
    help: "How often an APIService that was available was not any more.",
    labels: ["name", "reason"],
  });
  readonly #unlisten: (() => void)[] = [];
  #keepLocal = () => this.#ensureLocal();
  readonly openApi: RemoteOpenApi;

  constructor(options: AggregatorOptions) {
    this.#options = options;
    this.openApi = new RemoteOpenApi(options, () => this.#remotes(), options.log);
  }

  /** Follows APIServices and what they stand on. */
  start(steps: StartSteps): void {
    const { reader, resources } = this.#options;
    this.#keepLocal = steps.tracked("own APIServices", () => this.#ensureLocal());
    const look = ({ metadata }: APIService): void => this.#queue.add(metadata.name ?? "");
    this.#unlisten.push(
      reader.onChange(apiServices, (service) => {
        look(service);
        const { name = "", labels } = service.metadata;
        // One that is gone leaves its place to ours, whoever's it was.
        if (labels?.[managedLabel] || !reader.get(apiServices, { name })) this.#queue.add(LOCAL);
      }),
      reader.onChange(services, ({ metadata }) => this.#lookAt(metadata.namespace, metadata.name)),
      reader.onChange(endpointSlices, ({ metadata }) =>
        this.#lookAt(metadata.namespace, metadata.labels?.["kubernetes.io/service-name"]),
      ),
      resources.onChange(() => this.#queue.add(LOCAL)),
    );
    this.#queue.add(LOCAL);
    for (const service of reader.list(apiServices)) look(service);
    for (let worker = 0; worker < WORKERS; worker++) void this.#work();
    steps.done("aggregation");
  }

  stop(): void {
    for (const unlisten of this.#unlisten) unlisten();
    this.#queue.shutDown();
  }

  #remotes(): readonly APIService[] {
    return this.#options.reader.list(apiServices).filter(({ spec }) => spec.service !== undefined);
  }

  #lookAt(namespace: string | undefined, name: string | undefined): void {
    for (const { metadata, spec } of this.#remotes()) {
      if (spec.service?.namespace === namespace && spec.service?.name === name) this.#queue.add(metadata.name ?? "");
    }
  }

  #work(): Promise<void> {
    const look = async (name: string): Promise<KeyOutcome> => {
      if (name === LOCAL) await this.#keepLocal();
      // What is wrong may be mended where nobody tells of it; the longer it lasts, the more seldom this is looked for.
      else if (!(await this.#check(name))) return "not yet";
      return undefined;
    };
    return runQueueWorker(this.#queue, look, (name, error) => {
      if (!isConflict(error) && !isNotFound(error))
        this.#options.log.warn("an APIService could not be followed", { name, error });
    });
  }

  /** One APIService for each group version served here, and none of ours for what is served no more. */
  async #ensureLocal(): Promise<void> {
    const { reader, resources, client } = this.#options;
    const wanted = localServices(resources.all());
    const failures: unknown[] = [];
    // One that is refused keeps no other from its place.
    const each = async (write: Promise<unknown>): Promise<void> => {
      await write.catch((error: unknown) => failures.push(error));
    };
    for (const [name, service] of wanted) {
      const present = reader.get(apiServices, { name });
      if (!present) await each(client.create(apiServices, service));
      // Somebody who put another server in the place of this one meant it.
      else if (present.spec.service || !present.metadata.labels?.[managedLabel]) continue;
      else if (equalJson(present.spec, service.spec)) continue;
      else await each(client.update(apiServices, { ...present, spec: service.spec }));
    }
    for (const { metadata } of reader.list(apiServices)) {
      const { name = "", labels } = metadata;
      if (labels?.[managedLabel] === "true" && !wanted.has(name)) await each(client.delete(apiServices, { name }));
    }
    if (failures.length > 0) throw failures[0];
  }

  /** False where the server is not available. */
  async #check(name: string): Promise<boolean> {
    const { reader } = this.#options;
    const service = reader.get(apiServices, { name });
    if (!service?.spec.service) {
      this.#told.delete(name);
      return true;
    }
    const availability = await availabilityOf(this.#options, service);
    const isAvailable = availability.status === "True";
    if (isAvailable) this.#queue.addAfter(name, CHECK_EVERY_MS);
    await this.#setCondition(service, availability);
    await this.#discover(name, service, isAvailable);
    return isAvailable;
  }

  async #setCondition(service: APIService, condition: Availability): Promise<void> {
    const conditions = [...(service.status?.conditions ?? []).filter(({ type }) => type !== "Available")];
    const present = service.status?.conditions?.find(({ type }) => type === "Available");
    const isAlike =
      present?.status === condition.status &&
      present.reason === condition.reason &&
      present.message === condition.message;
    if (isAlike) return;
    const lastTransitionTime = present?.status === condition.status ? present.lastTransitionTime : rfc3339(Date.now());
    const status = {
      ...service.status,
      conditions: [...conditions, { ...condition, lastTransitionTime } as APIServiceCondition],
    };
    await this.#options.client.update(apiServices, { ...service, status }, { subresource: "status" });
    if (condition.status !== "True" && present?.status === "True")
      this.#unavailable.add([service.metadata.name ?? "", condition.reason ?? ""]);
  }

  /** Asks a server what it serves: after a change of its registration, while it is not available or could not be read, and now
   *  and then. As upstream, also one that is not available: it may tell of itself all the same. */
  async #discover(name: string, service: APIService, isAvailable: boolean): Promise<void> {
    const before = this.#told.get(name);
    const now_ms = performance.now();
    const registered = JSON.stringify(service.spec);
    const isFresh =
      before?.registered === registered &&
      before.version.freshness === "Current" &&
      now_ms - before.at_ms < DISCOVER_EVERY_MS;
    if (isAvailable && isFresh) return;
    const stale: Told = { version: { version: service.spec.version ?? "", freshness: "Stale" } };
    const known = before?.registered === registered && before.version.freshness === "Current" ? before : undefined;
    const told = await discoveryOf(this.#options, service, known).catch((error: unknown) => {
      // That it is not available is in its condition.
      if (isAvailable) this.#options.log.info("what an aggregated server serves could not be read", { name, error });
      return stale;
    });
    // It may be gone, or another's, by now.
    if (equalJson(this.#options.reader.get(apiServices, { name })?.spec, service.spec))
      this.#told.set(name, { ...told, registered, at_ms: now_ms });
  }

  /** Registered versions of other servers; of one that is not available it is known that there is one. */
  remoteVersions(): readonly RemoteGroupVersion[] {
    const { resources } = this.#options;
    const isOwn = new Set(
      [...resources.all()]
        .filter(({ declaration }) => !isReplaceable(declaration))
        .map(({ gvk }) => `${gvk.version}.${gvk.group}`),
    );
    return this.#remotes().flatMap(({ metadata, spec }) => {
      const name = metadata.name ?? "";
      const shown = this.#told.get(name)?.version;
      const { group = "", groupPriorityMinimum: groupPriority, versionPriority } = spec;
      return shown && !isOwn.has(name) ? [{ group, groupPriority, versionPriority, shown }] : [];
    });
  }

  /** Which registered servers are not available, under upstream's names. */
  families(): Family[] {
    const samples = this.#options.reader.list(apiServices).map(({ metadata, spec, status }) => {
      const isAvailable =
        !spec.service || status?.conditions?.some((each) => each.type === "Available" && each.status === "True");
      return { labels: { name: metadata.name ?? "" }, value: isAvailable ? 0 : 1 };
    });
    const help = "1 while an APIService is not available.";
    return [{ name: "aggregator_unavailable_apiservice", type: "gauge", help, samples }, this.#unavailable.family()];
  }

  /** Group versions that are served here too, in whose place another server is registered. */
  replaced(): readonly { readonly group: string; readonly version: string }[] {
    const replaceable = [...this.#options.resources.all()].filter(({ declaration }) => isReplaceable(declaration));
    const names = new Set(replaceable.map(({ gvk }) => `${gvk.version}.${gvk.group}`));
    return this.#remotes()
      .filter(({ metadata }) => names.has(metadata.name ?? ""))
      .map(({ spec }) => ({ group: spec.group ?? "", version: spec.version ?? "" }));
  }

  /** The handler for requests that are another server's. undefined: not one of those. */
  handlerFor(info: RequestInfo): PathHandler | undefined {
    const [first, group = "", version = ""] = info.path.split("/").filter((part) => part !== "");
    if (first !== "apis" || group === "" || version === "") return undefined;
    const service = this.#options.reader.get(apiServices, { name: `${version}.${group}` });
    if (!service?.spec.service) return undefined;
    return (context, exchange) => {
      const available = service.status?.conditions?.find(({ type }) => type === "Available");
      if (available?.status !== "True") throw unavailable();
      return passOn(this.#options, service, context, exchange);
    };
  }
}
