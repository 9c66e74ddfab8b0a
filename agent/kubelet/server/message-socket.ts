import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { http as driverOf } from "websocket-driver";

const largestMessage_bytes = 1 << 20;

/**
 * The server's side of a WebSocket (RFC 6455). A driver of its own and not the runtime's server: that one refuses
 * `SPDY/3.1+portforward.k8s.io`, which kubectl offers although a subprotocol's name may hold no slash.
 */
export interface MessageSocket {
  /** The one chosen of those that the client offered; empty when it offered none. */
  readonly protocol: string;
  /** `done` is called when the socket can take more. */
  send(message: Buffer | string, done?: () => void): void;
  onMessage(handler: (message: Buffer | string) => void): void;
  close(): void;
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<void>;
}

export function isWebSocket(request: IncomingMessage): boolean {
  return (request.headers.upgrade ?? "").toLowerCase() === "websocket";
}

/** Answers the handshake with the first of `supported` that the client offers. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  supported: readonly string[],
): MessageSocket {
  const offered = offeredProtocols(request);
  const chosen = supported.find((protocol) => offered.includes(protocol));
  const driver = driverOf(request, {
    maxLength: largestMessage_bytes,
    protocols: chosen === undefined ? [] : [chosen],
  });
  const over = Promise.withResolvers<void>();
  let isOver = false;
  const end = (): void => {
    isOver = true;
    over.resolve();
    driver.messages.emit("drain");
  };
  driver.on("close", () => {
    end();
    socket.end();
  });
  driver.on("error", () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("close", end);
  const early: (Buffer | string)[] = [];
  let onMessage = (message: Buffer | string): void => void early.push(message);
  driver.on("message", ({ data }) => onMessage(data));
  driver.io.write(head);
  socket.pipe(driver.io).pipe(socket);
  driver.start();
  return {
    protocol: driver.protocol ?? "",
    send(message, done = () => undefined) {
      if (isOver || driver.messages.write(message)) done();
      else driver.messages.once("drain", done);
    },
    onMessage(handler) {
      onMessage = handler;
      for (const message of early.splice(0)) handler(message);
    },
    close: () => void driver.close("", 1000),
    closed: over.promise,
  };
}

export function offeredProtocols(request: IncomingMessage): string[] {
  return (request.headers["sec-websocket-protocol"] ?? "").split(",").map((each) => each.trim());
}
