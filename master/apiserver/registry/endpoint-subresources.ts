/** What subresources have of their own: bodies of another kind than their resource, connections, scales. */
import type { GroupVersionKind, KubeObject } from "#shared/api/object.ts";
import { equalJson } from "#shared/api/patch/json-value.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import type { Entry } from "../watch-cache/entry.ts";
import { carriedOut, judge, mutate } from "./admit.ts";
import { objectResponse } from "./answer.ts";
import { connectOptions, withConnectOptions } from "./connect-options.ts";
import type { SubresourceDeclaration } from "./declaration.ts";
import { decodeObject, requireDecodable } from "./decode-body.ts";
import { admissionScopeOf, type EndpointRequest, namedFor, scopeOf } from "./endpoint-request.ts";
import { decodePatch, patchTypeOf } from "./patch.ts";
import { checkNamespace, nameOf, namespaceOf } from "./request-target.ts";
import { scaleColumns, scaled, scaleOf } from "./scale.ts";
import type { ServedResource } from "./served-resource.ts";
import type { BodyHandler, SubresourceCall } from "./subresource-handler.ts";
import { update } from "./update.ts";
import { writeOptions } from "./write-options.ts";
import type { WriteParts } from "./write-scope.ts";

/** The object that a subresource's own kind of body is. Throws BadRequest. */
export async function subresourceBody(
  context: RequestContext,
  gvk: GroupVersionKind,
  { applyBodyDefaults, formerBodyVersions: formerVersions }: SubresourceDeclaration,
): Promise<KubeObject> {
  const { headers, warnings } = context;
  requireDecodable(headers["content-type"]);
  const body = await context.body.read();
  const { fieldValidation } = writeOptions(context.query, "CreateOptions");
  const expected = { gvk, schema: schemaFor(gvk), custom: false, formerVersions };
  const object = decodeObject(body, headers["content-type"], expected, fieldValidation, warnings);
  checkNamespace(object, context.info.namespace);
  applyBodyDefaults?.(object);
  context.audit?.requestObject(object);
  return object;
}

/** A body with a kind of its own goes through admission: what changes it before its handler sees it, what judges it once the
 *  handler knows that it is in order. */
export async function serveBody(
  parts: WriteParts,
  resource: ServedResource,
  handler: BodyHandler,
  call: SubresourceCall,
  body: KubeObject,
): Promise<ApiResponse> {
  const { context, name } = call;
  const scope = admissionScopeOf(context, resource, writeOptions(context.query, "CreateOptions"));
  // It is where the request says, whether or not it says so itself.
  if (scope.namespace) body.metadata.namespace = scope.namespace;
  return carriedOut(parts, scope, { name, body }, (admitted) => handler.prepare(call, admitted));
}

/** The options of a connection stand in the query. Logs are read, not connected to. Gives the request as admission has left it. */
export async function admitConnection(
  parts: WriteParts,
  context: RequestContext,
  resource: ServedResource,
  name: string,
  body: GroupVersionKind,
): Promise<RequestContext> {
  if (context.info.subresource === "log") return context;
  const object = connectOptions(body, context);
  const asked = structuredClone(object);
  const scope = admissionScopeOf(context, resource, undefined);
  await mutate(parts, scope, { operation: "CONNECT", name, object });
  await judge(parts, scope, { operation: "CONNECT", name, object });
  return equalJson(asked, object) ? context : withConnectOptions(context, asked, object);
}

/** `entry`: of the object whose replicas these are. */
export async function serveScale(
  parts: WriteParts,
  request: EndpointRequest,
  paths: NonNullable<SubresourceDeclaration["scale"]>,
  entry: () => Promise<Entry>,
): Promise<ApiResponse> {
  const { context, resource, accepted } = request;
  const name = nameOf(context);
  const { verb } = context.info;
  const answer = async (scaledEntry: Entry): Promise<ApiResponse> => {
    const scale = scaleOf(await resource.working(scaledEntry), paths);
    const object = { view: () => scale, text: () => JSON.stringify(scale) };
    return objectResponse(context, accepted, { declaration: { columns: scaleColumns } }, object);
  };
  if (verb === "get") return answer(await entry());
  const type = verb === "patch" ? patchTypeOf(context.headers["content-type"], resource.declaration) : undefined;
  const sent = await context.body.read();
  const options = writeOptions(context.query, verb === "patch" ? "PatchOptions" : "UpdateOptions", type);
  const gvk = { group: "autoscaling", version: "v1", kind: "Scale" };
  const expected = { gvk, schema: schemaFor(gvk), custom: false };
  const body =
    type !== undefined
      ? { kind: "patch" as const, patch: decodePatch(sent, type, options.fieldValidation), options }
      : {
          kind: "put" as const,
          scale: decodeObject(
            sent,
            context.headers["content-type"],
            expected,
            options.fieldValidation,
            context.warnings,
          ),
        };
  context.audit?.requestObject(body.kind === "patch" ? body.patch.document.value : body.scale);
  if (body.kind === "put") namedFor(name, namespaceOf(context, resource), body.scale);
  const scope = scopeOf(request, options);
  const changed = await update(parts, scope, {
    name,
    next: async (live) => scaled(parts, scope, await resource.working(live), { paths, name, body }),
    update: resource.declaration.custom ? undefined : { prepare: () => undefined },
  });
  return answer(changed);
}
