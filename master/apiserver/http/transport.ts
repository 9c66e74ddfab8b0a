/**
 * HTTPS for the API server: tls.createServer, which alone shows client certificates under Bun, and behind it HTTP/2 or
 * HTTP/1.1, as the client chooses in the handshake (ALPN, RFC 7301).
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import { type ConnectionLimits, Connections, connectionLimits, connectionsWithin } from "#shared/http/connections.ts";
import { MAX_HEADERS_BYTES } from "#shared/http/header-limit.ts";
import { listenAt } from "#shared/net/listen.ts";
import { usableMemory } from "#shared/process/usable-memory.ts";
import { ClientAuthorities, type ClientAuthorityBundles, type ClientCertificate } from "../authn/client-authorities.ts";
import type { ApiServer } from "../server.ts";
import { Entrance } from "./entrance.ts";
import { createHttp1Server } from "./http1.ts";
import { Http2Server } from "./http2.ts";
import { type RequestRules, usualRequestRules } from "./request-rules.ts";
import { RequestService } from "./request-service.ts";
import { shownChain } from "./shown-chain.ts";
import { contextOf, type NamedCertificate, type TlsRules, usualTlsRules } from "./tls-rules.ts";
import { UpgradeService } from "./upgrade-service.ts";

export interface TransportCertificates {
  /** PEM, with what leads from it to an authority that clients know. */
  readonly certificate: string;
  readonly key: string;
  /** Whose certificates count. */
  readonly authorities: ClientAuthorityBundles;
}

export interface TransportOptions extends TransportCertificates {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** How requests are served and TLS is spoken, where that is not as usual. */
  readonly rules?: RequestRules | undefined;
  readonly tls?: TlsRules | undefined;
  /** Other than the usual ones. */
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /** What went wrong inside; a client only hears that something did. */
  readonly log: (message: string) => void;
}

const STOP_WITHIN_MS = 5_000;

export class HttpsTransport {
  readonly #options: TransportOptions;
  readonly #requests: RequestService;
  readonly #http1: Server;
  readonly #http2: Http2Server;
  readonly #tls: TlsServer;
  readonly #connections: Connections;
  /** What clients showed, DER: their certificate, and what leads from it to an authority, where TLS found that it does. */
  readonly #chains = new WeakMap<TLSSocket, readonly Buffer[]>();
  readonly #certificates = new WeakMap<TLSSocket, ClientCertificate>();
  #authorities: ClientAuthorities;

  constructor(server: ApiServer, options: TransportOptions) {
    this.#options = options;
    const { certificate, key, authorities, log, rules = usualRequestRules, tls = usualTlsRules } = options;
    this.#authorities = new ClientAuthorities(authorities);
    const limits = {
      ...connectionLimits,
      connections: connectionsWithin(usableMemory()),
      ...options.limits,
    };
    const connections = new Connections(limits);
    const certificateOf = (socket: TLSSocket): ClientCertificate | undefined => this.#certificates.get(socket);
    const entrance = new Entrance({ server, connections, certificateOf, log, longest_ms: rules.longest_ms });
    this.#connections = connections;
    this.#requests = new RequestService(server, connections, entrance, rules);
    const upgrades = new UpgradeService({ server, connections, entrance, log });
    const serve = this.#requests.serve.bind(this.#requests);
    this.#http1 = createHttp1Server({
      maxHeaders_bytes: MAX_HEADERS_BYTES,
      idleFor_ms: connectionLimits.idleFor_ms,
      serve,
      isUpgrade: (request) => upgrades.takes(request),
      upgrade: (request, socket, head) => void upgrades.serve(request, socket, head),
      log,
    });
    this.#http2 = new Http2Server({ maxHeaders_bytes: MAX_HEADERS_BYTES, stalledFor_ms: limits.stalledFor_ms, serve });
    this.#tls = createTlsServer(
      {
        cert: certificate,
        key,
        ca: this.#authorities.all,
        requestCert: true,
        // Who comes without a certificate may still bring a token; `authorized` says whether one counts.
        rejectUnauthorized: false,
        ALPNProtocols: ["h2", "http/1.1"],
        ...contextOf(tls),
      },
      (socket) => this.#accept(socket),
    );
    this.#addNamed(tls.named());
    this.#tls.on("connection", (socket: TLSSocket) => this.#connections.opened(socket));
    this.#tls.on("tlsClientError", () => server.metrics.handshakeErrors.add());
  }

  /** Connections that are open. */
  get connectionCount(): number {
    return this.#connections.count;
  }

  /** The port that is listened on. */
  async listen(): Promise<number> {
    const { host, port } = this.#options;
    await listenAt(this.#tls, { host, port }, "https-port");
    return (this.#tls.address() as AddressInfo).port;
  }

  /** Renewed certificates, for connections from now on, those for names among them, which are read anew. A connection whose client's
   *  certificate does not count any more is ended. Throws ConfigError. */
  useCertificates({ certificate, key, authorities }: TransportCertificates): void {
    const { tls = usualTlsRules } = this.#options;
    // Read first: where they are wrong, all stays as it is.
    const named = tls.named();
    this.#authorities = new ClientAuthorities(authorities);
    this.#tls.setSecureContext({ cert: certificate, key, ca: this.#authorities.all, ...contextOf(tls) });
    this.#addNamed(named);
    for (const socket of this.#connections.sockets) {
      const chain = this.#chains.get(socket);
      if (!chain) continue;
      const judged = this.#authorities.judge(chain);
      this.#certificates.set(socket, judged);
      if (!judged.isClients && !judged.isFrontProxys) this.#end(socket);
    }
  }

  /** Takes no more connections, lets requests under way end, then closes what is left. Watches end with the ApiServer. */
  async stop(): Promise<void> {
    this.#tls.close();
    this.#http2.goAway();
    const deadline_ms = performance.now() + STOP_WITHIN_MS;
    while (this.#requests.underWay > 0 && performance.now() < deadline_ms) {
      await Bun.sleep(20);
    }
    for (const socket of this.#connections.sockets) this.#end(socket);
    this.#http1.close();
  }

  /** Certificates for clients that ask for a name. */
  #addNamed(named: readonly NamedCertificate[]): void {
    const { tls = usualTlsRules } = this.#options;
    for (const { names, cert, key } of named)
      for (const name of names) this.#tls.addContext(name, { cert, key, ca: this.#authorities.all, ...contextOf(tls) });
  }

  #accept(socket: TLSSocket): void {
    this.#lookAtCertificate(socket);
    this.#connections.secured(socket);
    if (socket.alpnProtocol === "h2") this.#http2.accept(socket);
    else this.#http1.emit("connection", socket);
  }

  /** One that leads to no authority counts as shown: whoever shows it is not nobody, but refused. */
  #lookAtCertificate(socket: TLSSocket): void {
    const chain = shownChain(socket);
    const [raw] = chain;
    if (!raw) return;
    if (!socket.authorized) {
      this.#certificates.set(socket, { raw, isClients: false, isFrontProxys: false });
      return;
    }
    this.#chains.set(socket, chain);
    this.#certificates.set(socket, this.#authorities.judge(chain));
  }

  /** A client that speaks HTTP/2 hears which of its requests nobody has seen. */
  #end(socket: TLSSocket): void {
    if (!this.#http2.end(socket)) socket.destroy();
  }
}
