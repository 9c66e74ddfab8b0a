/** What the verbs of a resource share of a request: in which form it is answered, what it writes, and as who. */
import { badRequest } from "#shared/api/errors.ts";
import { managerOfRequest } from "#shared/api/managed-fields/index.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { type Accepted, negotiateFor } from "../http/negotiate.ts";
import type { RequestBody, RequestContext } from "../request.ts";
import { decodeObject } from "./decode-body.ts";
import { checkNamespace, namespaceOf, storedOf } from "./request-target.ts";
import type { ServedResource } from "./served-resource.ts";
import type { WriteOptions } from "./write-options.ts";
import type { AdmissionScope, WriteScope } from "./write-scope.ts";

export interface EndpointRequest {
  readonly context: RequestContext;
  readonly resource: ServedResource;
  readonly accepted: Accepted;
}

/** `hasTable`: false for what is only created: reviews, bindings. */
export function acceptedFor(
  { info, headers }: RequestContext,
  { gvk, declaration }: ServedResource,
  hasTable = declaration.virtual === undefined,
): Accepted {
  const watches = info.verb === "watch";
  const lists = info.subresource === undefined && (info.verb === "list" || watches);
  const isText = info.subresource === "log";
  const { custom = false } = declaration;
  return negotiateFor({ kind: gvk, custom, lists, watches, hasTable, isText }, headers["accept"]);
}

/** What a write is about. Throws MethodNotAllowed for a resource that is not stored. */
export function scopeOf(
  request: EndpointRequest,
  options: WriteOptions | undefined,
  dryRun = options?.dryRun ?? false,
): WriteScope {
  const { context, resource } = request;
  return {
    ...admissionScopeOf(context, resource, options),
    stored: storedOf(resource),
    manager: managerOfRequest(options?.fieldManager, context.headers["user-agent"]) || "unknown",
    dryRun,
  };
}

export function admissionScopeOf(
  context: RequestContext,
  resource: ServedResource,
  options: WriteOptions | undefined,
): AdmissionScope {
  return {
    resource,
    namespace: namespaceOf(context, resource),
    subresource: context.info.subresource,
    user: context.user,
    dryRun: options?.dryRun ?? false,
    options: options?.given ?? {},
    warnings: context.warnings,
    auditAnnotations: context.auditAnnotations,
    limits: context,
  };
}

/** The object of a write's body. Throws BadRequest. */
export function decodedObject(
  { context, resource }: EndpointRequest,
  body: RequestBody,
  options: WriteOptions,
): KubeObject {
  const { custom = false } = resource.declaration;
  const object = decodeObject(
    body,
    context.headers["content-type"],
    { gvk: resource.gvk, schema: resource.schema, custom },
    options.fieldValidation,
    context.warnings,
  );
  context.audit?.names(object.metadata);
  if (context.audit?.wantsRequest) context.audit.requestObject(withDefaults(resource, object));
  return object;
}

/** As upstream decodes it, and so records it. */
export function withDefaults(resource: ServedResource, object: KubeObject): KubeObject {
  const draft = resource.toWorking(cloneJson(object));
  resource.workingDeclaration.strategy?.applyDefaults?.(draft);
  return resource.fromWorking(draft);
}

/** The object that was sent, or that a patch has made, if it is the one that the URL names; which namespace it is in is looked at first.
 *  Throws BadRequest. */
export function namedFor(name: string, namespace: string | undefined, object: KubeObject): KubeObject {
  checkNamespace(object, namespace);
  const given = object.metadata.name;
  if (!given)
    throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  if (given !== name)
    throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
  return object;
}
