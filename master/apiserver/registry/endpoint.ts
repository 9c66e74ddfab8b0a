/** Serves every verb of every resource: from a request that may be made to an answer. Nothing here knows a kind. */
import { badRequest, internalError, notFound, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { Accepted } from "../http/negotiate.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import type { Entry } from "../watch-cache/entry.ts";
import type { ResourceCache } from "../watch-cache/resource-cache.ts";
import { listResponse, objectResponse, ofValue, watchResponse } from "./answer.ts";
import { computedObjects } from "./computed.ts";
import { create } from "./create.ts";
import { createOrUpdate } from "./create-or-update.ts";
import type { SubresourceDeclaration } from "./declaration.ts";
import { requireDecodable } from "./decode-body.ts";
import { noteDeprecatedUse } from "./deprecated-uses.ts";
import { removeCollection, removeOne } from "./endpoint-removal.ts";
import { acceptedFor, decodedObject, type EndpointRequest, namedFor, scopeOf } from "./endpoint-request.ts";
import { admitConnection, serveBody, serveScale, subresourceBody } from "./endpoint-subresources.ts";
import { createVirtual } from "./endpoint-virtual.ts";
import { listEntries, listParameters, revisionOf } from "./list.ts";
import { decodePatch, patchObject, patchTypeOf } from "./patch.ts";
import {
  checkPathSegment,
  checkScope,
  connectsBy,
  matchNamespace,
  nameOf,
  namespaceOf,
  notServed,
  notServedBy,
  pathNotFound,
  refuseExport,
  requireNamespace,
  selectorsOf,
  storedOf,
  verbOfOne,
} from "./request-target.ts";
import { parseSelection } from "./selection.ts";
import type { ServedResource } from "./served-resource.ts";
import type { Exchange, SubresourceHandler } from "./subresource-handler.ts";
import { noObject } from "./unreadable.ts";
import { anotherUid, type PartialUpdate, update } from "./update.ts";
import { BookmarkTicker, watchEntries, watchParameters } from "./watch.ts";
import { writeOptions } from "./write-options.ts";
import { addressedKey, type WriteParts } from "./write-scope.ts";

/** Handlers by group, then by `plural/subresource`; by the plural alone where a create is no object to be stored. */
export type SubresourceHandlers = Readonly<Record<string, Readonly<Record<string, SubresourceHandler>>>>;

export interface EndpointParts extends WriteParts {
  readonly handlers: SubresourceHandlers;
  /** Of watches whose clients do not say how long they are to last; half an hour unless given. */
  readonly shortestWatch_s?: number | undefined;
  /** Whether this user may do another thing with the object of the request: create it by PUT or apply, connect to it. Throws
   *  Forbidden. */
  mayAlso(context: RequestContext, verb: string): Promise<void>;
}

const verbsOfOne: readonly string[] = ["get", "update", "patch", "delete"];

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
    this.#checkMethod(context, resource);
    const { deprecationWarning } = resource;
    if (deprecationWarning) {
      context.warnings.push(deprecationWarning);
      noteDeprecatedUse(context, resource);
    }
    try {
      return await this.#serve(context, resource, exchange);
    } catch (error) {
      // What nobody serves is no use of a deprecated version.
      if (deprecationWarning && error instanceof StatusError && isUnserved(error)) context.warnings.shift();
      throw error;
    }
  }

  /** Upstream's router knows HEAD for what it passes on, and for nothing else, and watches by GET alone. */
  #checkMethod({ method, info }: RequestContext, { declaration }: ServedResource): void {
    const { verb, name, subresource } = info;
    if (declaration.custom) return;
    // What is only posted has no paths of single objects.
    const verbs = declaration.virtual ? ["create"] : declaration.verbs;
    const isOnlyPosted = verbs && !verbs.some((each) => verbsOfOne.includes(each));
    if (isOnlyPosted && name !== undefined && subresource === undefined) throw pathNotFound();
    if (verb === "watch" && method !== "GET") throw notServed();
    if (method !== "HEAD" || subresource === "proxy") return;
    const { group, plural } = declaration.ref;
    const isThere =
      subresource === undefined ||
      declaration.subresources?.[subresource] !== undefined ||
      this.#parts.handlers[group]?.[`${plural}/${subresource}`] !== undefined;
    throw isThere ? notServed() : pathNotFound();
  }

  async #serve(
    context: RequestContext,
    resource: ServedResource,
    exchange: Exchange | undefined,
  ): Promise<ApiResponse | "handled"> {
    const { info } = context;
    if (info.subresource !== undefined) return this.#subresource(context, resource, info.subresource, exchange);
    const { verbs: allowed, custom } = resource.declaration;
    const isOfOne = info.verb === "update" || info.verb === "patch";
    if (allowed && !allowed.includes(info.verb)) throw notServedBy(resource.declaration, info.verb);
    if (!custom && (info.name === undefined ? isOfOne : info.verb === "create")) throw notServed();
    // Whoever brings an object hears what is wrong with that first.
    if (info.verb !== "update") requireNamespace(info);
    const request = { context, resource, accepted: acceptedFor(context, resource) };
    if (info.verb === "get") refuseExport(context);
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
        return removeOne(this.#parts, request);
      case "deletecollection":
        return removeCollection(this.#parts, request);
      default:
        throw notServedBy(resource.declaration, info.verb);
    }
  }

  async #get({ context, resource, accepted }: EndpointRequest): Promise<ApiResponse> {
    if (resource.declaration.computed) {
      const { name = "" } = context.info;
      const namespace = namespaceOf(context, resource);
      const objects = await computedObjects(resource, { namespace, name });
      const object = objects.find(({ key }) => key === (namespace ? `${namespace}/${name}` : name));
      if (!object) {
        const plural = resource.declaration.computedName ?? resource.name.plural;
        throw notFound({ ...resource.name, plural }, name);
      }
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
    if (!entry) throw noObject(resource, cache, key, name);
    return entry;
  }

  async #storedEntry(cache: ResourceCache | undefined, key: string): Promise<Entry | undefined> {
    const found = cache && (await this.#parts.store.get(cache.prefix + key));
    return found && cache.entryOf(found.key, found.value, found.revision);
  }

  async #list({ context, resource, accepted }: EndpointRequest): Promise<ApiResponse> {
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

  async #watch({ context, resource, accepted }: EndpointRequest): Promise<ApiResponse> {
    const { hub, shortestWatch_s } = this.#parts;
    const stored = storedOf(resource);
    const { name } = context.info;
    const selectors = selectorsOf(context);
    // The old path form names one object: /api/v1/watch/namespaces/default/pods/web.
    const fieldSelector = selectors.fieldSelector || (name ? `metadata.name=${name}` : "");
    const selection = parseSelection(resource, namespaceOf(context, resource), { ...selectors, fieldSelector });
    const source = { hub, cache: stored.cache, resource, ticker: this.#ticker };
    const frames = await watchEntries(
      source,
      selection,
      watchParameters(context.query, shortestWatch_s),
      context.signal,
    );
    return watchResponse(context, accepted, resource, frames);
  }

  async #create(request: EndpointRequest, handler: SubresourceHandler | undefined): Promise<ApiResponse | "handled"> {
    const { context, resource, accepted } = request;
    requireDecodable(context.headers["content-type"]);
    const body = await context.body.read();
    const options = writeOptions(context.query, "CreateOptions");
    const object = decodedObject(request, body, options);
    // It is where the request says, and that says nowhere.
    if (context.info.lacksNamespace) delete object.metadata.namespace;
    const { virtual } = resource.declaration;
    if (virtual) return createVirtual(this.#parts, request, virtual, { object, options });
    if (handler) {
      if (!("prepare" in handler)) throw internalError(`no body is taken by ${resource.name.plural}`);
      const { name = "" } = object.metadata;
      matchNamespace(request, object);
      // Which object is meant is not said by what only a server gives.
      delete object.metadata.uid;
      const call = { declaration: resource.declaration, context, namespace: namespaceOf(context, resource), name };
      const answer = await serveBody(this.#parts, resource, handler, { ...call, subresource: "" }, object);
      return inForm(answer, context, resource, accepted);
    }
    const entry = await create(this.#parts, scopeOf(request, options), { object });
    await resource.ready([entry]);
    return objectResponse(context, accepted, resource, resource.serve(entry), 201);
  }

  async #put(request: EndpointRequest, change?: PartialUpdate): Promise<ApiResponse> {
    const { context, resource, accepted } = request;
    const name = nameOf(context);
    const body = await context.body.read();
    const options = writeOptions(context.query, "UpdateOptions");
    const object = namedFor(name, namespaceOf(context, resource), decodedObject(request, body, options));
    requireNamespace(context.info);
    const scope = scopeOf(request, options);
    const replace = async (given: KubeObject): Promise<Entry> => {
      const wanted = resource.toWorking(given);
      // Each attempt needs a draft of its own.
      const next = () => ({ draft: cloneJson(wanted) as KubeObject });
      return update(this.#parts, scope, { name, update: change, next });
    };
    const make = async (given: KubeObject): Promise<Entry> => {
      const { uid } = given.metadata;
      if (uid) throw anotherUid(scope, name, { given: uid, present: "" });
      const mayCreate = (): Promise<void> => this.#parts.mayAlso(context, "create");
      return create(this.#parts, scope, { object: given, byUpdate: true, mayCreate });
    };
    const mayMake = resource.workingDeclaration.strategy?.allowCreateOnUpdate && scope.subresource === undefined;
    const given = (): KubeObject => cloneJson(object) as KubeObject;
    const { entry, created } = mayMake
      ? await createOrUpdate(this.#parts, scope, addressedKey(scope, name), {
          create: () => make(given()),
          update: () => replace(given()),
        })
      : { entry: await replace(object), created: false };
    await resource.ready([entry]);
    return objectResponse(context, accepted, resource, resource.serve(entry), created ? 201 : 200);
  }

  async #patch(request: EndpointRequest, change?: PartialUpdate): Promise<ApiResponse> {
    const { context, resource, accepted } = request;
    const type = patchTypeOf(context.headers["content-type"], resource.declaration);
    const body = await context.body.read();
    const options = writeOptions(context.query, "PatchOptions", type);
    const patch = decodePatch(body, type, options.fieldValidation);
    context.audit?.requestObject(patch.document.value);
    const { entry, created } = await patchObject(this.#parts, scopeOf(request, options), {
      name: nameOf(context),
      patch,
      options,
      update: change,
      mayCreate: () => this.#parts.mayAlso(context, "create"),
    });
    await resource.ready([entry]);
    return objectResponse(context, accepted, resource, resource.serve(entry), created ? 201 : 200);
  }

  async #handled(
    context: RequestContext,
    resource: ServedResource,
    to: {
      readonly subresource: string;
      readonly declared: SubresourceDeclaration | undefined;
      readonly handler: SubresourceHandler;
      readonly exchange: Exchange | undefined;
    },
  ): Promise<ApiResponse | "handled"> {
    const { subresource, declared, handler, exchange } = to;
    const connection = declared?.body && connectsBy(declared.body.kind) ? declared.body : undefined;
    const accepted = connection ? undefined : acceptedFor(context, resource, false);
    const call = { declaration: resource.declaration, context, name: nameOf(context), subresource, exchange };
    const namespace = namespaceOf(context, resource);
    if ("prepare" in handler) {
      if (!declared?.body) throw internalError(`no kind of body is declared for ${subresource}`);
      const body = await subresourceBody(context, declared.body, declared);
      requireNamespace(context.info);
      const answer = await serveBody(this.#parts, resource, handler, { ...call, namespace }, body);
      return inForm(answer, context, resource, accepted);
    }
    // It would act on a body that no admission plugin has seen.
    if (declared?.body && !connection) throw internalError(`the handler of ${subresource} takes no body`);
    requireNamespace(context.info);
    const admitted = connection
      ? await admitConnection(this.#parts, context, resource, call.name, connection)
      : context;
    const needed = declared?.neededVerb;
    if (needed && needed !== context.info.verb) await this.#parts.mayAlso(context, needed);
    return inForm(await handler.handle({ ...call, context: admitted, namespace }), context, resource, accepted);
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
    const verb = verbOfOne(info);
    if (declared && !isOptions && !declared.verbs.includes(verb)) throw notServedBy(resource.declaration, info.verb);
    nameOf(context);
    // Whoever brings a body hears what is wrong with that first.
    if (info.verb !== "update" && info.verb !== "create") requireNamespace(info);
    if (handler) return this.#handled(context, resource, { subresource, declared, handler, exchange });
    const request = { context, resource, accepted: acceptedFor(context, resource, !declared?.unprinted) };
    if (info.verb === "get") refuseExport(context);
    if (declared?.scale) return serveScale(this.#parts, request, declared.scale, () => this.#entry(context, resource));
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
}

/** An object that a handler made, in the form that was asked for. */
function inForm(
  answer: ApiResponse | "handled",
  context: RequestContext,
  resource: ServedResource,
  accepted: Accepted | undefined,
): ApiResponse | "handled" {
  if (answer === "handled" || answer.kind !== "object" || !accepted) return answer;
  const value = answer.value() as KubeObject;
  if (value.kind === "Status") return { ...answer, accepted };
  return objectResponse(context, accepted, resource, ofValue(value), answer.code);
}

/** No such path, method, or form of body or answer. */
const isUnserved = ({ code, options }: StatusError): boolean =>
  code === 405 || code === 406 || code === 415 || (code === 404 && options.name === undefined);
