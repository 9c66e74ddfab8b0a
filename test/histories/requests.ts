/** An operation as a request, by what its client saw last of the object. */
import type { KubeObject } from "#shared/api/object.ts";
import { applied, changedObject, finalizer, jsonPatch, mergePatch, newObject, statusBody } from "./bodies.ts";
import type { Operation, Target } from "./operations.ts";
import { type Plural, resourceOf } from "./resources.ts";
import type { ServerRequest } from "./server-call.ts";

const mediaTypes = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

export interface Known {
  /** What its client saw last of the target. */
  readonly seen: KubeObject | undefined;
  /** The newest resourceVersion that its client was told of; empty for none. */
  readonly newest: string;
  readonly manager: string;
  readonly tag: string;
}

export interface PlannedRequest extends ServerRequest {
  readonly version?: string | undefined;
  readonly uid?: string | undefined;
}

export function collectionPath(plural: Plural, namespace: string | undefined): string {
  const { root } = resourceOf(plural);
  return namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${namespace}/${plural}`;
}

const objectPath = ({ plural, namespace, name }: Target): string => `${collectionPath(plural, namespace)}/${name}`;

/** Undefined where the operation needs an object that its client never saw. */
export function requestOf(operation: Operation, known: Known): PlannedRequest | undefined {
  switch (operation.verb) {
    case "create": {
      const { plural, namespace } = operation.target;
      const path = `${collectionPath(plural, namespace)}?fieldManager=${known.manager}`;
      return { method: "POST", path, body: newObject(operation, known.tag) };
    }
    case "update":
      return update(operation, known);
    case "patch":
      return patch(operation, known);
    case "status":
      return status(operation, known);
    case "hold":
      return finalizers(operation.target, [finalizer], known);
    case "release":
      return finalizers(operation.target, [], known);
    case "delete":
      return deletion(operation, known);
    case "deleteCollection": {
      const path = `${collectionPath(operation.plural, operation.namespace)}?labelSelector=group%3D${operation.group}`;
      return { method: "DELETE", path };
    }
    case "get":
      return get(operation, known);
    case "list":
      return list(operation, known);
  }
}

type Of<V extends Operation["verb"]> = Extract<Operation, { verb: V }>;

const versionIf = (condition: "none" | "seen", { seen }: Known): string | undefined =>
  condition === "seen" ? seen?.metadata.resourceVersion : undefined;

function update({ target, group, condition }: Of<"update">, known: Known): PlannedRequest | undefined {
  if (!known.seen) return undefined;
  const version = versionIf(condition, known);
  const body = changedObject(known.seen, target.plural, group, known.tag);
  const { resourceVersion: _, ...metadata } = body.metadata;
  return {
    method: "PUT",
    path: `${objectPath(target)}?fieldManager=${known.manager}`,
    body: { ...body, metadata: version === undefined ? metadata : { ...metadata, resourceVersion: version } },
    version,
  };
}

function patch({ target, type, group, condition }: Of<"patch">, known: Known): PlannedRequest {
  const version = versionIf(condition, known);
  const bodies = {
    merge: () => mergePatch(target.plural, group, known.tag, version),
    json: () => jsonPatch(group, known.tag, version),
    apply: () => applied(target.plural, target.name, known.manager, known.tag, version),
  };
  const force = type === "apply" ? "&force=true" : "";
  return {
    method: "PATCH",
    path: `${objectPath(target)}?fieldManager=${known.manager}${force}`,
    body: bodies[type](),
    contentType: mediaTypes[type],
    version,
  };
}

function status({ target, condition }: Of<"status">, known: Known): PlannedRequest {
  const version = versionIf(condition, known);
  const metadata = version === undefined ? {} : { metadata: { resourceVersion: version } };
  return {
    method: "PATCH",
    path: `${objectPath(target)}/status?fieldManager=${known.manager}`,
    body: { ...metadata, ...statusBody(target.plural, known.tag) },
    contentType: mediaTypes.merge,
    version,
  };
}

function finalizers(target: Target, wanted: readonly string[], known: Known): PlannedRequest {
  return {
    method: "PATCH",
    path: `${objectPath(target)}?fieldManager=${known.manager}`,
    body: { metadata: { annotations: { tag: known.tag }, finalizers: wanted } },
    contentType: mediaTypes.merge,
  };
}

function deletion({ target, preconditions }: Of<"delete">, { seen }: Known): PlannedRequest | undefined {
  if (preconditions !== "none" && !seen) return undefined;
  const version = preconditions === "version" || preconditions === "both" ? seen?.metadata.resourceVersion : undefined;
  const uid = preconditions === "uid" || preconditions === "both" ? seen?.metadata.uid : undefined;
  const conditions = { ...(uid ? { uid } : {}), ...(version ? { resourceVersion: version } : {}) };
  return {
    method: "DELETE",
    path: objectPath(target),
    body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: conditions },
    version,
    uid,
  };
}

function get({ target, at }: Of<"get">, { newest }: Known): PlannedRequest {
  const version = { newest: undefined, any: "0", seen: newest || undefined }[at];
  const query = version === undefined ? "" : `?resourceVersion=${version}`;
  return { method: "GET", path: `${objectPath(target)}${query}`, version };
}

function list({ plural, namespace, group, at, limit }: Of<"list">, { newest }: Known): PlannedRequest {
  const query = new URLSearchParams();
  const named = at === "exact" || at === "notOlder" ? newest : "";
  const version = at === "any" ? "0" : named || undefined;
  if (version !== undefined) query.set("resourceVersion", version);
  if (named) query.set("resourceVersionMatch", at === "exact" ? "Exact" : "NotOlderThan");
  if (limit > 0) query.set("limit", String(limit));
  if (group) query.set("labelSelector", `group=${group}`);
  const path = collectionPath(plural, namespace);
  return { method: "GET", path: query.size > 0 ? `${path}?${query}` : path, version };
}
