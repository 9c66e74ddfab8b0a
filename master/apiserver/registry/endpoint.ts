/** Serves every verb of every resource: from a request that may be made to an answer. Nothing here knows a kind. */
import { badRequest, isNotFound, notFound, StatusError } from "#shared/api/errors.ts";
import { managerOfRequest, updateManagedFields } from "#shared/api/managed-fields/index.ts";
import { apiVersionOf, type GroupVersionKind, type KubeObject } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import { type Accepted, negotiate, negotiateFor, noFormAccepted } from "../http/negotiate.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import type { Entry } from "../watch-cache/entry.ts";
import type { ResourceCache } from "../watch-cache/resource-cache.ts";
import { listResponse, objectResponse, valueResponse, watchResponse } from "./answer.ts";
import { computedObjects } from "./computed.ts";
import { create } from "./create.ts";
import type { SubresourceDeclaration } from "./declaration.ts";
import { decodeObject } from "./decode-body.ts";
import { listEntries, listParameters, revisionOf } from "./list.ts";
import { checkPatchOptions, decodePatch, patchObject } from "./patch.ts";
import { remove, warnOfPropagation } from "./remove.ts";
import {
  checkPathSegment,
  checkScope,
  connectsBy,
  matchNamespace,
  nameOf,
  namespaceOf,
  notServed,
  pageNotFound,
  pathNotFound,
  selectorsOf,
  storedOf,
} from "./request-target.ts";
import { scaleColumns, scaled, scaleOf } from "./scale.ts";
import { parseSelection } from "./selection.ts";
import type { ServedResource } from "./served-resource.ts";
import type { Exchange, SubresourceHandler } from "./subresource-handler.ts";
import { type PartialUpdate, update } from "./update.ts";
import { BookmarkTicker, watchEntries, watchParameters } from "./watch.ts";
import { deleteOptions, type WriteOptions, writeOptions } from "./write-options.ts";
import { addressedKey, judge, mutate, timestamp, type WriteParts, type WriteScope } from "./write-scope.ts";

/** Handlers by group, then by `plural/subresource`; by the plural alone where a create is no object to be stored. */
export type SubresourceHandlers = Readonly<Record<string, Readonly<Record<string, SubresourceHandler>>>>;

export interface EndpointParts extends WriteParts {
  readonly handlers: SubresourceHandlers;
  /** Whether this user may do another thing with the object of the request: create it by PUT or apply. Throws Forbidden. */
  mayAlso(context: RequestContext, verb: string): Promise<void>;
}

/** Deletes of a collection that run at once. */
const DELETES_AT_ONCE = 50;

interface Request {
  readonly context: RequestContext;
  readonly resource: ServedResource;
  readonly accepted: Accepted;
}

export class ResourceEndpoint {
  readonly #parts: EndpointParts;
  readonly #ticker = new BookmarkTicker();

  constructor(parts: EndpointParts) {
    this.#parts = parts;
  }

  async handle(
    context: RequestContext,
    resource: ServedResource,
    exchange: Exchange | undefined,
  ): Promise<ApiResponse | "handled"> {
    checkScope(context.info, resource);
    // Upstream's router knows HEAD for what it passes on, and for nothing else.
    if (context.method === "HEAD" && context.info.subresource !== "proxy") throw notServed();
    const { deprecationWarning } = resource;
    if (deprecationWarning) context.warnings.push(deprecationWarning);
    try {
      return await this.#serve(context, resource, exchange);
    } catch (error) {
      // What nobody serves is no use of a deprecated version.
      if (deprecationWarning && error instanceof StatusError && isUnserved(error)) context.warnings.shift();
      throw error;
    }
  }

  async #serve(
    context: RequestContext,
    resource: ServedResource,
    exchange: Exchange | undefined,
  ): Promise<ApiResponse | "handled"> {
    const { info } = context;
    if (info.subresource !== undefined) return this.#subresource(context, resource, info.subresource, exchange);
    const request = { context, resource, accepted: acceptedFor(context, resource) };
    const allowed = resource.declaration.verbs;
    if (allowed && !allowed.includes(info.verb)) throw notServed();
    switch (info.verb) {
      case "get":
        return this.#get(request);
      case "list":
        return this.#list(request);
      case "watch":
        return this.#watch(request);
      case "create":
        return this.#create(request, this.#parts.handlers[info.group]?.[info.resource]);
      case "update":
        return this.#put(request);
      case "patch":
        return this.#patch(request);
      case "delete":
        return this.#delete(request);
      case "deletecollection":
        return this.#deleteCollection(request);
      default:
        throw notServed();
    }
  }

  async #get({ context, resource, accepted }: Request): Promise<ApiResponse> {
    if (resource.declaration.computed) {
      const { name = "" } = context.info;
      const namespace = namespaceOf(context, resource);
      const objects = await computedObjects(resource, { namespace, name });
      const object = objects.find(({ key }) => key === (namespace ? `${namespace}/${name}` : name));
      if (!object) throw notFound(resource.name, name);
      return objectResponse(context, accepted, resource, object);
    }
    const asked = context.query.get("resourceVersion") ?? "";
    // Upstream reads events past its cache, and its store finds the fault.
    if (resource.storedDeclaration.storage === "batched" && asked !== "" && !/^\d+$/.test(asked)) {
      const why = `resourceVersion: Invalid value: ${goQuote(asked)}: strconv.ParseUint: parsing ${goQuote(asked)}`;
      throw badRequest(`invalid resource version: ${why}: invalid syntax`);
    }
    if (asked !== "" && asked !== "0") await this.#parts.hub.waitForClient(revisionOf(asked));
    const entry = await this.#entry(context, resource);
    await resource.ready([entry]);
    return objectResponse(context, accepted, resource, resource.serve(entry));
  }

  async #entry({ info, behind }: RequestContext, resource: ServedResource): Promise<Entry> {
    const { namespaced } = resource.declaration.ref;
    const name = info.name ?? "";
    checkPathSegment(name);
    const key = namespaced ? `${info.namespace ?? ""}/${name}` : name;
    const cache = resource.stored?.cache;
    const entry = behind === undefined ? cache?.get(key) : await this.#storedEntry(cache, key);
    if (!entry) throw notFound(resource.name, name);
    return entry;
  }

  async #storedEntry(cache: ResourceCache | undefined, key: string): Promise<Entry | undefined> {
    const found = cache && (await this.#parts.store.get(cache.prefix + key));
    return found && cache.entryOf(found.key, found.value, found.revision);
  }

  async #list({ context, resource, accepted }: Request): Promise<ApiResponse> {
    const { hub, store } = this.#parts;
    const parameters = listParameters(context.query);
    const { stored } = resource;
    if (resource.declaration.computed) {
      const selection = parseSelection(resource, namespaceOf(context, resource), selectorsOf(context));
      const { namespace, name, labels } = selection;
      const objects = (await computedObjects(resource, { namespace, name, labels })).filter((object) =>
        selection.matches(object),
      );
      return listResponse(context, accepted, resource, objects, {});
    }
    if (!stored) return listResponse(context, accepted, resource, [], { resourceVersion: String(hub.revision) });
    const selection = parseSelection(resource, namespaceOf(context, resource), selectorsOf(context));
    const { behind } = context;
    const source = { hub, store, cache: stored.cache, resource, behind, now_ms: () => this.#parts.now_ms() };
    const { entries, metadata } = await listEntries(source, selection, parameters);
    await resource.ready(entries);
    const items = entries.map((entry) => resource.serve(entry));
    return listResponse(context, accepted, resource, items, metadata);
  }

  async #watch({ context, resource, accepted }: Request): Promise<ApiResponse> {
    const { hub } = this.#parts;
    const stored = storedOf(resource);
    const { name } = context.info;
    const selectors = selectorsOf(context);
    // The old path form names one object: /api/v1/watch/namespaces/default/pods/web.
    const fieldSelector = selectors.fieldSelector || (name ? `metadata.name=${name}` : "");
    const selection = parseSelection(resource, namespaceOf(context, resource), { ...selectors, fieldSelector });
    const source = { hub, cache: stored.cache, resource, ticker: this.#ticker };
    const frames = await watchEntries(source, selection, watchParameters(context.query), context.signal);
    return watchResponse(context, accepted, resource, frames);
  }

  #scope(request: Request, options: WriteOptions | undefined, dryRun = options?.dryRun ?? false): WriteScope {
    const { context, resource } = request;
    return {
      resource,
      stored: storedOf(resource),
      namespace: namespaceOf(context, resource),
      subresource: context.info.subresource,
      user: context.user,
      manager: managerOfRequest(options?.fieldManager, context.headers["user-agent"]) || "unknown",
      dryRun,
      options: options ?? {},
      warnings: context.warnings,
      auditAnnotations: context.auditAnnotations,
    };
  }

  #decode({ context, resource }: Request, options: WriteOptions): KubeObject {
    const { custom = false } = resource.declaration;
    const object = decodeObject(
      context.body,
      context.headers["content-type"],
      { gvk: resource.gvk, schema: resource.schema, custom },
      options.fieldValidation,
      context.warnings,
    );
    context.audit?.names(object.metadata);
    if (context.audit?.wantsRequest) context.audit.requestObject(withDefaults(resource, object));
    return object;
  }

  async #create(request: Request, handler: SubresourceHandler | undefined): Promise<ApiResponse | "handled"> {
    const { context, resource, accepted } = request;
    if (context.info.name !== undefined) throw notServed();
    const options = writeOptions(context.query, "CreateOptions");
    const object = this.#decode(request, options);
    const { virtual } = resource.declaration;
    if (virtual) {
      if (accepted.as !== undefined) throw noFormAccepted();
      const namespace = namespaceOf(context, resource);
      const answer = await virtual(object, { user: context.user, namespace });
      const { answersAnew = false } = resource.declaration;
      return valueResponse(answersAnew ? answer : this.#managed(request, options, object, answer), 201);
    }
    if (handler) {
      const { name = "" } = object.metadata;
      matchNamespace(request, object);
      await this.#admitBody(context, resource, name, object);
      const namespace = namespaceOf(context, resource);
      return handler.handle({
        declaration: resource.declaration,
        context,
        namespace,
        name,
        subresource: "",
        body: object,
      });
    }
    const entry = await create(this.#parts, this.#scope(request, options), { object });
    await resource.ready([entry]);
    return objectResponse(context, accepted, resource, resource.serve(entry), 201);
  }

  /** A review's fields have a manager, too, though nothing is stored. */
  #managed({ context, resource }: Request, options: WriteOptions, asked: KubeObject, answer: KubeObject): KubeObject {
    const managedFields = updateManagedFields({
      schema: resource.schema,
      apiVersion: resource.apiVersion,
      live: undefined,
      next: asked,
      manager: managerOfRequest(options.fieldManager, context.headers["user-agent"]) || "unknown",
      now: timestamp(this.#parts),
    });
    return managedFields ? { ...answer, metadata: { ...answer.metadata, managedFields: [...managedFields] } } : answer;
  }

  async #put(request: Request, change?: PartialUpdate): Promise<ApiResponse> {
    const { context, resource, accepted } = request;
    const name = nameOf(context);
    const options = writeOptions(context.query, "UpdateOptions");
    const object = namedFor(name, this.#decode(request, options));
    matchNamespace(request, object);
    const scope = this.#scope(request, options);
    const { strategy } = resource.workingDeclaration;
    const missing = !scope.stored.cache.get(addressedKey(scope, name));
    if (
      missing &&
      strategy?.allowCreateOnUpdate &&
      scope.subresource === undefined &&
      !object.metadata.resourceVersion
    ) {
      await this.#parts.mayAlso(context, "create");
      const entry = await create(this.#parts, scope, { object });
      await resource.ready([entry]);
      return objectResponse(context, accepted, resource, resource.serve(entry), 201);
    }
    const wanted = resource.toWorking(object);
    const entry = await update(this.#parts, scope, {
      name,
      update: change,
      // Each attempt needs a draft of its own.
      next: () => ({ draft: cloneJson(wanted) as KubeObject }),
    });
    await resource.ready([entry]);
    return objectResponse(context, accepted, resource, resource.serve(entry));
  }

  async #patch(request: Request, change?: PartialUpdate): Promise<ApiResponse> {
    const { context, resource, accepted } = request;
    const options = writeOptions(context.query, "PatchOptions");
    const patch = decodePatch(context.body, context.headers["content-type"]);
    context.audit?.requestObject(patch.document.value);
    checkPatchOptions(patch, options);
    const { entry, created } = await patchObject(this.#parts, this.#scope(request, options), {
      name: nameOf(context),
      patch,
      options,
      update: change,
      mayCreate: () => this.#parts.mayAlso(context, "create"),
    });
    await resource.ready([entry]);
    return objectResponse(context, accepted, resource, resource.serve(entry), created ? 201 : 200);
  }

  async #delete(request: Request): Promise<ApiResponse> {
    const { context, resource, accepted } = request;
    const options = deleteOptions(context.body, context.headers["content-type"], context.query);
    context.audit?.requestObject(auditedOptions(context, options));
    const scope = { ...this.#scope(request, undefined, options.isDryRun), options };
    const { entry, isGone } = await remove(this.#parts, scope, nameOf(context), options);
    if (!isGone || resource.declaration.strategy?.answersDeleteWithObject) {
      await resource.ready([entry]);
      const answersLater =
        !isGone && !scope.dryRun && (options.propagationPolicy === "Foreground" || options.orphanDependents === false);
      return objectResponse(context, accepted, resource, resource.serve(entry), answersLater ? 202 : 200);
    }
    const { group, plural } = resource.declaration.ref;
    const details = { name: entry.name, ...(group ? { group } : {}), kind: plural, uid: entry.view().metadata.uid };
    return valueResponse({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details });
  }

  async #deleteCollection(request: Request): Promise<ApiResponse> {
    const { context, resource, accepted } = request;
    const { hub, store } = this.#parts;
    const options = deleteOptions(context.body, context.headers["content-type"], context.query);
    const stored = storedOf(resource);
    const scope = { ...this.#scope(request, undefined, options.isDryRun), options };
    const selection = parseSelection(resource, namespaceOf(context, resource), selectorsOf(context));
    const parameters = listParameters(context.query);
    const source = { hub, store, cache: stored.cache, resource, now_ms: () => this.#parts.now_ms() };
    const { entries, metadata } = await listEntries(source, selection, parameters);
    warnOfPropagation(scope, options);
    const removed: Entry[] = [];
    for (let from = 0; from < entries.length; from += DELETES_AT_ONCE) {
      const group = entries.slice(from, from + DELETES_AT_ONCE);
      removed.push(...(await Promise.all(group.map((entry) => this.#removeIfThere(scope, entry, options)))));
    }
    await resource.ready(removed);
    const items = removed.map((entry) => resource.serve(entry));
    return listResponse(context, accepted, resource, items, { resourceVersion: metadata.resourceVersion });
  }

  async #removeIfThere(scope: WriteScope, entry: Entry, options: DeleteOptions): Promise<Entry> {
    const own = scope.resource.declaration.ref.namespaced ? { ...scope, namespace: entry.namespace } : scope;
    try {
      return (await remove(this.#parts, own, entry.name, options)).entry;
    } catch (error) {
      if (isNotFound(error)) return entry;
      throw error;
    }
  }

  async #subresource(
    context: RequestContext,
    resource: ServedResource,
    subresource: string,
    exchange: Exchange | undefined,
  ): Promise<ApiResponse | "handled"> {
    const { info } = context;
    const { group, plural } = resource.declaration.ref;
    const declared = resource.declaration.subresources?.[subresource];
    const handler = this.#parts.handlers[group]?.[`${plural}/${subresource}`];
    if (!declared && !handler)
      throw resource.declaration.custom ? notFound(resource.name, info.name ?? "") : pathNotFound();
    const isOptions = declared?.takesOptionsMethod && exchange?.request.method === "OPTIONS";
    if (declared && !isOptions && !declared.verbs.includes(info.verb)) throw notServed();
    if (handler) {
      const name = nameOf(context);
      const body = declared ? this.#subresourceBody(context, declared) : undefined;
      const namespace = namespaceOf(context, resource);
      if (body) await this.#admitBody(context, resource, name, body);
      if (declared?.body && connectsBy(declared.body.kind))
        await this.#admitConnection(context, resource, name, declared.body);
      return handler.handle({
        declaration: resource.declaration,
        context,
        namespace,
        name,
        subresource,
        body,
        exchange,
      });
    }
    const request = { context, resource, accepted: acceptedFor(context, resource) };
    if (declared?.scale) return this.#scale(request, declared.scale);
    const change = declared?.update;
    if (subresource !== "status" && !change) throw pathNotFound();
    switch (info.verb) {
      case "get":
        return this.#get(request);
      case "update":
        return this.#put(request, change);
      case "patch":
        return this.#patch(request, change);
      default:
        throw notServed();
    }
  }

  /** A body with a kind of its own goes through admission before its handler sees it. */
  async #admitBody(context: RequestContext, resource: ServedResource, name: string, body: KubeObject): Promise<void> {
    const options = writeOptions(context.query, "CreateOptions");
    const scope = this.#scope({ context, resource, accepted: negotiate(undefined) }, options);
    await mutate(this.#parts, scope, { operation: "CREATE", name, object: body });
    await judge(this.#parts, scope, { operation: "CREATE", name, object: body });
  }

  /** The options of a connection stand in the query. Logs are read, not connected to. */
  async #admitConnection(
    context: RequestContext,
    resource: ServedResource,
    name: string,
    body: GroupVersionKind,
  ): Promise<void> {
    if (context.info.subresource === "log") return;
    const options: Record<string, unknown> = { apiVersion: apiVersionOf(body), kind: body.kind };
    for (const [key, value] of context.query)
      options[key] = value === "true" || value === "false" ? value === "true" : value;
    if (context.query.has("command")) options["command"] = context.query.getAll("command");
    const object = { ...options, metadata: {} } as KubeObject;
    const scope = this.#scope({ context, resource, accepted: negotiate(undefined) }, undefined);
    await mutate(this.#parts, scope, { operation: "CONNECT", name, object });
    await judge(this.#parts, scope, { operation: "CONNECT", name, object });
  }

  #subresourceBody(context: RequestContext, { body }: SubresourceDeclaration): KubeObject | undefined {
    if (!body || context.info.verb === "get" || connectsBy(body.kind)) return undefined;
    const { fieldValidation } = writeOptions(context.query, "CreateOptions");
    const expected = { gvk: body, schema: schemaFor(body), custom: false };
    const { headers, warnings } = context;
    const object = decodeObject(context.body, headers["content-type"], expected, fieldValidation, warnings);
    context.audit?.requestObject(object);
    return object;
  }

  async #scale(request: Request, paths: NonNullable<SubresourceDeclaration["scale"]>): Promise<ApiResponse> {
    const { context, resource, accepted } = request;
    const name = nameOf(context);
    const { verb } = context.info;
    const answer = async (entry: Entry): Promise<ApiResponse> => {
      const scale = scaleOf(await resource.working(entry), paths);
      const object = { view: () => scale, text: () => JSON.stringify(scale) };
      return objectResponse(context, accepted, { declaration: { columns: scaleColumns } }, object);
    };
    if (verb === "get") return answer(await this.#entry(context, resource));
    const options = writeOptions(context.query, verb === "patch" ? "PatchOptions" : "UpdateOptions");
    const gvk = { group: "autoscaling", version: "v1", kind: "Scale" };
    const expected = { gvk, schema: schemaFor(gvk), custom: false };
    const body =
      verb === "patch"
        ? {
            kind: "patch" as const,
            patch: decodePatch(context.body, context.headers["content-type"]),
            force: options.force === true,
          }
        : {
            kind: "put" as const,
            scale: namedFor(
              name,
              decodeObject(
                context.body,
                context.headers["content-type"],
                expected,
                options.fieldValidation,
                context.warnings,
              ),
            ),
          };
    if (body.kind === "patch") checkPatchOptions(body.patch, options);
    const scope = this.#scope(request, options);
    const entry = await update(this.#parts, scope, {
      name,
      next: async (live) => scaled(this.#parts, scope, await resource.working(live), { paths, name, body }),
      update: resource.declaration.custom ? undefined : { prepare: () => undefined },
    });
    return answer(entry);
  }
}

/** As upstream decodes it, and so records it. */
function withDefaults(resource: ServedResource, object: KubeObject): KubeObject {
  const draft = resource.toWorking(cloneJson(object));
  resource.workingDeclaration.strategy?.applyDefaults?.(draft);
  return resource.fromWorking(draft);
}

/** Those that a body brought, in the version that upstream has them in by then. */
function auditedOptions({ body }: RequestContext, options: DeleteOptions & { readonly isDryRun: boolean }): unknown {
  if (body.kind === "none" || (body.kind === "bytes" && body.bytes.length === 0)) return undefined;
  const { isDryRun: _, metadata: __, ...given } = options as typeof options & { readonly metadata?: unknown };
  return { ...given, kind: "DeleteOptions", apiVersion: "meta.k8s.io/__internal" };
}

function acceptedFor({ info, headers }: RequestContext, { gvk, declaration }: ServedResource): Accepted {
  const lists = info.subresource === undefined && (info.verb === "list" || info.verb === "watch");
  return negotiateFor({ kind: gvk, custom: declaration.custom === true, lists }, headers["accept"]);
}

/** No such path, method, or form of body or answer. */
const isUnserved = ({ code, options }: StatusError): boolean =>
  code === 405 || code === 406 || code === 415 || (code === 404 && options.name === undefined);

/** The object of a PUT, if it is the one that the URL names. Throws BadRequest. */
function namedFor(name: string, object: KubeObject): KubeObject {
  const given = object.metadata.name;
  if (!given)
    throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  if (given !== name)
    throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
  return object;
}

export { connectsBy, pageNotFound, pathNotFound };
