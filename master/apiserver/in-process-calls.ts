/** Requests of components in the server's process, as a transport has those of a socket: recorded, and answered by the server. */
import { internalError, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Client } from "#shared/client/client.ts";
import { listUrl } from "#shared/client/request-url.ts";
import type { SharedCache } from "#shared/client/shared-cache.ts";
import { agentOfUser } from "#shared/client/user-agent.ts";
import { type Auditor, auditIdOf } from "./audit/auditor.ts";
import type { AuditRecord } from "./audit/record.ts";
import type { Authorizer } from "./authz/authorizer.ts";
import { isLongRunning } from "./discovery/metrics.ts";
import { assertAllowed, attributesOf } from "./http/access.ts";
import { requestInfoOf } from "./http/request-info.ts";
import { usualRequestRules } from "./http/request-rules.ts";
import { splitUrl } from "./http/split-url.ts";
import { type Call, InProcessClient } from "./in-process-client.ts";
import type { ResourceTable } from "./registry/resource-table.ts";
import { type ApiResponse, type BodySource, type RequestBody, type User, withoutBody } from "./request.ts";
import type { ApiRequest } from "./server-parts.ts";
import { SharedResource } from "./shared-resource.ts";

/** What these calls need of the server. */
interface CalledServer {
  readonly resources: ResourceTable;
  readonly auditor: Auditor | undefined;
  /** Throws ServiceUnavailable while the server starts. */
  authorizer(): Authorizer;
  handle(request: ApiRequest, user: User): Promise<ApiResponse | "handled">;
}

export class InProcessCalls {
  readonly #server: CalledServer;

  constructor(server: CalledServer) {
    this.#server = server;
  }

  /** A client in this process that acts as `user`, through authorisation and admission as any other. */
  client(user: User, userAgent = agentOfUser(user.name)): Client {
    return new InProcessClient(
      { call: (call) => this.#call(call, user), sharedCache: (ref) => this.#sharedCache(ref, user) },
      userAgent,
    );
  }

  #sharedCache<T extends KubeObject>(ref: ResourceRef<T>, user: User): SharedCache<T> | undefined {
    const resource = this.#server.resources.findInProcess(ref.group, ref.version, ref.plural);
    if (!resource?.stored || !resource.isServedAsStored) return undefined;
    const permit = async (): Promise<void> => {
      const authorizer = this.#server.authorizer();
      for (const verb of ["list", "watch"]) {
        const { path, query } = splitUrl(listUrl(ref));
        const info = { ...requestInfoOf("GET", path, query), verb };
        await assertAllowed(authorizer, attributesOf(user, info, query));
      }
    };
    return new SharedResource<T>(resource, resource.stored.cache, permit);
  }

  async #call({ method, url, headers, body, signal }: Call, user: User): Promise<ApiResponse> {
    const { path, query } = splitUrl(url);
    const info = requestInfoOf(method, path, query);
    const request: ApiRequest = {
      method,
      info,
      query,
      headers,
      body: body ? ofObject(body) : withoutBody,
      signal,
      // Whoever asks from within is bound as any client of the server is.
      deadline_ms: isLongRunning(info) ? undefined : performance.now() + usualRequestRules.longest_ms,
      warnings: [],
      isInProcess: true,
    };
    const asked = { method, info, uri: url, headers, remoteAddress: "127.0.0.1" };
    const audit = this.#server.auditor?.begin(asked, user, auditIdOf(headers));
    const response = await (audit
      ? this.#recorded({ ...request, audit }, user, audit)
      : this.#server.handle(request, user));
    if (response === "handled") throw new Error(`${path} cannot be reached in the same process`);
    return response;
  }

  async #recorded(request: ApiRequest, user: User, audit: AuditRecord): Promise<ApiResponse | "handled"> {
    if (audit.isAwaited) await audit.begun();
    try {
      const response = await this.#server.handle(request, user);
      if (response === "handled") return response;
      audit.answered(response);
      if (response.kind !== "watch") {
        audit.complete(response.code);
        if (audit.isAwaited) await audit.answering(response.code, { lasts: false });
        return response;
      }
      audit.started(200);
      return { ...response, frames: untilEnd(response.frames, () => audit.complete(200)) };
    } catch (error) {
      const status = error instanceof StatusError ? error : internalError(String(error), error);
      audit.failed(status);
      audit.complete(status.code);
      if (audit.isAwaited) await audit.answering(status.code, { lasts: false });
      throw error;
    }
  }
}

function ofObject(object: object): BodySource {
  const body: RequestBody = { kind: "object", object };
  return { read: () => body };
}

async function* untilEnd<T>(items: AsyncIterable<T>, ended: () => void): AsyncGenerator<T> {
  try {
    yield* items;
  } finally {
    ended();
  }
}
