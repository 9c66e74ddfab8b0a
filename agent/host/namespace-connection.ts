import { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { Socket, SocketHandler } from "bun";
import { HostError } from "./host.ts";
import { withNamespace } from "./network-namespace.ts";
import {
  close,
  connectLoopback,
  connectOutcome,
  SystemCallError,
  socketInNamespace,
  toHostError,
} from "./system-calls.ts";

/** On the loopback a connection is answered at once, unless the listener's queue is full. */
const pollPause_ms = 10;

/** See Host.connectInNetworkNamespace. HostError ECONNREFUSED where nothing listens, ETIMEDOUT where nobody answers. */
export async function connectInNetworkNamespace(
  namespacePath: string,
  port: number,
  timeout_ms: number,
): Promise<Duplex> {
  try {
    return await connectBy("IPv4", namespacePath, port, timeout_ms);
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== "ECONNREFUSED") throw error;
    // A server may listen on ::1 alone. Where there is no IPv6 the first refusal is what matters.
    return await connectBy("IPv6", namespacePath, port, timeout_ms).catch(() => Promise.reject(error));
  }
}

async function connectBy(
  family: "IPv4" | "IPv6",
  namespacePath: string,
  port: number,
  timeout_ms: number,
): Promise<Duplex> {
  const operation = `connect to port ${port} in`;
  let descriptor = -1;
  try {
    descriptor = withNamespace(namespacePath, (namespace, own) => socketInNamespace(namespace, own, family));
    await connected(descriptor, family, port, timeout_ms);
    const duplex = new DescriptorStream();
    await duplex.open(descriptor);
    return duplex;
  } catch (error) {
    if (descriptor >= 0) close(descriptor);
    throw toHostError(operation, namespacePath, error);
  }
}

async function connected(descriptor: number, family: "IPv4" | "IPv6", port: number, timeout_ms: number): Promise<void> {
  if (connectLoopback(descriptor, family, port)) return;
  for (let waited_ms = 0; waited_ms <= timeout_ms; waited_ms += pollPause_ms) {
    if (connectOutcome(descriptor) === true) return;
    await delay(pollPause_ms);
  }
  throw new SystemCallError("connect", "ETIMEDOUT");
}

/** bun-types describes this variant's options (FdSocketOptions) but lists no overload of `connect` for it. */
const connectByDescriptor = Bun.connect as unknown as (options: {
  readonly fd: number;
  readonly allowHalfOpen: boolean;
  readonly socket: SocketHandler<undefined>;
}) => Promise<Socket<undefined>>;

/** A Duplex over a connected descriptor. Bun adopts descriptors by Bun.connect alone; net.Socket gets no data then. */
class DescriptorStream extends Duplex {
  #socket: Socket<undefined> | undefined;
  #pending: { chunk: Uint8Array; done: (error?: Error | null) => void } | undefined;

  constructor() {
    super({ allowHalfOpen: true });
  }

  /** Takes the descriptor over; it is closed with the stream. */
  async open(fd: number): Promise<void> {
    const socket: SocketHandler<undefined> = {
      data: (socket, chunk) => {
        if (!this.push(chunk)) socket.pause();
      },
      drain: () => this.#flush(),
      end: () => {
        this.push(null);
      },
      close: (_socket, error) => this.#closed(error ?? undefined),
      error: (_socket, error) => {
        this.destroy(error);
      },
    };
    this.#socket = await connectByDescriptor({ fd, allowHalfOpen: true, socket });
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pending = { chunk, done };
    this.#flush();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket?.shutdown();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket?.terminate();
    this.#socket = undefined;
    done(error);
  }

  #flush(): void {
    if (this.#pending === undefined || this.#socket === undefined) return;
    const { chunk, done } = this.#pending;
    const written = this.#socket.write(chunk);
    if (written < 0) {
      this.#pending = undefined;
      done(new Error("the connection is closed"));
    } else if (written < chunk.length) {
      this.#pending = { chunk: chunk.subarray(written), done };
    } else {
      this.#pending = undefined;
      done();
    }
  }

  #closed(error: Error | undefined): void {
    if (this.destroyed) return;
    if (error !== undefined) {
      this.destroy(error);
      return;
    }
    this.push(null);
    this.#pending?.done(new Error("the connection is closed"));
    this.#pending = undefined;
    this.#socket = undefined;
  }
}
