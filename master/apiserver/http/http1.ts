/** HTTP/1.1: node:http, and express for the pages of the web. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Express } from "express";
import type { Arrival, HttpRequest, ServeArrival } from "./arrival.ts";

export interface Http1Options {
  readonly maxHeaders_bytes: number;
  readonly idleFor_ms: number;
  readonly serve: ServeArrival;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly log: (message: string) => void;
}

/** Serves the connections that it is given by `connection`. */
export function createHttp1Server({ maxHeaders_bytes, idleFor_ms, serve, upgrade, log }: Http1Options): Server {
  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    void serve(new Http1Arrival(request, response));
  };
  let web: Promise<Express> | undefined;
  const server = createServer({ maxHeaderSize: maxHeaders_bytes }, (request, response) => {
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
  server.on("upgrade", upgrade);
  return server;
}

class Http1Arrival implements Arrival, HttpRequest {
  readonly body: IncomingMessage;
  readonly response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.body = request;
    this.response = response;
  }

  get request(): HttpRequest {
    return this;
  }

  get connection(): TLSSocket {
    return this.body.socket as TLSSocket;
  }

  get method(): string {
    return this.body.method ?? "GET";
  }

  get url(): string {
    return this.body.url ?? "/";
  }

  get headers(): HttpRequest["headers"] {
    return this.body.headers;
  }

  get rawHeaders(): readonly string[] {
    return this.body.rawHeaders;
  }

  get hasBody(): boolean {
    const { headers } = this.body;
    return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  }

  untaken_bytes(): number {
    return this.connection.writableLength + this.response.writableLength;
  }

  leave(): void {
    this.connection.destroy();
  }
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
