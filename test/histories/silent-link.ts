/** A TCP link that can fall silent without breaking, as a network that splits does. */
import { connect, createServer, type Server, type Socket } from "node:net";

/** Both ways of one connection. What is sent waits for `passage`. */
interface Connection {
  passage: Promise<void>;
}

export class SilentLink {
  readonly #connections = new Set<Connection>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #silence: Promise<void> = Promise.resolve();

  private constructor(
    server: Server,
    readonly port: number,
  ) {
    this.#server = server;
  }

  /** To a port of this machine. */
  static start(to: number): Promise<SilentLink> {
    return new Promise((resolve) => {
      const server = createServer({ allowHalfOpen: true });
      server.listen(0, "127.0.0.1", () => {
        const link = new SilentLink(server, (server.address() as { port: number }).port);
        server.on("connection", (near) => void link.#carry(near, to));
        resolve(link);
      });
    });
  }

  /**
   * Nothing passes for so long; then new connections do. Those of before take as long again, as the tries of TCP lie ever
   * further apart: what was sent by them comes after what was sent later by new ones, even if its sender is gone.
   */
  silence(duration_ms: number): Promise<void> {
    this.#silence = Bun.sleep(duration_ms);
    const repeated = Bun.sleep(2 * duration_ms);
    for (const connection of this.#connections) connection.passage = repeated;
    return this.#silence;
  }

  async #carry(near: Socket, to: number): Promise<void> {
    const connection = { passage: this.#silence };
    this.#connections.add(connection);
    this.#keep(near);
    await connection.passage;
    const far = this.#keep(connect({ port: to, host: "127.0.0.1", allowHalfOpen: true }));
    await Promise.all([pass(near, far, connection), pass(far, near, connection)]);
    this.#connections.delete(connection);
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    // Whoever reads from it hears of it.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    return socket;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

async function pass(from: Socket, to: Socket, connection: Connection): Promise<void> {
  try {
    for await (const chunk of from) {
      await connection.passage;
      to.write(chunk as Buffer);
    }
  } catch {
    // A connection that was reset ends for the other side as well.
  }
  await connection.passage;
  to.end();
}
