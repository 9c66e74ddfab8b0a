import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, type SecureContext, type TLSSocket } from "node:tls";
import type { Log } from "#shared/client/log.ts";
import { Connections, connectionLimits } from "#shared/http/connections.ts";
import { writeHead } from "#shared/http/http-over-stream.ts";
import { createCertificateAuthority, extendedKeyUsages, issueCertificate } from "#shared/pki/certificate.ts";
import type { Backend } from "./backends.ts";
import { type Exchange, http1Exchange, http2Exchange, isSecure, plainAddress } from "./exchange.ts";
import { Forwarder, forwardedUpgrade } from "./forward.ts";

export interface IngressServerOptions {
  /** Ports of the board; 0: any free one. undefined: not served. */
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  /** Silence after which an exchange is given up. */
  readonly idle_ms: number;
  /** Where a request goes; undefined: no Ingress has it. */
  backendFor(host: string, path: string): Backend | undefined;
  /** undefined: no Secret for this name; clients then get a certificate that nobody vouches for. */
  contextFor(serverName: string): Promise<SecureContext | undefined>;
  readonly log: Log;
}

const mostConnections = 2_000;
const mostHandshakes = 256;
/** A connection that asks nothing for so long is closed. */
const keepAlive_ms = 60_000;
const connect_ms = 5_000;
const mostStreams = 128;

/** The ports at which a board serves Ingresses: HTTP/1.1 on both, HTTP/2 (and so gRPC) and WebSocket. */
export class IngressServer {
  private readonly forwarder: Forwarder;
  private readonly http: HttpServer;
  private readonly http2: Http2Server;
  private readonly listeners: Server[] = [];
  private readonly sockets = new Set<Socket>();
  private ports: { http?: number; https?: number } = {};

  constructor(private readonly options: IngressServerOptions) {
    this.forwarder = new Forwarder({ connect_ms, idle_ms: options.idle_ms });
    this.http = createHttpServer((request, response) => this.serve(http1Exchange(request, response)));
    this.http.keepAliveTimeout = keepAlive_ms;
    this.http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.upgrade(request, socket as Socket, head).catch((error: unknown) => refuse(socket, 503, error));
    });
    this.http2 = createHttp2Server({ settings: { maxConcurrentStreams: mostStreams } });
    this.http2.on("stream", (stream, headers, flags) => {
      stream.on("error", () => undefined);
      this.serve(http2Exchange(stream as ServerHttp2Stream, headers, flags));
    });
    this.http2.on("sessionError", () => undefined);
  }

  /** Rejects when a port is taken, with nothing left open. */
  async listen(): Promise<void> {
    const { httpPort, httpsPort } = this.options;
    try {
      if (httpPort !== undefined) {
        this.ports.http = await this.open(
          createTcpServer((socket) => this.accept(socket)),
          httpPort,
        );
      }
      if (httpsPort !== undefined) this.ports.https = await this.open(await this.tlsServer(), httpsPort);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  get httpPort(): number | undefined {
    return this.ports.http;
  }

  get httpsPort(): number | undefined {
    return this.ports.https;
  }

  /** Takes no more connections and ends those that are open. */
  async close(): Promise<void> {
    const closed = this.listeners.splice(0).map((server) => new Promise((done) => server.close(done)));
    for (const socket of this.sockets) socket.destroy();
    this.forwarder.close();
    await Promise.all(closed);
  }

  private serve(exchange: Exchange): void {
    const { backend, refusal } = this.find(exchange.host, exchange.target);
    if (backend === undefined) exchange.fail(404, refusal);
    else void this.forwarder.forward(exchange, backend);
  }

  private async upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const { host = "" } = request.headers;
    const { backend, refusal } = this.find(host, request.url ?? "/");
    if (backend === undefined) {
      refuse(socket, 404, refusal);
      return;
    }
    const upstream = await this.forwarder.dial(backend);
    const headers = forwardedUpgrade({
      headers: request.rawHeaders,
      host,
      isSecure: isSecure(request.socket),
      remoteAddress: plainAddress(request.socket.remoteAddress),
    });
    // Such connections rest for hours; only a peer that is gone ends them.
    socket.setTimeout(0);
    socket.setKeepAlive(true, keepAlive_ms);
    upstream.setKeepAlive(true, keepAlive_ms);
    upstream.on("error", () => socket.destroy());
    upstream.on("close", () => socket.destroy());
    socket.on("close", () => upstream.destroy());
    writeHead(upstream, request.method ?? "GET", request.url ?? "/", headers);
    if (head.length > 0) upstream.write(head);
    upstream.pipe(socket);
    socket.pipe(upstream);
  }

  private find(host: string, target: string): { backend: Backend | undefined; refusal: string } {
    const [path = "/"] = target.split("?");
    return { backend: this.options.backendFor(host, path), refusal: `no Ingress has ${host}${path}` };
  }

  private accept(socket: Socket): void {
    this.track(socket);
    this.http.emit("connection", socket);
  }

  private track(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    // Silence between requests and within one's head; the server's own timeouts do not see sockets it is handed.
    socket.setTimeout(Math.max(keepAlive_ms, this.options.idle_ms), () => socket.destroy());
  }

  private async tlsServer(): Promise<Server> {
    const own = await selfSigned();
    const connections = new Connections({
      ...connectionLimits,
      connections: mostConnections,
      unproven: mostHandshakes,
      handshakeWithin_ms: keepAlive_ms / 4,
    });
    const server = createTlsServer(
      {
        ...own,
        minVersion: "TLSv1.2",
        ALPNProtocols: ["h2", "http/1.1"],
        SNICallback: (name, done) => {
          this.options.contextFor(name).then(
            (context) => done(null, context),
            (error: unknown) => {
              this.options.log.warn("no certificate for a client", { name, error });
              done(null, undefined);
            },
          );
        },
      },
      (socket) => {
        connections.settled(socket);
        this.track(socket);
        if (socket.alpnProtocol === "h2") this.http2.emit("connection", socket);
        else this.http.emit("connection", socket);
      },
    );
    server.on("connection", (socket: TLSSocket) => connections.opened(socket));
    server.on("tlsClientError", () => undefined);
    return server;
  }

  private open(server: Server, port: number): Promise<number> {
    server.maxConnections = mostConnections;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, () => {
        server.off("error", reject);
        server.on("error", (error) => this.options.log.warn("ingress", { error }));
        this.listeners.push(server);
        const address = server.address();
        resolve(typeof address === "object" && address ? address.port : port);
      });
    });
  }
}

/** For names without a Secret; made at each start and kept nowhere. */
async function selfSigned(): Promise<{ cert: string; key: string }> {
  const authority = await createCertificateAuthority("bramble-ingress");
  const subject = { commonName: "bramble-ingress", dnsNames: ["bramble-ingress.invalid"] };
  const { certificatePem, keyPem } = await issueCertificate(authority, subject, [extendedKeyUsages.serverAuth]);
  return { cert: certificatePem, key: keyPem };
}

function refuse(socket: Duplex, status: 404 | 503, why: unknown): void {
  const text = `${why instanceof Error ? why.message : why}\n`;
  const reason = status === 404 ? "Not Found" : "Service Unavailable";
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(text)}`,
  ];
  socket.end(`${[...head, "Connection: close"].join("\r\n")}\r\n\r\n${text}`);
}
