import type { TLSSocket } from "node:tls";
import { internalError, StatusError } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { Connections } from "#shared/http/connections.ts";
import { auditIdOf } from "../audit/auditor.ts";
import type { AuditedRequest, AuditRecord } from "../audit/record.ts";
import { anonymousUser } from "../authn/chain.ts";
import type { ClientCertificate } from "../authn/client-authorities.ts";
import type { RequestInfo, User } from "../request.ts";
import type { ApiServer } from "../server.ts";
import type { ApiRequest } from "../server-parts.ts";
import type { HttpRequest } from "./arrival.ts";
import { timeLimitOf } from "./request-deadline.ts";
import { dropIdentity, headersOf } from "./request-headers.ts";
import { usualRequestRules } from "./request-rules.ts";

const UNAUTHORIZED = 401;

/** A request at the door, before anybody knows whose it is. */
export interface Caller {
  readonly request: Pick<HttpRequest, "method" | "url" | "headers" | "rawHeaders">;
  readonly connection: TLSSocket;
  readonly info: RequestInfo;
}

export interface Admitted {
  readonly user: User;
  readonly audit: AuditRecord | undefined;
}

export interface EntranceOptions {
  /** For every request that does not last; a minute unless given. */
  readonly longest_ms?: number | undefined;
  readonly server: ApiServer;
  readonly connections: Connections;
  readonly certificateOf: (connection: TLSSocket) => ClientCertificate | undefined;
  /** What went wrong inside; a client only hears that something did. */
  readonly log: (message: string) => void;
}

/** Says who a request is of, and has the audit record it; the same for requests and upgrades, by every version of HTTP. */
export class Entrance {
  readonly #options: EntranceOptions;

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  /** The request's headers, and the ID by which the audit knows it. */
  namesOf({ request }: Pick<Caller, "request">): { headers: ApiRequest["headers"]; auditId: string } {
    const headers = headersOf(request, this.#options.server.identityHeaders);
    return { headers, auditId: auditIdOf(headers) };
  }

  /** How long the request may take (ms). Throws BadRequest for a time that is none. */
  limited(caller: Caller, query: URLSearchParams, headers: ApiRequest["headers"], auditId: string): number {
    try {
      return timeLimitOf(query, this.#options.longest_ms ?? usualRequestRules.longest_ms);
    } catch (error) {
      if (error instanceof StatusError) void this.#refused(askedBy(caller, headers), auditId, error);
      throw error;
    }
  }

  /** Throws what authentication refuses. */
  async admit(caller: Caller, headers: ApiRequest["headers"], auditId: string, warnings?: string[]): Promise<Admitted> {
    const { server, connections, certificateOf } = this.#options;
    const { request, connection, info } = caller;
    const { remoteAddress } = connection;
    const asked = askedBy(caller, headers);
    try {
      const user = await server.authenticate({
        headers,
        request,
        path: info.path,
        clientCertificate: certificateOf(connection),
        remoteAddress,
        warnings,
      });
      dropIdentity(request, server.identityHeaders);
      if (user.name !== anonymousUser.name) connections.proven(connection);
      return { user, audit: server.auditor?.begin(asked, user, auditId) };
    } catch (error) {
      if (error instanceof StatusError && error.code === UNAUTHORIZED) await this.#refused(asked, auditId, error);
      throw error;
    }
  }

  /** Resolves once the client may be told. */
  async #refused(asked: AuditedRequest, auditId: string, error: StatusError): Promise<void> {
    const audit = this.#options.server.auditor?.begin(asked, undefined, auditId);
    audit?.unauthenticated(error);
    if (audit?.isAwaited) await audit.answering(error.code, { lasts: true });
  }

  /** What a client is told of an error; one that is no answer of the API's own is logged. */
  statusOf(error: unknown, request: Pick<HttpRequest, "method" | "url">): StatusError {
    if (error instanceof StatusError) return error;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.log(`${request.method} ${request.url}: ${text}`);
    return internalError(messageOf(error), error);
  }
}

function askedBy({ request, connection, info }: Caller, headers: ApiRequest["headers"]): AuditedRequest {
  const { remoteAddress } = connection;
  return { method: request.method, info, uri: request.url, headers, remoteAddress };
}
