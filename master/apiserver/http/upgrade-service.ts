import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { StatusError } from "#shared/api/errors.ts";
import type { Connections } from "#shared/http/connections.ts";
import { withoutBody } from "../request.ts";
import type { ApiServer } from "../server.ts";
import { warningValues } from "./answer.ts";
import type { Entrance } from "./entrance.ts";
import { requestInfoOf } from "./request-info.ts";
import { splitUrl } from "./split-url.ts";
import { answerByWebSocket } from "./web-socket.ts";

const SWITCHED = 101;

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
    const warnings: string[] = [];
    try {
      await this.#serve(request, socket, head, warnings);
    } catch (error) {
      this.#refuse(request, socket, error, warnings);
    }
  }

  async #serve(request: IncomingMessage, socket: Duplex, head: Buffer, warnings: string[]): Promise<void> {
    const { server, connections, entrance, log } = this.#options;
    const connection = request.socket as TLSSocket;
    connections.requestBegan(connection);
    const { method = "GET", url = "/" } = request;
    const { path, query } = splitUrl(url);
    const info = requestInfoOf(method, path, query);
    const caller = {
      request: { method, url, headers: request.headers, rawHeaders: request.rawHeaders },
      connection,
      info,
    };
    const { headers, auditId } = entrance.namesOf(caller);
    const { user, audit } = await entrance.admit(caller, headers, auditId);
    const gone = new AbortController();
    socket.on("close", () => gone.abort());
    const upgraded = { kind: "upgrade", request, socket, head } as const;
    const { signal } = gone;
    const { remoteAddress } = connection;
    try {
      const asked = { method, info, query, headers, body: withoutBody, signal, warnings, remoteAddress, audit };
      const answer = await server.handle(asked, await server.actorOf(asked, user), upgraded);
      if (answer !== "handled") {
        answerByWebSocket({ request, socket, head }, answer, (error) => {
          log(`${url} by WebSocket: ${error instanceof Error ? error.message : String(error)}`);
        });
      }
      audit?.started(SWITCHED);
      socket.on("close", () => audit?.complete(SWITCHED));
    } catch (error) {
      const status = entrance.statusOf(error, { method, url });
      audit?.failed(status);
      audit?.started(status.code);
      audit?.complete(status.code);
      throw status;
    }
  }

  #refuse(
    { method = "GET", url = "/" }: IncomingMessage,
    socket: Duplex,
    error: unknown,
    warnings: readonly string[],
  ): void {
    const { connections, entrance } = this.#options;
    const status = entrance.statusOf(error, { method, url });
    const body = JSON.stringify(status.toStatus());
    const told = warningValues(warnings)
      .map((value) => `warning: ${value}\r\n`)
      .join("");
    // What the client sends all the same is read and dropped: a stream with unread data never closes.
    socket.resume();
    connections.requestEnded(socket as TLSSocket);
    const answer =
      `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? status.reason}\r\ncontent-type: application/json\r\n` +
      `cache-control: no-cache, private\r\nconnection: close\r\n${told}` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n`;
    socket.write(answer, "latin1");
    socket.end(body);
  }
}
