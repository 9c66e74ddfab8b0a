/** Creates of what is asked and answered, never kept: reviews. */
import { managerOfRequest, updateManagedFields } from "#shared/api/managed-fields/index.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ApiResponse } from "../request.ts";
import { carriedOut } from "./admit.ts";
import { objectResponse, ofValue } from "./answer.ts";
import type { VirtualHandler } from "./declaration.ts";
import { admissionScopeOf, type EndpointRequest, withDefaults } from "./endpoint-request.ts";
import { matchNamespace, namespaceOf } from "./request-target.ts";
import type { WriteOptions } from "./write-options.ts";
import { timestamp, type WriteParts } from "./write-scope.ts";

export async function createVirtual(
  parts: WriteParts,
  request: EndpointRequest,
  virtual: VirtualHandler,
  { object, options }: { readonly object: KubeObject; readonly options: WriteOptions },
): Promise<ApiResponse> {
  const { context, resource, accepted } = request;
  matchNamespace(request, object);
  const namespace = namespaceOf(context, resource);
  const asked = placed(object, namespace);
  const draft = withDefaults(resource, asked);
  const scope = admissionScopeOf(context, resource, options);
  const answer = await carriedOut(parts, scope, { name: "", body: draft }, (body) =>
    virtual(body, { user: context.user, namespace }),
  );
  const { answersAnew = false } = resource.declaration;
  // Fields that admission added have no manager, as upstream.
  const answered = answersAnew ? answer : managed(parts, request, options, { asked, answer });
  return objectResponse(context, accepted, resource, ofValue(answered), 201);
}

/** Where the request says, and nobody's yet. */
function placed({ metadata, ...object }: KubeObject, namespace: string | undefined): KubeObject {
  const { uid: _, namespace: __, ...rest } = metadata;
  return { ...object, metadata: { ...rest, ...(namespace !== undefined && { namespace }) } };
}

/** A review's fields have a manager, too, though nothing is stored. */
function managed(
  parts: WriteParts,
  { context, resource }: EndpointRequest,
  options: WriteOptions,
  { asked, answer }: { readonly asked: KubeObject; readonly answer: KubeObject },
): KubeObject {
  const managedFields = updateManagedFields({
    schema: resource.schema,
    apiVersion: resource.apiVersion,
    live: undefined,
    next: asked,
    manager: managerOfRequest(options.fieldManager, context.headers["user-agent"]) || "unknown",
    now: timestamp(parts),
  });
  return managedFields ? { ...answer, metadata: { ...answer.metadata, managedFields: [...managedFields] } } : answer;
}
