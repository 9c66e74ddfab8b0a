import type { Duplex } from "node:stream";
import { serviceUnavailable } from "#shared/api/errors.ts";
import type { Log } from "#shared/client/log.ts";
import { Tunnel, type TunnelTarget, tunnelProtocol } from "#shared/tunnel/tunnel.ts";
import type { User } from "../request.ts";

/** The only way from this API server to a board: by the tunnel that the board keeps. */
export class BoardDialer {
  private readonly tunnels = new Map<string, Tunnel>();

  constructor(private readonly log: Log) {}

  /** A stream to something on the board. Throws 503 while the board has no tunnel. */
  dial(node: string, target: TunnelTarget): Duplex {
    const tunnel = this.tunnels.get(node);
    if (!tunnel) throw serviceUnavailable(`node ${node} is not connected to this API server`);
    return tunnel.open(target);
  }

  isConnected(node: string): boolean {
    return this.tunnels.has(node);
  }

  /** Boards that have a tunnel now, in no particular order. */
  get boards(): string[] {
    return [...this.tunnels.keys()];
  }

  /** Takes an upgraded connection of `user`; only a node's own identity may bring one. False: refused. */
  accept(user: User, socket: Duplex, head: Buffer): boolean {
    const node = nodeOf(user);
    if (node === undefined) return false;
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${tunnelProtocol}\r\n\r\n`);
    if (head.length > 0) socket.unshift(head);
    const tunnel = new Tunnel(socket);
    // A board that connects anew has lost its old connection, whether or not this side has noticed.
    this.tunnels.get(node)?.close();
    this.tunnels.set(node, tunnel);
    this.log.info("tunnel up", { node });
    void tunnel.closed.then(() => {
      if (this.tunnels.get(node) !== tunnel) return;
      this.tunnels.delete(node);
      this.log.info("tunnel down", { node });
    });
    return true;
  }

  close(): void {
    for (const tunnel of this.tunnels.values()) tunnel.close();
  }
}

function nodeOf(user: User): string | undefined {
  const prefix = "system:node:";
  if (!user.groups.includes("system:nodes") || !user.name.startsWith(prefix)) return undefined;
  return user.name.slice(prefix.length);
}
