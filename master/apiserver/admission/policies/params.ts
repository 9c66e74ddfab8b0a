/** The objects that bindings parameterise their policies with (upstream's CollectParams). */
import type { KubeObject } from "#shared/api/object.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type { ParamKind, ParamRef } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { ResourceTable } from "../../registry/resource-table.ts";
import type { ServedResource } from "../../registry/served-resource.ts";

/** The policy or the binding cannot be applied as it is written. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
}

/** Throws ConfigurationError where nothing of that kind is served. */
export function paramResource(resources: ResourceTable, { apiVersion = "", kind = "" }: ParamKind): ServedResource {
  const { group, version } = parseApiVersion(apiVersion);
  for (const resource of resources.all()) {
    const { gvk } = resource;
    if (gvk.group === group && gvk.version === version && gvk.kind === kind) return resource;
  }
  throw new ConfigurationError(`failed to find resource referenced by paramKind: '${group}/${version}, Kind=${kind}'`);
}

/** @param namespace of the request. Throws ConfigurationError. */
export function paramsOf(resource: ServedResource, paramRef: ParamRef, namespace: string): readonly KubeObject[] {
  const { namespaced } = resource.declaration.ref;
  const within = namespaced ? paramRef.namespace || namespace : undefined;
  if (within === "") {
    throw new ConfigurationError(
      "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources",
    );
  }
  if (!namespaced && paramRef.namespace)
    throw new ConfigurationError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`");
  const found = objectsOf(resource, within, paramRef);
  if (found.length === 0 && paramRef.parameterNotFoundAction === "Deny")
    throw new ConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction");
  return found;
}

function objectsOf(
  resource: ServedResource,
  namespace: string | undefined,
  { name, selector }: ParamRef,
): KubeObject[] {
  const cache = resource.stored?.cache;
  if (!cache) return [];
  if (name) {
    const entry = cache.get(namespace === undefined ? name : `${namespace}/${name}`);
    return entry ? [resource.serve(entry).view()] : [];
  }
  const parsed = labelSelectorOf(selector ?? {});
  return cache
    .list(namespace)
    .filter((entry) => parsed.matches(entry.indexed.labels))
    .map((entry) => resource.serve(entry).view());
}
