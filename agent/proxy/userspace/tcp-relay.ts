import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Endpoint } from "../service-ports.ts";

/** Gives the endpoints for a client, the best first; empty where it may not come or nobody serves. */
export interface RelayTargets {
  endpoints(client: string): readonly Endpoint[];
  served(client: string, endpoint: Endpoint): void;
}

const mostConnections = 1000;
const mostTries = 4;
const connect_ms = 2000;
/** A peer that is gone without a word is found by the kernel within minutes. */
const keepalive_ms = 60_000;

/** Takes TCP connections and joins each to one of an endpoint; halves close apart, as in a connection without it. */
export class TcpRelay {
  private readonly open = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly targets: RelayTargets,
  ) {
    server.maxConnections = mostConnections;
    server.on("connection", (client) => void this.serve(client));
  }

  /** Rejects when the port is taken. */
  static async listen(address: string, port: number, targets: RelayTargets): Promise<TcpRelay> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    const relay = new TcpRelay(server, targets);
    server.listen(port, address);
    await once(server, "listening");
    return relay;
  }

  close(): void {
    this.server.close();
    for (const socket of this.open) socket.destroy();
  }

  private async serve(client: Socket): Promise<void> {
    client.on("error", () => client.destroy());
    this.keep(client);
    const address = client.remoteAddress ?? "";
    for (const endpoint of this.targets.endpoints(address).slice(0, mostTries)) {
      const upstream = await reach(endpoint);
      if (!upstream) continue;
      if (client.destroyed) {
        upstream.destroy();
        return;
      }
      this.targets.served(address, endpoint);
      this.join(client, upstream);
      return;
    }
    client.resetAndDestroy();
  }

  private join(client: Socket, upstream: Socket): void {
    this.keep(upstream);
    const pairs: readonly (readonly [Socket, Socket])[] = [
      [client, upstream],
      [upstream, client],
    ];
    for (const [socket, other] of pairs) {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, keepalive_ms);
      socket.on("error", () => other.resetAndDestroy());
      // Where both have said all, what is left for a slow reader is still on its way; it closes by itself then.
      socket.on("close", () => {
        if (!socket.readableEnded || !other.readableEnded) other.destroy();
      });
      socket.pipe(other);
    }
    client.resume();
  }

  private keep(socket: Socket): void {
    this.open.add(socket);
    socket.once("close", () => this.open.delete(socket));
  }
}

/** undefined: it does not answer, and the next one is tried. */
function reach({ ip, port }: Endpoint): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: ip, port, allowHalfOpen: true });
    const give = (result: Socket | undefined): void => {
      clearTimeout(timer);
      socket.removeListener("error", fail);
      resolve(result);
    };
    const fail = (): void => {
      socket.on("error", () => undefined);
      socket.destroy();
      give(undefined);
    };
    const timer = setTimeout(fail, connect_ms);
    socket.once("error", fail);
    socket.once("connect", () => give(socket));
  });
}
