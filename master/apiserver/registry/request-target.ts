/** What a request to a resource names: scope, object, selectors; and the refusals where it names none that is served. */
import { badRequest, methodNotAllowed, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { isTrue } from "#shared/http/query-flag.ts";
import type { RequestContext, RequestInfo } from "../request.ts";
import { isPathSegment } from "../resources/validation/names.ts";
import type { ResourceDeclaration } from "./declaration.ts";
import type { ServedResource, StoredResource } from "./served-resource.ts";

/** Options of a connection stand in the query; the body, if any, is a stream. */
export const connectsBy = (kind: string): boolean => kind.endsWith("Options");

/** Objects in namespaces are written where they are; only reading may span all. */
export function checkScope(info: RequestInfo, resource: ServedResource): void {
  const { namespace, verb, name, resource: plural } = info;
  const { namespaced } = resource.declaration.ref;
  const { custom = false } = resource.declaration;
  if (!custom && (!isRouted(info) || (info.lacksNamespace && !namespaced))) throw pathNotFound();
  if (namespaced && !namespace && verb !== "list" && verb !== "watch" && (custom || !info.lacksNamespace))
    throw custom ? pageNotFound() : name === undefined ? notServed() : pathNotFound();
  if (!namespaced && namespace && plural !== "namespaces") throw custom ? pageNotFound() : pathNotFound();
}

/**
 * Whether upstream's router, which stands before all but custom kinds, knows paths of this form. It knows nothing below a
 * subresource, but what is handed on to a pod or Service.
 */
function isRouted({ verb, subresource, rest }: RequestInfo): boolean {
  if (verb === "proxy" || (verb === "watch" && subresource !== undefined)) return false;
  return subresource === "proxy" || rest.length === 0;
}

/** Throws BadRequest for a request to one object of a namespace that does not say which. */
export function requireNamespace({ lacksNamespace, verb, name }: RequestInfo): void {
  if (lacksNamespace && verb !== "list" && verb !== "watch" && name !== undefined)
    throw badRequest("Namespace parameter required.");
}

/** Refuses a name that no object can have as its key. */
export function checkPathSegment(name: string): void {
  const problems = isPathSegment(name);
  if (problems.length > 0) throw badRequest(`Name parameter invalid: ${goQuote(name)}: ${problems.join(";")}`);
}

export function namespaceOf({ info }: RequestContext, resource: ServedResource): string | undefined {
  return resource.declaration.ref.namespaced ? info.namespace : undefined;
}

/** Throws BadRequest for one that is left out. */
export function nameOf({ info }: RequestContext): string {
  if (info.name === undefined) throw badRequest("name must be provided");
  return info.name;
}

/** What a verb is of a request to one object whose name is left out: by its path it would be to all of them. */
export const verbOfOne = ({ verb }: RequestInfo): string =>
  verb === "list" ? "get" : verb === "deletecollection" ? "delete" : verb;

export function matchNamespace(
  { context, resource }: { readonly context: RequestContext; readonly resource: ServedResource },
  { metadata }: KubeObject,
): void {
  requireNamespace(context.info);
  checkNamespace({ metadata }, namespaceOf(context, resource));
}

/** An object that was sent, or that a patch has made, stays where it is. */
export function checkNamespace({ metadata }: Pick<KubeObject, "metadata">, namespace: string | undefined): void {
  if (namespace && metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
}

export function storedOf(resource: ServedResource): StoredResource {
  if (!resource.stored) throw notServed();
  return resource.stored;
}

export const selectorsOf = ({ query }: RequestContext) => ({
  labelSelector: query.get("labelSelector"),
  fieldSelector: query.get("fieldSelector"),
});

/** Upstream's router answers so where a path is served, but not by this method. */
export const notServed = (): StatusError =>
  new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource", {
    hasDetails: true,
  });

/** Upstream's routers answer so where a resource is served, but not by this method: before custom kinds stands none. */
export const notServedBy = ({ custom, ref }: ResourceDeclaration, verb: string): StatusError =>
  custom ? methodNotAllowed(ref, verb) : notServed();

/** Upstream answers so where no router of any API is responsible. */
export const pageNotFound = (): StatusError =>
  new StatusError("NotFound", "the server could not find the requested resource", {
    plainText: "404 page not found\n",
  });

/** Upstream's router answers so where nothing is served. */
export const pathNotFound = (): StatusError =>
  new StatusError("NotFound", "the server could not find the requested resource", { hasDetails: true });

/** What clients before v1.18 asked for and would take the answer for. Throws BadRequest. */
export function refuseExport({ query }: RequestContext): void {
  if (isTrue(query.get("export") ?? "false"))
    throw badRequest("the export parameter, deprecated since v1.14, is no longer supported");
}
