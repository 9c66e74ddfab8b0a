import type { DecodedDocument } from "#shared/api/codec/json.ts";
import type { YamlError } from "#shared/api/codec/yaml.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { AuditRecord } from "./audit/record.ts";
import type { Accepted } from "./http/negotiate.ts";
import type { RequestSpan } from "./tracing/request-tracer.ts";

/** Of a user's extras: the credential by which somebody was known (KEP-4193). */
export const credentialIdKey = "authentication.kubernetes.io/credential-id";

/** Who asks, once authenticated (authentication.k8s.io UserInfo). */
export interface User {
  readonly name: string;
  readonly uid?: string | undefined;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** The verbs that authorisation knows for resources; non-resource requests use the lower-case HTTP method. */
export type Verb =
  | "get"
  | "list"
  | "watch"
  | "create"
  | "update"
  | "patch"
  | "delete"
  | "deletecollection"
  | (string & {});

/** What a path and method mean, by the API conventions; parsed once per request. */
export interface RequestInfo {
  readonly isResourceRequest: boolean;
  /** Escapes taken out. */
  readonly path: string;
  /** As it was sent: what a proxy passes on. */
  readonly rawPath: string;
  readonly verb: Verb;
  /** `api` or `apis` on resource requests. */
  readonly apiPrefix: string;
  readonly group: string;
  readonly version: string;
  /** Absent on cluster-scoped requests. A request for a Namespace itself carries that name here, as upstream does. */
  readonly namespace?: string | undefined;
  /** The path has a place for a namespace, and nothing in it: none is named, but a request for one object lacks it. */
  readonly lacksNamespace?: true | undefined;
  readonly resource: string;
  readonly subresource?: string | undefined;
  readonly name?: string | undefined;
  /** Path segments after the subresource: what a proxy passes on. */
  readonly rest: readonly string[];
}

/** A body is bytes from a socket, or an object handed over by an in-process client. */
export type RequestBody =
  | { readonly kind: "none" }
  | {
      readonly kind: "bytes";
      readonly bytes: Uint8Array;
      /** What YAML said that was too large to be read in passing, or why it could not be read. */
      readonly yaml?: DecodedDocument | YamlError | undefined;
    }
  | { readonly kind: "object"; readonly object: object };

/** Where a request's body comes from. None of it is taken in before somebody reads it, once it is known that the request may be made. */
export interface BodySource {
  /** Hands it over, once. Throws 413 for one that is too large, 400 for one that does not come whole. */
  read(): RequestBody | Promise<RequestBody>;
}

const none: RequestBody = { kind: "none" };
/** Of a request that has none. */
export const withoutBody: BodySource = { read: () => none };

/** The typed context that every stage of the pipeline is a function of. */
export interface RequestContext {
  readonly method: string;
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
  /** Names in lower case. Repeated headers joined as node:http joins them. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly user: User;
  readonly body: BodySource;
  /** Aborted when the client has gone or the deadline has passed. */
  readonly signal: AbortSignal;
  /** When its time is over, by performance.now(); absent: never. */
  readonly deadline_ms?: number | undefined;
  /** Become `Warning: 299` headers. */
  readonly warnings: string[];
  readonly auditAnnotations: Record<string, string>;
  /** Where a policy wants the request recorded. */
  readonly audit?: AuditRecord | undefined;
  /** Where the request is traced. */
  readonly span?: RequestSpan | undefined;
  readonly remoteAddress?: string | undefined;
  /** The caches lag: what must be the newest is read in the store, as of this revision at least. */
  readonly behind?: number | undefined;
}

/** An object as the watch cache holds it: canonical JSON text, parsed on demand into a frozen view shared by all. */
export interface CachedObject {
  /** `namespace/name` or `name`. */
  readonly key: string;
  readonly revision: number;
  /** JSON text as served, resourceVersion included. */
  text(): string;
  /** The same without apiVersion and kind. */
  bareText(): string;
  /** Deep-frozen. */
  view(): KubeObject;
}

export interface WatchFrame {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  /** The object of an ADDED, MODIFIED or DELETED frame, unless it has been turned into something else (a Table). */
  readonly object?: CachedObject | undefined;
  /** About how much memory it holds while it waits, in bytes. */
  readonly weight: number;
  /** JSON text of the object (or Table, or Status). */
  text(): string;
  /** The same as a frozen value, for in-process clients. */
  view(): object;
}

export interface ListShape {
  /** All but the members. */
  readonly head: object;
  /** The field that holds the members. */
  readonly name: string;
  member(item: CachedObject): object;
}

/**
 * What a stage answers; the transport renders it (JSON, gzip, chunks) and in-process clients take values as they are.
 * `accepted`: what was settled for this answer; without it, what the client's header gives for an object's own form.
 */
export type ApiResponse =
  | {
      readonly kind: "object";
      readonly code: number;
      readonly value: () => object;
      readonly text: () => string;
      readonly accepted?: Accepted | undefined;
    }
  | {
      readonly kind: "list";
      readonly code: number;
      readonly apiVersion: string;
      readonly listKind: string;
      readonly metadata: object;
      readonly items: readonly CachedObject[];
      /** Members leave out apiVersion and kind, which follow from the list's: so it is with all kinds but custom ones. */
      readonly isBare: boolean;
      /** Another form than the objects' own (Table, metadata alone): made member by member as the answer is written. */
      readonly shape?: ListShape | undefined;
      readonly accepted?: Accepted | undefined;
    }
  | { readonly kind: "watch"; readonly frames: AsyncIterable<WatchFrame>; readonly accepted?: Accepted | undefined }
  | {
      readonly kind: "bytes";
      readonly code: number;
      /** "" is not sent. */
      readonly contentType: string;
      readonly headers?: Readonly<Record<string, string>> | undefined;
      readonly body: string | Uint8Array | AsyncIterable<Uint8Array>;
    };
