import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import { StatusError } from "#shared/api/errors.ts";
import type { Log } from "#shared/client/log.ts";
import { ConfigError } from "#shared/config/option.ts";
import { type ListenAddress, listenAt } from "#shared/net/listen.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import type { Part } from "#shared/process/parts.ts";
import { type ComponentPages, pageUrl, servePage } from "./component-pages.ts";
import { Connections, connectionLimits } from "./connections.ts";
import type { Access, Caller } from "./delegated-access.ts";

const anonymous: Caller = { user: "system:anonymous", groups: ["system:unauthenticated"] };
const reread_ms = 60_000;
/** Of a server that answers short pages to probes and to who collects metrics. */
const mostConnections = 64;
const slowest_ms = 10_000;
/** Of what nobody has been let in by, the oldest goes: those who come in may still do so. */
const secureLimits = { connections: 2 * mostConnections, unproven: mostConnections };

/** `IP:port` or `[IP]:port`. Throws ConfigError that names the setting. */
export function parseListenAddress(name: string, text: string): ListenAddress {
  const [, bracketed, bare, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535)
    throw new ConfigError(`${name}: expected ADDRESS:PORT, such as 127.0.0.1:10249, got ${JSON.stringify(text)}`);
  return { host: bracketed ?? (bare || "0.0.0.0"), port: Number(port) };
}

/** Serves a component's pages to whoever reaches the address, without TLS. Rejects when the port cannot be had. */
export async function servePages(pages: ComponentPages, address: ListenAddress, log: Log): Promise<Part> {
  const server = pageServer((request, response) => servePage(pages, request, response), log);
  await listenAt(server, address);
  return { stop: () => ended(server) };
}

export interface SecureServing {
  readonly pages: ComponentPages;
  readonly address: ListenAddress;
  readonly serving: KeyAndCertificate;
  readonly access: Access;
  /** Whose clients count by their certificate, PEM; undefined: nobody's. Asked now and then, as it may be rotated. */
  readonly clientAuthorities: () => Promise<string | undefined>;
  /** Paths that need no right, `/healthz` and the like; one that ends in `*` stands for all below. */
  readonly alwaysAllowed: readonly string[];
  readonly log: Log;
}

/** Serves a component's pages by TLS to whom the API server lets read them (as upstream's delegated authentication and
 *  authorisation). Rejects when the port cannot be had. */
export async function servePagesSecurely(options: SecureServing): Promise<Part> {
  const { log, access, pages, alwaysAllowed } = options;
  const connections = new Connections({ ...connectionLimits, ...secureLimits });
  const door = pageServer(async (request, response) => {
    await trust.renew();
    // As it is served: as it was written it may lead elsewhere (`/healthz/../metrics`).
    const url = pageUrl(request);
    await permit(access, alwaysAllowed, request, url.pathname);
    connections.proven(request.socket as TLSSocket);
    await servePage(pages, request, response, url);
  }, log);
  door.on("request", ({ socket }, response) => {
    connections.requestBegan(socket as TLSSocket);
    response.once("close", () => connections.requestEnded(socket as TLSSocket));
  });
  const listener = createTlsServer(
    {
      ...secureContext(options, undefined),
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
    },
    (socket) => {
      connections.secured(socket);
      door.emit("connection", socket);
    },
  );
  const trust = new ClientTrust(options, listener);
  listener.on("connection", (socket: TLSSocket) => connections.opened(socket));
  listener.on("tlsClientError", (error) => log.debug("a client was not understood", { error }));
  await listenAt(listener, options.address);
  void trust.renew();
  return {
    async stop() {
      door.closeAllConnections();
      await ended(listener);
    },
  };
}

/** @param ca whose certificates let clients in. Without it nobody is known by one: the server's own stands in its place, for an
 *  empty list would mean the system's authorities. */
const secureContext = ({ serving }: SecureServing, ca: string | undefined) => ({
  cert: serving.certificatePem,
  key: serving.keyPem,
  ca: ca ?? serving.certificatePem,
});

/** Whose certificates let clients in, asked again now and then. */
class ClientTrust {
  readonly #options: SecureServing;
  readonly #listener: TlsServer;
  #known: string | undefined;
  #next_ms = 0;

  constructor(options: SecureServing, listener: TlsServer) {
    this.#options = options;
    this.#listener = listener;
  }

  /** Never rejects: whoever is known stays known. */
  async renew(): Promise<void> {
    if (performance.now() < this.#next_ms) return;
    this.#next_ms = performance.now() + reread_ms;
    try {
      const ca = await this.#options.clientAuthorities();
      if (ca === this.#known) return;
      this.#known = ca;
      this.#listener.setSecureContext(secureContext(this.#options, ca));
    } catch (error) {
      const wrong = "who certifies clients is not known: nobody is let in by a certificate that is not known yet";
      this.#options.log.warn(wrong, { error });
    }
  }
}

/** Throws StatusError (401, 403) in upstream's words. */
async function permit(
  access: Access,
  alwaysAllowed: readonly string[],
  request: IncomingMessage,
  path: string,
): Promise<void> {
  const caller = (await access.callerOf(request)) ?? anonymous;
  if (alwaysAllowed.some((each) => (each.endsWith("*") ? path.startsWith(each.slice(0, -1)) : path === each))) return;
  const verb = (request.method ?? "GET").toLowerCase();
  if (await access.allows(caller, { nonResourceAttributes: { path, verb } })) return;
  throw new StatusError("Forbidden", `forbidden: User "${caller.user}" cannot ${verb} path "${path}"`, {
    hasDetails: true,
  });
}

function pageServer(serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>, log: Log): Server {
  const server = createHttpServer((request, response) => {
    serve(request, response).catch((error: unknown) => refuse(response, error, log));
  });
  server.maxConnections = mostConnections;
  server.requestTimeout = slowest_ms;
  server.headersTimeout = slowest_ms;
  return server;
}

function refuse(response: ServerResponse, error: unknown, log: Log): void {
  const status =
    error instanceof StatusError
      ? error
      : new StatusError("InternalError", `Internal Server Error: ${(error as Error).message}`, { cause: error });
  if (status.code >= 500) log.warn("a request failed", { error });
  if (response.headersSent) response.destroy();
  else response.writeHead(status.code, { "content-type": "application/json" }).end(JSON.stringify(status.toStatus()));
}

function ended(server: { close(done: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
