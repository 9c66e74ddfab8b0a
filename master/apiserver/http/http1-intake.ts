import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";

/** So much of a body may wait for somebody to read it. */
const WAITING_BYTES = 64 * 1024;
/** So much of a body that nobody wanted is passed over for the sake of the request behind it, as Go's server does. */
export const PASSED_OVER_BYTES = 256 * 1024;
/** For a client that still sends its body to read the answer before the connection breaks. */
const LINGER_MS = 500;

interface Intaking {
  /** Ends it once what was written has left. node:http calls it behind a last answer. */
  destroySoon(): void;
}

/**
 * What is taken in of the bodies that come by a connection of HTTP/1.1. The parser hands over all that comes, wanted or not, so the
 * socket is held up while a body waits.
 */
export class Http1Intake {
  readonly #socket: TLSSocket;
  #message: IncomingMessage | undefined;
  #response: ServerResponse | undefined;
  #passedOver_bytes = 0;

  /** Behind the parser: what it is given is looked at after it has read it. */
  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#took(bytes.length));
    const destroySoon = socket.destroySoon.bind(socket);
    (socket as Intaking).destroySoon = () => {
      if (this.#message?.complete === false) this.#linger();
      else destroySoon();
    };
  }

  /** The request that comes next by the connection. */
  began(message: IncomingMessage, response: ServerResponse): void {
    this.#message = message;
    this.#response = response;
    this.#passedOver_bytes = 0;
  }

  #took(bytes: number): void {
    const message = this.#message;
    if (!message || message.complete) return;
    if (this.#response?.writableEnded) this.#passOver(bytes);
    else if (message.readableLength > WAITING_BYTES) this.#holdUp(message);
  }

  /** Until some of it is read, or nobody will read it any more: node:http lets go then. */
  #holdUp(message: IncomingMessage): void {
    const socket = this.#socket;
    if (socket.isPaused()) return;
    socket.pause();
    message._read = () => {
      if (socket.isPaused()) socket.resume();
    };
  }

  #passOver(bytes: number): void {
    this.#passedOver_bytes += bytes;
    if (this.#passedOver_bytes > PASSED_OVER_BYTES) this.#linger();
  }

  /** An end while data comes would be a reset, which may take the answer with it. */
  #linger(): void {
    const socket = this.#socket;
    this.#message = undefined;
    socket.end();
    socket.resume();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  }
}
