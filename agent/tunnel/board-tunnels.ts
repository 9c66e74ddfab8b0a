import { BoardTunnel, type BoardTunnelOptions } from "./board-tunnel.ts";

/** A tunnel to each API server of a list that may change. */
export class BoardTunnels {
  readonly #tunnels = new Map<string, BoardTunnel>();
  readonly #ending = new Set<Promise<void>>();

  constructor(private readonly options: Omit<BoardTunnelOptions, "server">) {}

  /** Opens what is missing and closes what is not listed any more. */
  keep(servers: readonly string[]): void {
    for (const [server, tunnel] of this.#tunnels) {
      if (servers.includes(server)) continue;
      this.#tunnels.delete(server);
      const ending = tunnel.stop().finally(() => this.#ending.delete(ending));
      this.#ending.add(ending);
    }
    for (const server of servers) {
      if (this.#tunnels.has(server)) continue;
      const tunnel = new BoardTunnel({ ...this.options, server });
      this.#tunnels.set(server, tunnel);
      tunnel.start();
    }
  }

  /** A link that was cut is whole again: the tunnels need not wait for their next try. */
  retryNow(): void {
    for (const tunnel of this.#tunnels.values()) tunnel.retryNow();
  }

  async stop(): Promise<void> {
    this.keep([]);
    await Promise.all(this.#ending);
  }
}
