/** What an API server is built from, and what it is asked. */
import type { Client } from "#shared/client/client.ts";
import type { Store } from "../store/store.ts";
import type { AdmissionPlugin } from "./admission/admission.ts";
import type { Auditor } from "./audit/auditor.ts";
import type { AuditRecord } from "./audit/record.ts";
import type { Authenticator } from "./authn/authenticator.ts";
import type { IdentityHeaders } from "./authn/identity-headers.ts";
import type { Authorizer } from "./authz/authorizer.ts";
import type { RemoteVersions } from "./discovery/remote-version.ts";
import type { ResourceDeclaration } from "./registry/declaration.ts";
import type { SubresourceHandlers } from "./registry/endpoint.ts";
import type { ResourceReader } from "./registry/reader.ts";
import type { ResourceTable } from "./registry/resource-table.ts";
import type { Exchange } from "./registry/subresource-handler.ts";
import type { WriteCompanion } from "./registry/write-companion.ts";
import type { ApiResponse, BodySource, RequestContext, RequestInfo, User } from "./request.ts";
import type { RequestSpan, RequestTracer } from "./tracing/request-tracer.ts";

/** Serves one non-resource path, after authentication and authorisation. */
export type PathHandler = (context: RequestContext, exchange: Exchange | undefined) => Promise<ApiResponse | "handled">;

/** The same by an answer alone, without the raw exchange. */
export type PathAnswer = (context: RequestContext) => Promise<ApiResponse>;

/** What the parts that guard the server are built from. */
export interface ServerParts {
  readonly reader: ResourceReader;
  readonly resources: ResourceTable;
  /** A client in this process that acts as `user`. */
  client(user: User, userAgent?: string): Client;
}

/** What stands before the registry; built once the server can read its caches. */
export interface Guards {
  /** Gives a user for every request, anonymous ones included, or throws Unauthorized. */
  readonly authenticator: Authenticator;
  /** By which a proxy says whose a request is; the standard ones unless said otherwise. */
  readonly identityHeaders?: IdentityHeaders | undefined;
  readonly authorizer: Authorizer;
  readonly admission: readonly AdmissionPlugin[];
  /** What is kept beside the objects of some kinds. */
  readonly companions?: readonly WriteCompanion[] | undefined;
  /** Beyond the ones that the registry brings: logs, exec, tokens. */
  readonly subresources?: SubresourceHandlers | undefined;
  /** Exact non-resource paths. */
  readonly paths?: Readonly<Record<string, PathHandler>> | undefined;
  /** Non-resource paths by prefix (`/openapi/v3/`), longest first. */
  readonly pathPrefixes?: Readonly<Record<string, PathHandler>> | undefined;
  /** Kinds that need these parts: reviews, computed lists. */
  readonly declarations?: readonly ResourceDeclaration[] | undefined;
  /** Group versions that another server serves (APIService). undefined: not one of those. */
  readonly aggregator?: ((info: RequestInfo) => PathHandler | undefined) | undefined;
  /** What those servers serve, for discovery. */
  readonly remoteVersions?: RemoteVersions | undefined;
  /** `host:port` at which clients reach this server. */
  readonly serverAddress?: (() => string) | undefined;
}

export interface ApiServerOptions {
  readonly store: Store;
  readonly declarations: readonly ResourceDeclaration[];
  readonly guards: (parts: ServerParts) => Guards | Promise<Guards>;
  /** Records requests, of clients in this process too. */
  readonly auditor?: Auditor | undefined;
  /** Records spans of clients' requests. */
  readonly tracer?: RequestTracer | undefined;
  /** How long Events are kept; an hour unless given. */
  readonly eventLifetime_ms?: number | undefined;
  /** How long watches last at least whose clients do not say; half an hour unless given. */
  readonly shortestWatch_s?: number | undefined;
  /** Requests that are served at a time, where not as many as usual. */
  readonly seats?: number | undefined;
  /** Wall clock in ms since the epoch. */
  readonly now_ms?: (() => number) | undefined;
  /** Takes what is wrong and nobody who asked can be told; standard error unless given. */
  readonly report?: ((message: string) => void) | undefined;
}

/** A request as a transport hands it over. */
export interface ApiRequest {
  readonly method: string;
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: BodySource;
  readonly signal: AbortSignal;
  /** When its time is over, by performance.now(); absent: never. */
  readonly deadline_ms?: number | undefined;
  readonly warnings: string[];
  /** By a part of the server's own process. */
  readonly isInProcess?: boolean | undefined;
  readonly remoteAddress?: string | undefined;
  /** Where a policy wants the request recorded. */
  readonly audit?: AuditRecord | undefined;
  /** Where the request is traced. */
  readonly span?: RequestSpan | undefined;
}
