/** What a request to a resource names: scope, object, selectors; and the refusals where it names none that is served. */
import { badRequest, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { RequestContext, RequestInfo } from "../request.ts";
import { isPathSegment } from "../resources/validation/names.ts";
import type { ServedResource, StoredResource } from "./served-resource.ts";

/** Options of a connection stand in the query; the body, if any, is a stream. */
export const connectsBy = (kind: string): boolean => kind.endsWith("Options");

/** Objects in namespaces are written where they are; only reading may span all. */
export function checkScope(info: RequestInfo, resource: ServedResource): void {
  const { namespace, verb, name, resource: plural } = info;
  const { namespaced } = resource.declaration.ref;
  const { custom = false } = resource.declaration;
  if (!custom && hasEmptyPart(info)) throw pathNotFound();
  if (namespaced && !namespace && verb !== "list" && verb !== "watch")
    throw custom ? pageNotFound() : name === undefined ? notServed() : pathNotFound();
  if (!namespaced && namespace && plural !== "namespaces") throw custom ? pageNotFound() : pathNotFound();
}

/** Upstream's router knows no empty part of a path, but in what is handed on to a pod or Service and for custom kinds. */
function hasEmptyPart({ path, rest }: RequestInfo): boolean {
  const parts = path.split("/").slice(1);
  const named = parts.filter((part) => part !== "").length - rest.length;
  return parts.slice(0, named).includes("");
}

/** Refuses a name that no object can have as its key. */
export function checkPathSegment(name: string): void {
  const problems = isPathSegment(name);
  if (problems.length > 0) throw badRequest(`Name parameter invalid: ${goQuote(name)}: ${problems.join(";")}`);
}

export function namespaceOf({ info }: RequestContext, resource: ServedResource): string | undefined {
  return resource.declaration.ref.namespaced ? info.namespace : undefined;
}

export function nameOf({ info }: RequestContext): string {
  if (info.name === undefined) throw notServed();
  return info.name;
}

export function matchNamespace(
  { context, resource }: { readonly context: RequestContext; readonly resource: ServedResource },
  { metadata }: KubeObject,
): void {
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

/** Upstream answers so where no router of any API is responsible. */
export const pageNotFound = (): StatusError =>
  new StatusError("NotFound", "the server could not find the requested resource", {
    plainText: "404 page not found\n",
  });

/** Upstream's router answers so where nothing is served. */
export const pathNotFound = (): StatusError =>
  new StatusError("NotFound", "the server could not find the requested resource", { hasDetails: true });
