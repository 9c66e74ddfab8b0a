/**
 * HTTPS for the API server: tls.createServer, which alone shows client certificates under Bun, and behind it HTTP/2 or
 * HTTP/1.1, as the client chooses in the handshake (ALPN, RFC 7301).
 */
import { X509Certificate } from "node:crypto";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  createServer as createTlsServer,
  type PeerCertificate,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { splitCertificates } from "#shared/pki/certificate-bundle.ts";
import type { ApiServer } from "../server.ts";
import { type ConnectionLimits, Connections, connectionLimits } from "./connections.ts";
import { Entrance } from "./entrance.ts";
import { createHttp1Server } from "./http1.ts";
import { Http2Server } from "./http2.ts";
import { RequestService } from "./request-service.ts";
import { UpgradeService } from "./upgrade-service.ts";

export interface TransportCertificates {
  /** PEM, with what leads from it to an authority that clients know. */
  readonly certificate: string;
  readonly key: string;
  /** PEM of the authorities whose client certificates count. */
  readonly clientAuthorities: string;
}

export interface TransportOptions extends TransportCertificates {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Other than the usual ones. */
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /** What went wrong inside; a client only hears that something did. */
  readonly log: (message: string) => void;
}

/** Upstream takes 1 MiB, which many connections at once make too much for a small board. */
const MAX_HEADERS_BYTES = 256 * 1024;
const STOP_WITHIN_MS = 5_000;

export class HttpsTransport {
  readonly #options: TransportOptions;
  readonly #requests: RequestService;
  readonly #http1: Server;
  readonly #http2: Http2Server;
  readonly #tls: TlsServer;
  readonly #connections: Connections;
  readonly #certificates = new WeakMap<TLSSocket, PeerCertificate>();

  constructor(server: ApiServer, options: TransportOptions) {
    this.#options = options;
    const { certificate, key, clientAuthorities, log } = options;
    const limits = { ...connectionLimits, ...options.limits };
    const connections = new Connections(limits);
    const certificateOf = (socket: TLSSocket): PeerCertificate | undefined => this.#certificates.get(socket);
    const entrance = new Entrance({ server, connections, certificateOf, log });
    this.#connections = connections;
    this.#requests = new RequestService(server, connections, entrance);
    const upgrades = new UpgradeService({ server, connections, entrance, log });
    const serve = this.#requests.serve.bind(this.#requests);
    this.#http1 = createHttp1Server({
      maxHeaders_bytes: MAX_HEADERS_BYTES,
      idleFor_ms: connectionLimits.idleFor_ms,
      serve,
      upgrade: (request, socket, head) => void upgrades.serve(request, socket, head),
      log,
    });
    this.#http2 = new Http2Server({ maxHeaders_bytes: MAX_HEADERS_BYTES, stalledFor_ms: limits.stalledFor_ms, serve });
    this.#tls = createTlsServer(
      {
        cert: certificate,
        key,
        ca: clientAuthorities,
        requestCert: true,
        // Who comes without a certificate may still bring a token; `authorized` says whether one counts.
        rejectUnauthorized: false,
        ALPNProtocols: ["h2", "http/1.1"],
        minVersion: "TLSv1.2",
      },
      (socket) => this.#accept(socket),
    );
    this.#tls.on("connection", (socket: TLSSocket) => this.#connections.opened(socket));
    this.#tls.on("tlsClientError", () => undefined);
  }

  /** Connections that are open. */
  get connectionCount(): number {
    return this.#connections.count;
  }

  /** The port that is listened on. */
  async listen(): Promise<number> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#tls.once("error", reject);
      this.#tls.listen(port, host, resolve);
    });
    return (this.#tls.address() as AddressInfo).port;
  }

  /** Renewed certificates, for connections from now on. One whose client's certificate does not count any more is ended. */
  useCertificates({ certificate, key, clientAuthorities }: TransportCertificates): void {
    this.#tls.setSecureContext({ cert: certificate, key, ca: clientAuthorities });
    const authorities = splitCertificates(clientAuthorities).map((pem) => new X509Certificate(pem).publicKey);
    for (const socket of this.#connections.sockets) {
      const shown = this.#certificates.get(socket);
      if (shown && !authorities.some((authority) => new X509Certificate(shown.raw).verify(authority)))
        this.#end(socket);
    }
  }

  /** Takes no more connections, lets requests under way end, then closes what is left. Watches end with the ApiServer. */
  async stop(): Promise<void> {
    this.#tls.close();
    this.#http2.goAway();
    const deadline_ms = performance.now() + STOP_WITHIN_MS;
    while (this.#requests.underWay > 0 && performance.now() < deadline_ms) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const socket of this.#connections.sockets) this.#end(socket);
    this.#http1.close();
  }

  #accept(socket: TLSSocket): void {
    if (socket.authorized) this.#certificates.set(socket, socket.getPeerCertificate(true));
    this.#connections.secured(socket);
    if (socket.alpnProtocol === "h2") this.#http2.accept(socket);
    else this.#http1.emit("connection", socket);
  }

  /** A client that speaks HTTP/2 hears which of its requests nobody has seen. */
  #end(socket: TLSSocket): void {
    if (!this.#http2.end(socket)) socket.destroy();
  }
}
