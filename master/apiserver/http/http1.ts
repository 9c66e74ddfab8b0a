/** HTTP/1.1: node:http, and express for the pages of the web. */
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Express } from "express";
import type { Arrival, HttpRequest, ServeArrival } from "./arrival.ts";
import { Http1Intake, PASSED_OVER_BYTES } from "./http1-intake.ts";
import { expectationFailed, refusalFor, refusalOf, refuse } from "./http1-refusal.ts";
import { isWebPath } from "./web-paths.ts";

const OK = 200;

export interface Http1Options {
  readonly maxHeaders_bytes: number;
  readonly idleFor_ms: number;
  readonly serve: ServeArrival;
  /** Whether one that asks for another protocol gets it. */
  readonly isUpgrade: (request: IncomingMessage) => boolean;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly log: (message: string) => void;
}

/** Serves the connections that it is given by `connection`. */
export function createHttp1Server(options: Http1Options): Server {
  const { maxHeaders_bytes, idleFor_ms, serve, isUpgrade, upgrade, log } = options;
  /** Connections with a request whose answer may have begun. */
  const busy = new WeakSet<Duplex>();
  const intakes = new WeakMap<Duplex, Http1Intake>();
  const begin = (request: IncomingMessage, response: ServerResponse, awaitsWord = false): void => {
    const refusal = refusalOf(request);
    if (refusal) {
      refuse(request.socket, refusal);
      return;
    }
    staySilent(request, response);
    intakes.get(request.socket)?.began(request, response);
    if (request.method === "OPTIONS" && request.url === "*") {
      response.writeHead(OK, { "content-length": 0 }).end();
      return;
    }
    busy.add(request.socket);
    response.once("close", () => busy.delete(request.socket));
    void serve(new Http1Arrival(request, response, awaitsWord));
  };
  let web: Promise<Express> | undefined;
  const reading: ServerOptions & { readonly shouldUpgradeCallback: typeof isUpgrade } = {
    maxHeaderSize: maxHeaders_bytes,
    // Said in words of its own.
    requireHostHeader: false,
    shouldUpgradeCallback: isUpgrade,
  };
  const server = createServer(reading, (request, response) => {
    if (!isWebPath(request.url ?? "")) {
      begin(request, response);
      return;
    }
    web ??= webOf(begin);
    web.then(
      (pages) => pages(request, response),
      (error: unknown) => {
        log(`${request.url}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
        response.destroy();
      },
    );
  });
  server.keepAliveTimeout = idleFor_ms;
  server.on("connection", (socket: TLSSocket) => {
    intakes.set(socket, new Http1Intake(socket));
    writeHeadsAsLatin1(socket);
  });
  server.on("upgrade", upgrade);
  server.on("checkContinue", (request, response) => begin(request, response, true));
  server.on("checkExpectation", (_, response) => response.writeHead(expectationFailed, { connection: "close" }).end());
  server.on("clientError", (error, socket) => {
    if (busy.has(socket) || !socket.writable) socket.destroy();
    else refuse(socket, refusalFor(error));
  });
  return server;
}

/** On a connection that it is handed, Bun's node:http writes heads as UTF-8, though their characters stand for bytes. It writes bodies
 *  as bytes. */
function writeHeadsAsLatin1(socket: TLSSocket): void {
  const write = socket.write.bind(socket) as (...values: unknown[]) => boolean;
  socket.write = (chunk: unknown, ...more: unknown[]): boolean =>
    typeof chunk === "string" && typeof more[0] !== "string" ? write(chunk, "latin1", more[0]) : write(chunk, ...more);
}

/** That a connection stays open is what HTTP/1.1 means unless somebody says otherwise. */
function staySilent({ httpVersion, headers }: IncomingMessage, response: ServerResponse): void {
  if (httpVersion === "1.1" && !/\bclose\b/i.test(headers.connection ?? "")) response.removeHeader("connection");
}

class Http1Arrival implements Arrival, HttpRequest {
  readonly response: ServerResponse;
  readonly #message: IncomingMessage;
  #awaitsWord: boolean;
  /** So long that nobody reads it for the sake of what comes behind it. */
  #isLong: boolean;

  /** @param awaitsWord whether the client sends its body once it is told to go on (RFC 9110, 10.1.1) */
  constructor(message: IncomingMessage, response: ServerResponse, awaitsWord: boolean) {
    this.#message = message;
    this.response = response;
    this.#awaitsWord = awaitsWord && this.hasBody && message.headers["content-length"] !== "0";
    this.#isLong = Number(message.headers["content-length"] ?? 0) >= PASSED_OVER_BYTES;
    // Who is never told may send the body or not: what comes next by the connection cannot be known. A long one is not passed over.
    if (this.#awaitsWord || this.#isLong) response.setHeader("connection", "close");
  }

  get request(): HttpRequest {
    return this;
  }

  /** Whoever looks at it is about to read it. */
  get body(): IncomingMessage {
    if (this.#awaitsWord && !this.response.headersSent) {
      this.#awaitsWord = false;
      if (!this.#isLong) this.#goOn();
      this.response.writeContinue();
    }
    if (this.#isLong) this.#message.once("end", () => this.#goOn());
    this.#isLong = false;
    return this.#message;
  }

  /** There may be another request behind this one. */
  #goOn(): void {
    if (!this.response.headersSent) staySilent(this.#message, this.response);
  }

  get connection(): TLSSocket {
    return this.#message.socket as TLSSocket;
  }

  get method(): string {
    return this.#message.method ?? "GET";
  }

  /** Of a whole URL, as proxies are sent it (RFC 9112, 3.2.2), what a server is asked. */
  get url(): string {
    const { url = "/" } = this.#message;
    return url.startsWith("/") ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?]*/i, "") || "/";
  }

  get headers(): HttpRequest["headers"] {
    return this.#message.headers;
  }

  get rawHeaders(): readonly string[] {
    return this.#message.rawHeaders;
  }

  get hasBody(): boolean {
    const { headers } = this.#message;
    return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  }

  untaken_bytes(): number {
    return this.connection.writableLength + this.response.writableLength;
  }

  leave(): void {
    this.connection.destroy();
  }
}

/** With express, which takes 3 MB that a cluster does not need until somebody looks at it with a browser. */
async function webOf(begin: (request: IncomingMessage, response: ServerResponse) => void): Promise<Express> {
  const { default: express } = await import("express");
  const web = express();
  web.disable("x-powered-by");
  web.disable("etag");
  web.use((request, response) => begin(request, response));
  return web;
}
