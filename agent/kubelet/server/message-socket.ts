import type { IncomingMessage } from "node:http";
import type { Duplex, Writable } from "node:stream";
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
  /** Until what the handler returns resolves, the client is read no further: nobody here keeps what a process does not take. */
  onMessage(handler: MessageHandler): void;
  close(): void;
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<void>;
}

export type MessageHandler = (message: Buffer | string) => Promise<void> | undefined;

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
  let handle: MessageHandler = (message) => void early.push(message);
  const reading = readInto(driver.io, socket);
  const hear = (message: Buffer | string): void => {
    const taken = handle(message);
    if (taken) reading.waitFor(taken);
  };
  driver.on("message", ({ data }) => hear(data));
  driver.io.write(head);
  driver.io.pipe(socket);
  driver.start();
  return {
    protocol: driver.protocol ?? "",
    send(message, done = () => undefined) {
      if (isOver || driver.messages.write(message)) done();
      else driver.messages.once("drain", done);
    },
    onMessage(handler) {
      handle = handler;
      for (const message of early.splice(0)) hear(message);
    },
    close() {
      // The client's own close is still to be read, behind whatever nobody takes any more.
      reading.waitForNothing();
      handle = () => undefined;
      driver.close("", 1000);
    },
    closed: over.promise,
  };
}

/** Writes what a message had. Resolves, once there is room for more or nobody reads any more; undefined: there is room. */
export function written(to: Writable, data: Buffer): Promise<void> | undefined {
  if (to.writableEnded || to.destroyed || to.write(data)) return undefined;
  return new Promise((resolve) => {
    const done = (): void => {
      to.off("drain", done).off("close", done);
      resolve();
    };
    to.on("drain", done).on("close", done);
  });
}

interface Reading {
  waitFor(taken: Promise<void>): void;
  waitForNothing(): void;
}

/** Reads a socket into a driver, as long as that and whoever takes its messages come after. A pipe would only ask the driver. */
function readInto(io: Duplex, socket: Duplex): Reading {
  let waiting = 0;
  let isFull = false;
  let isFree = false;
  const goOn = (): void => {
    if (!isFull && (waiting === 0 || isFree)) socket.resume();
  };
  socket.on("data", (chunk: Buffer) => {
    isFull = !io.write(chunk);
    if (isFull || (waiting > 0 && !isFree)) socket.pause();
  });
  socket.on("end", () => io.end());
  socket.on("close", () => io.end());
  io.on("drain", () => {
    isFull = false;
    goOn();
  });
  return {
    waitFor(taken) {
      waiting += 1;
      void taken.finally(() => {
        waiting -= 1;
        goOn();
      });
    },
    waitForNothing() {
      isFree = true;
      goOn();
    },
  };
}

export function offeredProtocols(request: IncomingMessage): string[] {
  return (request.headers["sec-websocket-protocol"] ?? "").split(",").map((each) => each.trim());
}
