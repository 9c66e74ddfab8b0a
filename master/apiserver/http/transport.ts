/**
 * HTTPS for the API server: node:http, and express for the pages of the web, fed by tls.createServer, which alone shows client
 * certificates under Bun. HTTP/1.1 only.
 */
import { X509Certificate } from "node:crypto";
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  createServer as createTlsServer,
  type PeerCertificate,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import type { Express } from "express";
import { internalError, StatusError } from "#shared/api/errors.ts";
import { splitCertificates } from "#shared/pki/certificate-bundle.ts";
import { RushOfRequests } from "#shared/process/compiling.ts";
import { auditIdOf } from "../audit/auditor.ts";
import type { AuditedRequest, AuditRecord } from "../audit/record.ts";
import { anonymousUser } from "../authn/chain.ts";
import { isLongRunning } from "../discovery/metrics.ts";
import type { Exchange } from "../registry/subresource-handler.ts";
import type { ApiResponse, RequestBody, RequestInfo, User } from "../request.ts";
import { type ApiRequest, type ApiServer, splitUrl } from "../server.ts";
import { impersonationPrefix, repeatedHeaderSeparator } from "./access.ts";
import { type ConnectionLimits, Connections, connectionLimits } from "./connections.ts";
import { negotiate } from "./negotiate.ts";
import { contentTypes, type Packing, render, valueText } from "./render.ts";
import { readBody } from "./request-body.ts";
import { requestInfoOf } from "./request-info.ts";
import { answerByWebSocket } from "./web-socket.ts";

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

const ANSWER_WITHIN_MS = 60_000;
/** Upstream takes 1 MiB, which many connections at once make too much for a small board. */
const MAX_HEADERS_BYTES = 256 * 1024;
const STOP_WITHIN_MS = 5_000;

export class HttpsTransport {
  readonly #server: ApiServer;
  readonly #options: TransportOptions;
  readonly #http: Server;
  readonly #tls: TlsServer;
  readonly #connections: Connections;
  readonly #certificates = new WeakMap<TLSSocket, PeerCertificate>();
  /** Requests, watches and connections left out. */
  #underWay = 0;
  readonly #rush = new RushOfRequests();
  #web: Promise<Express> | undefined;

  constructor(server: ApiServer, options: TransportOptions) {
    this.#server = server;
    this.#options = options;
    this.#connections = new Connections({ ...connectionLimits, ...options.limits });
    this.#http = createHttpServer(
      { maxHeaderSize: MAX_HEADERS_BYTES },
      (request: IncomingMessage, response: ServerResponse) => {
        if (isWebPath(request.url ?? "")) this.#beginByWeb(request, response);
        else this.#begin(request, response);
      },
    );
    this.#http.keepAliveTimeout = connectionLimits.idleFor_ms;
    this.#http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head).catch((error: unknown) => this.#refuseUpgrade(socket, error));
    });
    const { certificate, key, clientAuthorities } = options;
    this.#tls = createTlsServer(
      {
        cert: certificate,
        key,
        ca: clientAuthorities,
        requestCert: true,
        // Who comes without a certificate may still bring a token; `authorized` says whether one counts.
        rejectUnauthorized: false,
        ALPNProtocols: ["http/1.1"],
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
      if (shown && !authorities.some((authority) => new X509Certificate(shown.raw).verify(authority))) socket.destroy();
    }
  }

  /** Takes no more connections, lets requests under way end, then closes what is left. Watches end with the ApiServer. */
  async stop(): Promise<void> {
    this.#tls.close();
    const deadline_ms = performance.now() + STOP_WITHIN_MS;
    while (this.#underWay > 0 && performance.now() < deadline_ms) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const socket of this.#connections.sockets) socket.destroy();
    this.#http.close();
  }

  #accept(socket: TLSSocket): void {
    if (socket.authorized) this.#certificates.set(socket, socket.getPeerCertificate(true));
    this.#connections.secured(socket);
    this.#http.emit("connection", socket);
  }

  #beginByWeb(request: IncomingMessage, response: ServerResponse): void {
    this.#web ??= webOf((asked, answer) => this.#begin(asked, answer));
    this.#web.then(
      (web) => web(request, response),
      (error: unknown) => this.#fail(request, response, error),
    );
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    this.#serve(request, response).catch((error: unknown) => this.#fail(request, response, error));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const socket = request.socket as TLSSocket;
    this.#connections.requestBegan(socket);
    const { info, query } = targetOf(request, response);
    const done = this.#server.metrics.begin(info);
    const gone = new AbortController();
    const limited = !isLongRunning(info);
    let ended = false;
    let audit: AuditRecord | undefined;
    response.on("close", () => {
      if (ended) return;
      ended = true;
      // Whoever was answered whole has nothing more to stop.
      if (!response.writableFinished || !limited) gone.abort();
      done(response.statusCode);
      audit?.complete(response.statusCode);
      this.#connections.requestEnded(socket);
    });
    const headers = headersOf(request);
    const auditId = auditIdOf(headers);
    response.setHeader("audit-id", auditId);
    const user = await this.#userOf(headers, info.path, socket).catch((error: unknown) => {
      this.#auditStranger(auditedOf(request, info, headers), auditId, error);
      throw error;
    });
    audit = this.#server.auditor?.begin(auditedOf(request, info, headers), user, auditId);
    const asked = { info, query, headers, signal: gone.signal, audit };
    const late = limited ? setTimeout(() => this.#answerLate(response, gone), ANSWER_WITHIN_MS) : undefined;
    this.#underWay += limited ? 1 : 0;
    if (limited) this.#rush.requestBegan(this.#underWay);
    let leave: (() => void) | undefined;
    try {
      leave = await this.#enter(asked, user, response);
      await this.#answer(request, response, asked, user, limited ? undefined : leave);
    } catch (error) {
      const status = this.#statusOf(error, request);
      audit?.failed(status);
      if (!limited) audit?.started(status.code);
      throw status;
    } finally {
      clearTimeout(late);
      leave?.();
      if (response.writableEnded) this.#connections.awaitReader(socket, response);
      this.#underWay -= limited ? 1 : 0;
    }
  }

  /** Waits for the request's turn by the cluster's flow schemas. Connections that last are let through; a watch counts until
   *  its first event can be sent. */
  async #enter(
    { info, query, signal }: Pick<ApiRequest, "info" | "query" | "signal">,
    user: User,
    response: ServerResponse,
  ): Promise<() => void> {
    if (isLongRunning(info) && info.verb !== "watch") return () => undefined;
    const { gate } = this.#server;
    const entering = gate.enter(user, info, this.#server.widthOf(info, query), signal);
    const passage = entering instanceof Promise ? await entering : entering;
    response.setHeader("x-kubernetes-pf-flowschema-uid", passage.flowSchemaUid);
    response.setHeader("x-kubernetes-pf-prioritylevel-uid", passage.priorityLevelUid);
    return passage.leave;
  }

  /** An answer that has begun may take as long as the client reads; one that has not is given up. */
  #answerLate(response: ServerResponse, gone: AbortController): void {
    if (response.headersSent) return;
    gone.abort();
    const message = "request did not complete within the allotted timeout";
    sendStatus(response, new StatusError("Timeout", `Timeout: ${message}`));
  }

  async #userOf(headers: ApiRequest["headers"], path: string, socket: TLSSocket): Promise<User> {
    const user = await this.#server.authenticate({
      headers,
      path,
      clientCertificate: this.#certificates.get(socket),
      remoteAddress: socket.remoteAddress,
    });
    if (user.name !== anonymousUser.name) this.#connections.proven(socket);
    return user;
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    { info, query, headers, signal, audit }: Pick<ApiRequest, "info" | "query" | "headers" | "signal" | "audit">,
    user: User,
    isHandled: (() => void) | undefined,
  ): Promise<void> {
    const body: RequestBody = this.#server.readsBody(info) ? await readBody(request) : { kind: "none" };
    const warnings: string[] = [];
    const { method = "GET" } = request;
    const { remoteAddress } = request.socket;
    const exchange: Exchange = { kind: "request", request, response };
    const answer = await this.#server
      .handle({ method, info, query, headers, body, signal, warnings, remoteAddress, audit }, user, exchange)
      .catch((error: unknown) => {
        // What was found odd is told of a refused request too.
        if (!response.headersSent) setWarnings(response, warnings);
        throw error;
      });
    isHandled?.();
    if (answer !== "handled") audit?.answered(answer);
    if (isLongRunning(info)) audit?.started(answer === "handled" ? response.statusCode : codeOf(answer));
    if (answer === "handled" || response.headersSent) return;
    setWarnings(response, warnings);
    response.setHeader("cache-control", "no-cache, private");
    const accepted = answer.kind === "bytes" ? negotiate(undefined) : acceptedBy(headers["accept"]);
    await render(response, answer, {
      accepted,
      packing: packingFor(headers["accept-encoding"], request.socket),
      pretty: wantsPretty(query, headers["user-agent"], accepted.pretty),
    });
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const status = this.#statusOf(error, request);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    sendStatus(response, status, request.headers.accept);
  }

  #statusOf(error: unknown, request?: IncomingMessage): StatusError {
    if (error instanceof StatusError) return error;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.log(`${request?.method ?? ""} ${request?.url ?? ""}: ${text}`);
    return internalError(error instanceof Error ? error.message : String(error), error);
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const tlsSocket = request.socket as TLSSocket;
    this.#connections.requestBegan(tlsSocket);
    const { path, query } = splitUrl(request.url ?? "/");
    const { method = "GET" } = request;
    const info = requestInfoOf(method, path, query);
    const headers = headersOf(request);
    const auditId = auditIdOf(headers);
    const user = await this.#userOf(headers, path, tlsSocket).catch((error: unknown) => {
      this.#auditStranger(auditedOf(request, info, headers), auditId, error);
      throw error;
    });
    const audit = this.#server.auditor?.begin(auditedOf(request, info, headers), user, auditId);
    const gone = new AbortController();
    socket.on("close", () => gone.abort());
    const upgraded = { kind: "upgrade", request, socket, head } as const;
    const { signal } = gone;
    const { remoteAddress } = tlsSocket;
    const body = { kind: "none" } as const;
    try {
      const asked = { method, info, query, headers, body, signal, warnings: [], remoteAddress, audit };
      const answer = await this.#server.handle(asked, user, upgraded);
      if (answer !== "handled") {
        answerByWebSocket({ request, socket, head }, answer, (error) => {
          this.#options.log(`${request.url} by WebSocket: ${error instanceof Error ? error.message : String(error)}`);
        });
      }
      audit?.started(SWITCHED);
      socket.on("close", () => audit?.complete(SWITCHED));
    } catch (error) {
      const status = this.#statusOf(error, request);
      audit?.failed(status);
      audit?.started(status.code);
      audit?.complete(status.code);
      throw status;
    }
  }

  #auditStranger(asked: AuditedRequest, auditId: string, error: unknown): void {
    if (!(error instanceof StatusError) || error.code !== UNAUTHORIZED) return;
    this.#server.auditor?.begin(asked, undefined, auditId)?.unauthenticated(error);
  }

  #refuseUpgrade(socket: Duplex, error: unknown): void {
    const status = this.#statusOf(error);
    const body = JSON.stringify(status.toStatus());
    // What the client sends all the same is read and dropped: a stream with unread data never closes.
    socket.resume();
    this.#connections.requestEnded(socket as TLSSocket);
    socket.end(
      `HTTP/1.1 ${status.code} ${status.reason}\r\ncontent-type: application/json\r\nconnection: close\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }
}

const SWITCHED = 101;
const UNAUTHORIZED = 401;

const codeOf = (answer: ApiResponse): number => (answer.kind === "watch" ? 200 : answer.code);

function auditedOf(request: IncomingMessage, info: RequestInfo, headers: ApiRequest["headers"]): AuditedRequest {
  const { method = "GET", url = "/" } = request;
  return { method, info, uri: url, headers, remoteAddress: request.socket.remoteAddress };
}

/** What a request is for; the connection of one whose path is no path is closed. */
function targetOf(request: IncomingMessage, response: ServerResponse): { info: RequestInfo; query: URLSearchParams } {
  const { path, query } = splitUrl(request.url ?? "/");
  try {
    return { info: requestInfoOf(request.method ?? "GET", path, query), query };
  } catch (error) {
    response.setHeader("connection", "close");
    throw error;
  }
}

function sendStatus(response: ServerResponse, error: StatusError, accept?: string): void {
  const { retryAfterSeconds, plainText } = error.options;
  if (retryAfterSeconds) response.setHeader("retry-after", String(retryAfterSeconds));
  const accepted = acceptedBy(accept);
  const text = plainText ?? valueText(error.toStatus(), { accepted, pretty: false });
  const body =
    plainText === undefined && typeof text === "string" ? Buffer.from(`${text.trimEnd()}\n`) : Buffer.from(text);
  response.setHeader(
    "content-type",
    plainText === undefined ? contentTypes[accepted.media] : "text/plain; charset=utf-8",
  );
  response.setHeader("cache-control", "no-cache, private");
  response.setHeader("content-length", body.length);
  response.writeHead(error.code);
  response.end(body);
}

/** The form of the answer was settled by the handler; what it could not serve it has refused. */
function acceptedBy(accept: string | undefined): ReturnType<typeof negotiate> {
  try {
    return negotiate(accept);
  } catch (error) {
    if (error instanceof StatusError) return negotiate(undefined);
    throw error;
  }
}

/** Asked for, or read by a person: curl and browsers get lines, as upstream has it. */
function wantsPretty(query: URLSearchParams, userAgent: string | undefined, accepted: boolean): boolean {
  const asked = query.get("pretty");
  if (asked !== null) return asked === "" || asked === "true" || asked === "1";
  return accepted || /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent ?? "");
}

/** A client of this machine is spared the unpacking: between the two there is no network that a smaller answer would relieve. */
function packingFor(acceptEncoding: string | undefined, { localAddress, remoteAddress }: Socket): Packing {
  if (acceptEncoding === undefined || !/\bgzip\b/.test(acceptEncoding)) return "none";
  return remoteAddress === localAddress ? "stored" : "compressed";
}

/** RFC 7234 warnings with code 299, each once, as clients print them. */
function setWarnings(response: ServerResponse, warnings: readonly string[]): void {
  const unique = [...new Set(warnings)];
  if (unique.length === 0) return;
  const printable = (text: string): string =>
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be in a header.
    text.replace(/[\u0000-\u001f\u007f]+/g, " ").replace(/[\\"]/g, (character) => `\\${character}`);
  response.setHeader(
    "warning",
    unique.map((text) => `299 - "${encodeHeader(printable(text))}"`),
  );
}

/** Header bytes are Latin-1 for node:http; the text is UTF-8. */
const encodeHeader = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

function headersOf(request: IncomingMessage): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    headers[name] = name.startsWith(impersonationPrefix)
      ? rawValues(request, name).join(repeatedHeaderSeparator)
      : Array.isArray(value)
        ? value.join(", ")
        : value;
  }
  return headers;
}

/** Of a header that may come several times, and whose values may hold commas. */
function rawValues({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}

/** What browsers and installers ask for; clients of the API ask for nothing below it. */
const isWebPath = (url: string): boolean => /^\/(?:dashboard|install\.sh)(?:[/?]|$)/.test(url);

/** With express, which takes 3 MB that a cluster does not need until somebody looks at it with a browser. */
async function webOf(begin: (request: IncomingMessage, response: ServerResponse) => void): Promise<Express> {
  const { default: express } = await import("express");
  const web = express();
  web.disable("x-powered-by");
  web.disable("etag");
  web.use(begin);
  return web;
}
