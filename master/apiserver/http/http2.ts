/** HTTP/2, as clients of Kubernetes speak it where a server offers it. */
import type { TLSSocket } from "node:tls";
import { Http2Connection } from "#shared/http2/connection.ts";
import { errorCodes } from "#shared/http2/frames.ts";
import type { Http2Request } from "#shared/http2/request.ts";
import type { Http2Response } from "#shared/http2/response.ts";
import type { Arrival, ServeArrival } from "./arrival.ts";
import { bodyRoom } from "./body-room.ts";

/** As upstream's: clients that know no number yet begin with as many. */
const MAX_STREAMS = 100;

export interface Http2ServerOptions {
  readonly maxHeaders_bytes: number;
  readonly stalledFor_ms: number;
  readonly serve: ServeArrival;
}

/** The connections that speak HTTP/2. */
export class Http2Server {
  readonly #options: Http2ServerOptions;
  readonly #open = new Map<TLSSocket, Http2Connection>();

  constructor(options: Http2ServerOptions) {
    this.#options = options;
  }

  accept(socket: TLSSocket): void {
    const { serve, maxHeaders_bytes, stalledFor_ms } = this.#options;
    const connection: Http2Connection = new Http2Connection(
      socket,
      (request, response) => serve(new Http2Arrival(request, response, socket, () => connection.retire())),
      { maxStreams: MAX_STREAMS, maxHeaders_bytes, stalledFor_ms, room: bodyRoom },
    );
    this.#open.set(socket, connection);
    socket.once("close", () => this.#open.delete(socket));
  }

  /** Asks clients to make no more requests by the connections that they have. */
  goAway(): void {
    for (const connection of this.#open.values()) connection.goAway();
  }

  /** Ends a connection with all its requests, if it is one of these. */
  end(socket: TLSSocket): boolean {
    const connection = this.#open.get(socket);
    connection?.end();
    return connection !== undefined;
  }
}

class Http2Arrival implements Arrival {
  readonly request: Http2Request;
  readonly response: Http2Response;
  readonly connection: TLSSocket;
  readonly retire: () => void;

  constructor(request: Http2Request, response: Http2Response, connection: TLSSocket, retire: () => void) {
    this.retire = retire;
    this.request = request;
    this.response = response;
    this.connection = connection;
  }

  untaken_bytes(): number {
    return this.response.writableLength;
  }

  /** The others of its connection may go on. */
  leave(): void {
    this.response.destroy(errorCodes.cancel);
  }
}
