/**
 * The aggregation layer: passes requests for group versions that an APIService gives to another server on to it, looks
 * whether these servers answer, shows what they serve in discovery and OpenAPI, and keeps the APIServices of what is served here.
 */
import { isConflict, isNotFound, serviceUnavailable } from "#shared/api/errors.ts";
import { equalJson } from "#shared/api/patch/json-value.ts";
import { apiServices, endpointSlices, services } from "#shared/api/resources.ts";
import type { APIService, APIServiceCondition } from "#shared/api/types/apiregistration-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import type { ExternalGroup } from "../discovery/discovery-paths.ts";
import type { ResourceTable } from "../registry/resource-table.ts";
import { rfc3339 } from "../registry/rfc3339.ts";
import type { RequestInfo, User } from "../request.ts";
import type { PathHandler } from "../server.ts";
import { localServices, managedLabel } from "./local-services.ts";
import { passOn } from "./pass-on.ts";
import { groupsOf, type RemoteVersion, versionFrom } from "./remote-discovery.ts";
import { type RemoteParts, requestRemote } from "./remote-service.ts";

export interface AggregatorOptions extends RemoteParts {
  readonly resources: ResourceTable;
  /** The API server's own: of system:masters. */
  readonly client: Client;
  readonly log: Log;
}

const aggregatorUser: User = { name: "system:kube-aggregator", groups: ["system:masters"] };
/** While it answers, and while it does not. */
const CHECK_EVERY_MS = 30_000;
const CHECK_AGAIN_MS = 2_000;
const CHECK_TIMEOUT_MS = 5_000;
const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;
/** Not the name of an APIService: has all local ones looked through. */
const LOCAL = "";

export class Aggregator {
  readonly #options: AggregatorOptions;
  readonly #queue = new WorkQueue({ firstBackOff_ms: 50, longestBackOff_ms: 30_000 });
  readonly #discovered = new Map<string, RemoteVersion>();
  readonly #unlisten: (() => void)[] = [];

  constructor(options: AggregatorOptions) {
    this.#options = options;
  }

  /** Follows APIServices and what they stand on. */
  start(): void {
    const { reader, resources } = this.#options;
    const look = ({ metadata }: APIService): void => this.#queue.add(metadata.name ?? "");
    this.#unlisten.push(
      reader.onChange(apiServices, (service) => {
        look(service);
        if (service.metadata.labels?.[managedLabel]) this.#queue.add(LOCAL);
      }),
      reader.onChange(services, ({ metadata }) => this.#lookAt(metadata.namespace, metadata.name)),
      reader.onChange(endpointSlices, ({ metadata }) =>
        this.#lookAt(metadata.namespace, metadata.labels?.["kubernetes.io/service-name"]),
      ),
      resources.onChange(() => this.#queue.add(LOCAL)),
    );
    this.#queue.add(LOCAL);
    for (const service of reader.list(apiServices)) look(service);
    void this.#work();
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

  async #work(): Promise<void> {
    for (;;) {
      const name = await this.#queue.get();
      if (name === undefined) return;
      try {
        if (name === LOCAL) await this.#keepLocal();
        else await this.#check(name);
        this.#queue.forget(name);
      } catch (error) {
        if (!isConflict(error) && !isNotFound(error)) {
          this.#options.log.warn("an APIService could not be followed", { name, error });
        }
        this.#queue.addRateLimited(name);
      } finally {
        this.#queue.done(name);
      }
    }
  }

  /** One APIService for each group version served here, and none of ours for what is served no more. */
  async #keepLocal(): Promise<void> {
    const { reader, resources, client } = this.#options;
    const wanted = localServices(resources.all());
    for (const [name, service] of wanted) {
      const present = reader.get(apiServices, { name });
      if (!present) await client.create(apiServices, service);
      // Somebody who put another server in the place of this one meant it.
      else if (present.spec.service || !present.metadata.labels?.[managedLabel]) continue;
      else if (equalJson(present.spec, service.spec)) continue;
      else await client.update(apiServices, { ...present, spec: service.spec });
    }
    for (const { metadata } of reader.list(apiServices)) {
      const { name = "", labels } = metadata;
      if (labels?.[managedLabel] === "true" && !wanted.has(name)) await client.delete(apiServices, { name });
    }
  }

  async #check(name: string): Promise<void> {
    const { reader, client } = this.#options;
    const service = reader.get(apiServices, { name });
    if (!service?.spec.service) {
      this.#discovered.delete(name);
      return;
    }
    const condition = await this.#conditionOf(service);
    const conditions = [...(service.status?.conditions ?? []).filter(({ type }) => type !== "Available")];
    const present = service.status?.conditions?.find(({ type }) => type === "Available");
    const isAlike =
      present?.status === condition.status &&
      present.reason === condition.reason &&
      present.message === condition.message;
    this.#queue.addAfter(name, condition.status === "True" ? CHECK_EVERY_MS : CHECK_AGAIN_MS);
    if (isAlike) return;
    const lastTransitionTime = present?.status === condition.status ? present.lastTransitionTime : rfc3339(Date.now());
    const status = {
      ...service.status,
      conditions: [...conditions, { ...condition, lastTransitionTime } as APIServiceCondition],
    };
    await client.update(apiServices, { ...service, status }, { subresource: "status" });
  }

  /** Whether the server behind an APIService can be used, and why not. */
  async #conditionOf(service: APIService): Promise<Omit<APIServiceCondition, "lastTransitionTime">> {
    const missing = this.#missing(service);
    if (missing) return { type: "Available", status: "False", ...missing };
    const { group = "", version = "" } = service.spec;
    const path = `/apis/${group}/${version}`;
    try {
      const document = await this.#document(service, path);
      this.#discovered.set(service.metadata.name ?? "", versionFrom(document, group, version));
      return { type: "Available", status: "True", reason: "Passed", message: "all checks passed" };
    } catch (error) {
      this.#markStale(service.metadata.name ?? "");
      const why = error instanceof Error ? error.message : String(error);
      const { name, namespace, port = 443 } = service.spec.service ?? {};
      const message = `failing or missing response from https://${name}.${namespace}.svc:${port}${path}: ${why}`;
      return { type: "Available", status: "False", reason: "FailedDiscoveryCheck", message };
    }
  }

  #markStale(name: string): void {
    const known = this.#discovered.get(name);
    if (known) this.#discovered.set(name, { ...known, freshness: "Stale" });
  }

  #missing({ spec }: APIService): { reason: string; message: string } | undefined {
    const { reader } = this.#options;
    const { name = "", namespace = "", port = 443 } = spec.service ?? {};
    const shown = `service/${name} in "${namespace}"`;
    const service = reader.get(services, { namespace, name });
    if (!service) return { reason: "ServiceNotFound", message: `${shown} is not present` };
    if ((service.spec?.type ?? "ClusterIP") !== "ClusterIP") return undefined;
    const found = service.spec?.ports?.find((each) => each.port === port);
    if (!found) return { reason: "ServicePortError", message: `${shown} is not listening on port ${port}` };
    const slices = reader
      .list(endpointSlices, namespace)
      .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === name);
    if (slices.length === 0) {
      return { reason: "EndpointsNotFound", message: `cannot find endpointslices for ${shown}` };
    }
    const isActive = slices.some(
      (slice) =>
        (slice.endpoints ?? []).some(({ conditions }) => conditions?.ready !== false) &&
        (slice.ports ?? []).some((each) => (each.name ?? "") === (found.name ?? "") && each.port !== undefined),
    );
    if (isActive) return undefined;
    const message = `endpointslices for ${shown} have no addresses with port name "${found.name ?? ""}"`;
    return { reason: "MissingEndpoints", message };
  }

  async #document(service: APIService, path: string): Promise<unknown> {
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error("timed out")), CHECK_TIMEOUT_MS).unref?.();
    });
    const ask = async (): Promise<unknown> => {
      const headers = ["Accept", "application/json"];
      const answer = await requestRemote(this.#options, service, aggregatorUser, { method: "GET", path, headers });
      if (answer.status < 200 || answer.status > 299) {
        answer.body.destroy();
        throw new Error(`bad status: ${answer.status}`);
      }
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of answer.body) {
        size += (chunk as Buffer).length;
        if (size > MAX_DOCUMENT_BYTES) throw new Error("the answer is too long");
        chunks.push(chunk as Buffer);
      }
      return JSON.parse(Buffer.concat(chunks).toString());
    };
    return Promise.race([ask(), late]);
  }

  /** Groups of other servers, for discovery: of those that have answered once. */
  externalGroups(): readonly ExternalGroup[] {
    const own = new Set([...this.#options.resources.all()].map(({ gvk }) => gvk.group));
    const found = this.#remotes().flatMap(({ metadata, spec }) => {
      const version = this.#discovered.get(metadata.name ?? "");
      const { group = "", groupPriorityMinimum: groupPriority, versionPriority } = spec;
      return version && !own.has(group) ? [{ group, groupPriority, versionPriority, version }] : [];
    });
    return groupsOf(found);
  }

  /** OpenAPI v3 documents of other servers by name (`apis/metrics.k8s.io/v1beta1`). */
  openApiDocuments(): readonly string[] {
    return this.#remotes()
      .filter(({ metadata }) => this.#discovered.has(metadata.name ?? ""))
      .map(({ spec }) => `apis/${spec.group}/${spec.version}`);
  }

  /** The handler for requests that are another server's. undefined: not one of those. */
  handlerFor(info: RequestInfo): PathHandler | undefined {
    const [first, second = "", third = "", fourth = "", fifth = ""] = info.path
      .split("/")
      .filter((part) => part !== "");
    const [group, version] =
      first === "openapi" && second === "v3" && third === "apis"
        ? [fourth, fifth]
        : first === "apis"
          ? [second, third]
          : ["", ""];
    if (group === "" || version === "") return undefined;
    const service = this.#options.reader.get(apiServices, { name: `${version}.${group}` });
    if (!service?.spec.service) return undefined;
    return (context, exchange) => {
      const available = service.status?.conditions?.find(({ type }) => type === "Available");
      if (available?.status !== "True") throw serviceUnavailable("service unavailable");
      return passOn(this.#options, service, context, exchange);
    };
  }
}
