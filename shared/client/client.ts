import type { KubeObject, ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { DeleteOptions, ListMeta } from "#shared/api/types/meta-v1.generated.ts";
import type { SharedCache } from "./shared-cache.ts";

export interface Page<T> {
  readonly items: readonly T[];
  readonly metadata: ListMeta;
}

export type WatchEventType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";

/** An event of a watch. An ERROR frame is thrown as StatusError instead. */
export interface WatchEvent<T> {
  readonly type: WatchEventType;
  /** Frozen where it comes from the server's own memory: never change it. */
  readonly object: T;
}

export interface ReadScope {
  /** Absent: all namespaces (or a cluster-scoped resource). */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface ListOptions extends ReadScope {
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly resourceVersionMatch?: "Exact" | "NotOlderThan" | undefined;
}

export interface WatchOptions extends ReadScope {
  readonly resourceVersion?: string | undefined;
  /** WatchList (KEP-3157): the present objects first, then a BOOKMARK annotated `k8s.io/initial-events-end`. */
  readonly sendInitialEvents?: boolean | undefined;
  readonly allowWatchBookmarks?: boolean | undefined;
  readonly timeoutSeconds?: number | undefined;
  readonly signal: AbortSignal;
}

export interface WriteOptions {
  readonly fieldManager?: string | undefined;
  readonly dryRun?: boolean | undefined;
  /** `status`, `scale`, `binding`, `eviction`, `token`, … */
  readonly subresource?: string | undefined;
}

export type Patch =
  | { readonly type: "merge" | "strategic"; readonly body: object }
  | { readonly type: "json"; readonly body: readonly object[] }
  | { readonly type: "apply"; readonly body: object; readonly force?: boolean | undefined };

/**
 * How every component meets the API, in the same process or over a socket: authentication, authorisation, admission and
 * validation are the same on both ways. Every method rejects with StatusError; a transport that fails (refused, reset,
 * TLS) rejects with ConnectionError. Objects that come back may be frozen and shared: copy before changing.
 */
export interface Client {
  /** No server can be reached as far as is known: who has an older answer may take that rather than ask. */
  readonly isAway?: boolean;
  get<T>(
    ref: ResourceRef<T>,
    key: ObjectKey,
    options?: { readonly subresource?: string; readonly resourceVersion?: string },
  ): Promise<T>;
  list<T>(ref: ResourceRef<T>, options?: ListOptions): Promise<Page<T>>;
  /** Ends without an error when the server closes the watch; the caller goes on from the last resourceVersion it saw. */
  watch<T>(ref: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  create<T>(
    ref: ResourceRef<T>,
    object: T,
    options?: WriteOptions & { readonly namespace?: string | undefined },
  ): Promise<T>;
  /** Sends `metadata.resourceVersion` as it stands in the object: a stale one is refused with Conflict. */
  update<T>(ref: ResourceRef<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T>(ref: ResourceRef<T>, key: ObjectKey, patch: Patch, options?: WriteOptions): Promise<T>;
  delete(ref: ResourceRef<unknown>, key: ObjectKey, options?: DeleteOptions): Promise<void>;
  deleteCollection(ref: ResourceRef<unknown>, scope: ReadScope, options?: DeleteOptions): Promise<void>;
  /** POST to a subresource whose body has a kind of its own (Binding, Eviction, TokenRequest); answers its body. */
  post<B extends object>(ref: ResourceRef<unknown>, key: ObjectKey, subresource: string, body: B): Promise<B>;
  /** Where client and server share a process: the server's own cache of a resource. Undefined for a selection, and for
   *  what the server does not hold as the client is to see it. */
  sharedCache?<T extends KubeObject>(ref: ResourceRef<T>, scope: ReadScope): SharedCache<T> | undefined;
  /** Anything else: discovery, non-resource paths. `body` is JSON. */
  raw(request: RawRequest): Promise<unknown>;
}

export interface RawRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path with query. */
  readonly path: string;
  readonly body?: object | undefined;
  readonly contentType?: string | undefined;
  /** Media types of the answer; JSON, or what the path has, if absent. */
  readonly accept?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The server could not be reached or the connection broke: worth a retry, unlike most StatusErrors. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
}
