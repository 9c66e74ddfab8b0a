import { mkdirSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import type { GrpcServer } from "./server.ts";

/**
 * A unix socket at which a gRPC server is made only when somebody connects: HTTP/2 takes 13 MB under Bun, and on most
 * boards nobody ever does.
 */
export class GrpcDoor {
  readonly #make: () => Promise<GrpcServer>;
  readonly #onError: (error: unknown) => void;
  readonly #door: Server;
  #server: Promise<GrpcServer> | undefined;
  #path: string | undefined;

  constructor(make: () => Promise<GrpcServer>, onError: (error: unknown) => void) {
    this.#make = make;
    this.#onError = onError;
    this.#door = createServer({ pauseOnConnect: true }, (socket) => void this.#take(socket));
  }

  /** Makes the socket and its folder; one that an earlier process left is replaced. Rejects when that cannot be. */
  async listen(path: string): Promise<void> {
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#door.once("error", reject);
      this.#door.listen(path, () => {
        this.#door.off("error", reject);
        resolve();
      });
    });
    this.#path = path;
  }

  async #take(socket: Socket): Promise<void> {
    // Whoever leaves before the server is there is not missed.
    socket.on("error", () => socket.destroy());
    try {
      this.#server ??= this.#make();
      (await this.#server).accept(socket);
    } catch (error) {
      this.#server = undefined;
      socket.destroy();
      this.#onError(error);
    }
  }

  /** Ends all calls and removes the socket. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#door.close(() => resolve()));
    const server = await this.#server?.catch(() => undefined);
    await server?.stop();
    await closed;
    if (this.#path !== undefined) rmSync(this.#path, { force: true });
  }
}
