import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Endpoint } from "./endpoints.ts";
import { type RegistryAnswer, RegistryRequests } from "./registry-request.ts";

/** A pull under way: where what it asks for may be had. */
interface Ticket {
  /** The repository's path at this proxy. */
  readonly path: string;
  readonly endpoints: readonly Endpoint[];
  readonly requests: RegistryRequests;
  /** Those that could not be reached in this pull. */
  readonly away: Set<Endpoint>;
}

/** What a runtime shows to pull by way of the proxy. */
export interface PullTicket {
  readonly username: string;
  readonly password: string;
  close(): void;
}

const passedOn = ["accept", "range", "if-none-match"];
const passedBack = [
  "content-type",
  "content-length",
  "content-range",
  "accept-ranges",
  "docker-content-digest",
  "docker-distribution-api-version",
  "etag",
];
const username = "bramble";

/**
 * A registry on loopback that only the board's container runtime can use: it answers nothing without the ticket of a pull
 * that the agent began. It asks the ticket's endpoints in their order until one has what is wanted, so a runtime that
 * knows neither mirrors nor their certificates pulls through them.
 */
export class PullProxy {
  readonly #server: Server;
  readonly #tickets = new Map<string, Ticket>();

  private constructor(readonly warn: (message: string) => void) {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        // The runtime sees a broken answer and says so in the pull's own error.
        response.destroy(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  /** Rejects when the port is taken. */
  static async listen(port: number, warn: (message: string) => void): Promise<PullProxy> {
    const proxy = new PullProxy(warn);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(port, "127.0.0.1", resolve);
    });
    return proxy;
  }

  /** Lets one pull of a repository through, until it is closed. */
  open(path: string, endpoints: readonly Endpoint[]): PullTicket {
    const password = randomUUID();
    this.#tickets.set(password, { path, endpoints, requests: new RegistryRequests(), away: new Set() });
    return { username, password, close: () => this.#tickets.delete(password) };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const ticket = this.#ticketOf(request.headers.authorization ?? "");
    if (!ticket) return refuse(response, 401, "UNAUTHORIZED", "this registry is for pulls of the agent alone");
    const path = (request.url ?? "").split("?")[0] ?? "";
    if (path === "/v2/" || path === "/v2") return void response.writeHead(200).end("{}");
    const { method } = request;
    const suffix = path.slice(`/v2/${ticket.path}`.length);
    const isRead = method === "GET" || method === "HEAD";
    if (!isRead || path !== `/v2/${ticket.path}${suffix}` || !/^\/(manifests|blobs)\/[^/]+$/.test(suffix)) {
      return refuse(response, 404, "NAME_UNKNOWN", "not what this pull is for");
    }
    const headers = Object.fromEntries(
      passedOn.flatMap((name) => {
        const value = request.headers[name];
        return value === undefined ? [] : [[name, String(value)]];
      }),
    );
    await this.#relay(ticket, suffix, method, headers, response);
  }

  async #relay(
    ticket: Ticket,
    suffix: string,
    method: "GET" | "HEAD",
    headers: Readonly<Record<string, string>>,
    response: ServerResponse,
  ): Promise<void> {
    const reachable = ticket.endpoints.filter((endpoint) => !ticket.away.has(endpoint));
    const candidates = reachable.length > 0 ? reachable : ticket.endpoints;
    const failures: string[] = [];
    for (const [index, endpoint] of candidates.entries()) {
      let answer: RegistryAnswer;
      try {
        answer = await ticket.requests.ask(endpoint, suffix, method, headers);
      } catch (error) {
        ticket.away.add(endpoint);
        failures.push(`${endpoint.host}: ${(error as Error).message}`);
        continue;
      }
      const isLast = index === candidates.length - 1;
      if (answer.response.ok || answer.response.status === 304 || isLast) {
        return await passOn(answer, failures, method, response);
      }
      failures.push(`${endpoint.host}: HTTP status ${answer.response.status}`);
      answer.cancel();
    }
    this.warn(`a registry cannot be reached: ${failures.join("; ")}`);
    // Of what is 500 and more, Docker shows no message.
    refuse(response, 400, "UNAVAILABLE", `dial tcp: ${failures.join("; ")}`);
  }

  #ticketOf(authorization: string): Ticket | undefined {
    const [, base64 = ""] = /^basic (.+)$/i.exec(authorization) ?? [];
    const [, password = ""] = /^[^:]*:(.*)$/.exec(Buffer.from(base64, "base64").toString()) ?? [];
    return this.#tickets.get(password);
  }
}

async function passOn(
  { response: answer, cancel }: RegistryAnswer,
  before: readonly string[],
  method: "GET" | "HEAD",
  response: ServerResponse,
): Promise<void> {
  // A challenge of that registry is nothing that the runtime could answer here.
  if (answer.status === 401 || answer.status === 403) {
    cancel();
    const where = new URL(answer.url).host;
    const message = ["unauthorized: authentication required", ...before].join("; ");
    return refuse(response, 403, "DENIED", `${where}: ${message}`);
  }
  const headers = Object.fromEntries(
    passedBack.flatMap((name) => {
      const value = answer.headers.get(name);
      return value === null ? [] : [[name, value]];
    }),
  );
  response.writeHead(answer.status, headers);
  if (method === "HEAD" || answer.body === null) {
    cancel();
    return void response.end();
  }
  response.once("close", cancel);
  // The two declarations of one class differ in what Bun adds to it.
  const body = answer.body as unknown as Parameters<typeof Readable.fromWeb>[0];
  await pipeline(Readable.fromWeb(body), response);
}

/** In the form that registries word errors in, so that runtimes show the message. */
function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  const challenge = status === 401 ? { "www-authenticate": 'Basic realm="bramble"' } : {};
  response.writeHead(status, { "content-type": "application/json", ...challenge });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}
