import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerOptions,
  STATUS_CODES,
} from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type Http2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, type SecureContext, type TLSSocket } from "node:tls";
import type { Log } from "#shared/client/log.ts";
import { type ConnectionLimits, Connections, connectionLimits } from "#shared/http/connections.ts";
import { answerOver, type StreamResponse, writeHead } from "#shared/http/http-over-stream.ts";
import { SWITCHED, upgradeAnswer } from "#shared/http/upgrade-answer.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import type { Backend } from "./backends.ts";
import { type Exchange, http1Exchange, http2Exchange, isSecure, plainAddress } from "./exchange.ts";
import { Forwarder, forwardedUpgrade } from "./forward.ts";
import { settledTarget } from "./settled-target.ts";

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
  readonly limits?: Partial<ConnectionLimits>;
  /** How many are passed on at once, of all clients. */
  readonly mostRequests?: number;
}

/** A connection that asks nothing for so long is closed. */
const keepAlive_ms = 60_000;
/** Of each port. */
const limits: ConnectionLimits = {
  ...connectionLimits,
  connections: 2_000,
  handshakeWithin_ms: 15_000,
  // However slowly it comes: who sends a byte now and then is never silent.
  headersWithin_ms: 30_000,
  idleFor_ms: keepAlive_ms,
};
const connect_ms = 5_000;
const mostStreams = 128;
/** Each is a connection to a pod, of this same process that looks after the board's pods. */
const mostRequests = 4_000;
const crowded = "too many requests are under way";

interface Found {
  readonly backend: Backend;
  /** What the pod is asked. */
  readonly target: string;
}

interface Missed {
  readonly status: RefusalStatus;
  readonly refusal: string;
}

type RefusalStatus = 400 | 404 | 503;

/** The ports at which a board serves Ingresses: HTTP/1.1 on both, HTTP/2 (and so gRPC) and WebSocket. */
export class IngressServer {
  private readonly forwarder: Forwarder;
  private readonly http: HttpServer;
  private readonly http2: Http2Server;
  private readonly listeners: Server[] = [];
  private readonly doors: Connections<Socket>[] = [];
  private readonly doorOf = new WeakMap<Socket, Connections<Socket>>();
  private readonly socketOf = new WeakMap<Http2Session, Socket>();
  private requests = 0;
  private ports: { http?: number; https?: number } = {};

  constructor(private readonly options: IngressServerOptions) {
    this.forwarder = new Forwarder({ connect_ms, idle_ms: options.idle_ms });
    // @types/node does not know it yet.
    const reading: ServerOptions & { readonly shouldUpgradeCallback: typeof mayLeave } = {
      shouldUpgradeCallback: mayLeave,
    };
    this.http = createHttpServer(reading, (request, response) => {
      this.began(request.socket, response);
      this.serve(http1Exchange(request, response));
    });
    this.http.keepAliveTimeout = keepAlive_ms;
    this.http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      // It lasts as long as the connection.
      this.began(request.socket);
      this.upgrade(request, socket as Socket, head).catch((error: unknown) => refuse(socket, 503, error));
    });
    this.http2 = createHttp2Server({ settings: { maxConcurrentStreams: mostStreams } });
    this.http2.on("stream", (stream, headers, flags) => {
      stream.on("error", () => undefined);
      const socket = stream.session && this.socketOf.get(stream.session);
      if (socket) this.began(socket, stream);
      this.serve(http2Exchange(stream as ServerHttp2Stream, headers, flags));
    });
    this.http2.on("sessionError", () => undefined);
  }

  /** Rejects when a port is taken, with nothing left open. */
  async listen(): Promise<void> {
    const { httpPort, httpsPort } = this.options;
    try {
      if (httpPort !== undefined) {
        this.ports.http = await this.open(this.tcpServer(), httpPort);
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
    for (const door of this.doors) for (const socket of door.sockets) socket.destroy();
    this.forwarder.close();
    await Promise.all(closed);
  }

  private serve(exchange: Exchange): void {
    const found = this.find(exchange.host, exchange.target);
    if ("refusal" in found) exchange.fail(found.status, found.refusal);
    else void this.forwarder.forward({ ...exchange, target: found.target }, found.backend);
  }

  private async upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const { headers, method = "GET", url = "/" } = request;
    const found = this.find(headers.host ?? "", url);
    if ("refusal" in found) {
      refuse(socket, found.status, found.refusal);
      return;
    }
    const upstream = await this.forwarder.dial(found.backend);
    socket.on("close", () => upstream.destroy());
    const asked = forwardedUpgrade({
      headers: request.rawHeaders,
      host: headers.host ?? "",
      isSecure: isSecure(request.socket),
      remoteAddress: plainAddress(request.socket.remoteAddress),
    });
    upstream.setTimeout(this.options.idle_ms, () => upstream.destroy(new Error("the pod was silent for too long")));
    writeHead(upstream, method, found.target, asked);
    const answer = await upgradeAnswer(upstream).catch((error: unknown) => {
      upstream.destroy();
      throw error;
    });
    if (answer.status === SWITCHED) {
      upstream.setTimeout(0);
      join(socket, upstream, { toClient: answer.bytes, toPod: head });
    } else {
      upstream.unshift(answer.bytes);
      const plain = answerOver(upstream, method);
      upstream.resume();
      answerPlainly(socket, await plain);
    }
  }

  private find(host: string, asked: string): Found | Missed {
    const target = settledTarget(asked);
    if (target === undefined) return { status: 400, refusal: "the path leads to more than one place" };
    const [path = "/"] = target.split("?");
    const backend = this.options.backendFor(host, path);
    if (backend === undefined) return { status: 404, refusal: `no Ingress has ${host}${path}` };
    if (this.requests > (this.options.mostRequests ?? mostRequests)) return { status: 503, refusal: crowded };
    return { backend, target };
  }

  /** A request, and what closes as it ends. */
  private began(socket: Socket, answer: { once(event: "close", listener: () => void): unknown } = socket): void {
    const door = this.doorOf.get(socket);
    door?.proven(socket);
    door?.requestBegan(socket);
    this.requests += 1;
    answer.once("close", () => {
      this.requests -= 1;
      door?.requestEnded(socket);
    });
  }

  /** A connection by which requests may come from now on. */
  private accept(socket: Socket, door: Connections<Socket>): void {
    this.doorOf.set(socket, door);
    door.secured(socket);
    // Silence within a request or its answer; the servers' own timeouts do not see sockets that they are handed.
    socket.setTimeout(Math.max(keepAlive_ms, this.options.idle_ms), () => socket.destroy());
    if ((socket as TLSSocket).alpnProtocol !== "h2") {
      this.http.emit("connection", socket);
      return;
    }
    this.http2.once("session", (session) => this.socketOf.set(session, socket));
    this.http2.emit("connection", socket);
  }

  private door(): Connections<Socket> {
    const door = new Connections<Socket>({ ...limits, ...this.options.limits });
    this.doors.push(door);
    return door;
  }

  private tcpServer(): Server {
    const door = this.door();
    return createTcpServer((socket) => {
      door.opened(socket);
      if (!socket.destroyed) this.accept(socket, door);
    });
  }

  private async tlsServer(): Promise<Server> {
    const own = await selfSigned();
    const door = this.door();
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
      (socket) => this.accept(socket, door),
    );
    server.on("connection", (socket: TLSSocket) => door.opened(socket));
    server.on("tlsClientError", () => undefined);
    return server;
  }

  private open(server: Server, port: number): Promise<number> {
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

/**
 * May this request leave HTTP, if its pod agrees? The connection is then the pod's alone, and no Ingress looks at what goes over it: so
 * not for HTTP/2, in which other paths could be asked for. Who asks for more than they get is answered as if they had not (RFC 9110, 7.8).
 */
function mayLeave({ headers }: IncomingMessage): boolean {
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  const protocols = (headers.upgrade ?? "").split(",").map((protocol) => protocol.trim().toLowerCase());
  return !hasBody && !protocols.some((protocol) => protocol === "h2c" || protocol.startsWith("http/"));
}

/** From now on bytes go both ways as they are. */
function join(socket: Socket, upstream: Socket, first: { readonly toClient: Buffer; readonly toPod: Buffer }): void {
  // Such connections rest for hours; only a peer that is gone ends them.
  socket.setTimeout(0);
  socket.setKeepAlive(true, keepAlive_ms);
  upstream.setKeepAlive(true, keepAlive_ms);
  upstream.on("error", () => socket.destroy());
  // After what the pod said last: a slow client has not read it yet.
  upstream.on("close", () => socket.destroySoon());
  socket.write(first.toClient);
  if (first.toPod.length > 0) upstream.write(first.toPod);
  upstream.pipe(socket);
  socket.pipe(upstream);
}

/** The pod stays with HTTP. What the client sent on would be requests that no Ingress has looked at: they are dropped, and the connection
 *  ends with the answer. */
function answerPlainly(socket: Socket, { status, headers, body }: StreamResponse): void {
  socket.resume();
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`];
  for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
  socket.write(`${[...lines, "Connection: close"].join("\r\n")}\r\n\r\n`, "latin1");
  body.on("error", () => socket.destroy());
  body.pipe(socket);
}

function refuse(socket: Duplex, status: RefusalStatus, why: unknown): void {
  const text = `${why instanceof Error ? why.message : why}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(text)}`,
  ];
  socket.end(`${[...head, "Connection: close"].join("\r\n")}\r\n\r\n${text}`);
}
