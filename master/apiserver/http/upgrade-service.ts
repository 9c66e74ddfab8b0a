import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { StatusError } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { Connections } from "#shared/http/connections.ts";
import { withoutBody } from "../request.ts";
import type { ApiServer } from "../server.ts";
import type { Outcome } from "../tracing/request-tracer.ts";
import { warningValues } from "./answer.ts";
import type { Caller, Entrance } from "./entrance.ts";
import { requestInfoOf } from "./request-info.ts";
import { splitUrl } from "./split-url.ts";
import { answerByWebSocket } from "./web-socket.ts";

const SWITCHED = 101;

/** What an answer's head tells beside the answer: the audit's ID, and warnings as they come. */
type Names = ReturnType<Entrance["namesOf"]> & { readonly warnings: string[] };

export interface UpgradeServiceOptions {
  readonly server: ApiServer;
  readonly connections: Connections;
  readonly entrance: Entrance;
  readonly log: (message: string) => void;
}

/** Connections that leave HTTP/1.1 for what streams both ways: exec, attach, port-forward, proxies, the boards' tunnels. */
export class UpgradeService {
  readonly #options: UpgradeServiceOptions;

  constructor(options: UpgradeServiceOptions) {
    this.#options = options;
  }

  /** Whether a request that asks for another protocol is one for `serve`. */
  takes({ method = "GET", url = "/", headers }: IncomingMessage): boolean {
    const { path, query } = splitUrl(url);
    try {
      return this.#options.server.takesUpgrade(
        requestInfoOf(method, path, query),
        headers.upgrade?.toLowerCase() ?? "",
      );
    } catch (error) {
      // It is no path, which is said of it as of other requests.
      if (error instanceof StatusError) return false;
      throw error;
    }
  }

  async serve(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const names = { ...this.#options.entrance.namesOf({ request: headOf(request) }), warnings: [] };
    try {
      await this.#serve(request, socket, head, names);
    } catch (error) {
      this.#refuse(request, socket, error, names);
    }
  }

  async #serve(request: IncomingMessage, socket: Duplex, head: Buffer, names: Names): Promise<void> {
    const { headers, auditId, warnings } = names;
    const { server, connections, entrance, log } = this.#options;
    const connection = request.socket as TLSSocket;
    connections.requestBegan(connection);
    const came_ms = server.tracer ? performance.now() : 0;
    const { method = "GET", url = "/" } = request;
    const { path, query } = splitUrl(url);
    const info = requestInfoOf(method, path, query);
    const caller = { request: headOf(request), connection, info };
    const gone = new AbortController();
    socket.on("close", () => gone.abort());
    const { user, audit } = await entrance.admit(caller, headers, auditId);
    const span = server.tracer?.begin({ method, url, headers, connection, info, user, auditId, came_ms });
    if (audit?.isAwaited) await audit.begun();
    const upgraded = { kind: "upgrade", request, socket, head } as const;
    const { signal } = gone;
    const { remoteAddress } = connection;
    try {
      const asked = { method, info, query, headers, body: withoutBody, signal, warnings, remoteAddress, audit };
      const answer = await server.handle(asked, await server.actorOf(asked, user), upgraded);
      if (answer !== "handled") {
        answerByWebSocket({ request, socket, head }, answer, (error) => {
          log(`${url} by WebSocket: ${messageOf(error)}`);
        });
      }
      audit?.started(SWITCHED);
      const completed = (): void => {
        audit?.complete(SWITCHED);
        span?.end(withoutBodies(SWITCHED));
      };
      if (signal.aborted) completed();
      else signal.addEventListener("abort", completed);
    } catch (error) {
      const status = entrance.statusOf(error, { method, url });
      audit?.failed(status);
      audit?.started(status.code);
      audit?.complete(status.code);
      span?.end(withoutBodies(status.code));
      throw status;
    }
  }

  /** As every error is answered, but that the connection ends: what a client sent behind its request is of another protocol. */
  #refuse(
    { method = "GET", url = "/" }: IncomingMessage,
    socket: Duplex,
    error: unknown,
    { auditId, warnings }: Names,
  ): void {
    const { connections, entrance } = this.#options;
    const status = entrance.statusOf(error, { method, url });
    const body = `${JSON.stringify(status.toStatus())}\n`;
    const told = warningValues(warnings)
      .map((value) => `warning: ${value}\r\n`)
      .join("");
    // What the client sends all the same is read and dropped: a stream with unread data never closes.
    socket.resume();
    connections.requestEnded(socket as TLSSocket);
    const answer =
      `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? status.reason}\r\naudit-id: ${auditId}\r\n` +
      `cache-control: no-cache, private\r\ncontent-type: application/json\r\n` +
      `date: ${new Date().toUTCString()}\r\nconnection: close\r\n${told}` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n`;
    socket.write(answer, "latin1");
    socket.end(body);
  }
}

/** What streams carry is no body. */
const withoutBodies = (code: number): Outcome => ({ code, requestBody_bytes: 0, responseBody_bytes: 0 });

const headOf = ({ method = "GET", url = "/", headers, rawHeaders }: IncomingMessage): Caller["request"] => ({
  method,
  url,
  headers,
  rawHeaders,
});
