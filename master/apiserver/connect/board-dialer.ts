import type { Duplex } from "node:stream";
import { serviceUnavailable } from "#shared/api/errors.ts";
import type { Log } from "#shared/client/log.ts";
import { UnreadBytes } from "#shared/http/unread-bytes.ts";
import { longestPause_ms, Tunnel, type TunnelTarget, tunnelProtocol } from "#shared/tunnel/tunnel.ts";
import type { User } from "../request.ts";

/** What opens streams to boards. */
export interface Dialer {
  /** A stream to something on the board; it is usable at once. Rejects with 503 when the board cannot be reached, and with
   *  the signal's reason when that aborts first. */
  dial(node: string, target: TunnelTarget, signal?: AbortSignal): Promise<Duplex>;
  /** Boards that can be reached now, in no particular order. */
  readonly boards: readonly string[];
  /** Reaches what is no board's, too: from this machine. */
  readonly reachesDirectly?: boolean | undefined;
}

/** By which boards something can be reached that is no board's own; "" for this machine. */
export const waysOf = ({ boards, reachesDirectly }: Dialer): readonly string[] =>
  boards.length === 0 && reachesDirectly ? [""] : boards;

/** A server that has just started hears from its boards within this time, and so does one whose link was broken: they try
 *  again within their longest pause, and connecting takes a moment. */
const patience_ms = longestPause_ms + 4_000;

/** The way from this API server to a board: by the tunnel that the board keeps, or, where the settings say how kubelets are
 *  called, by a call to one without. */
export class BoardDialer implements Dialer {
  private readonly tunnels = new Map<string, Tunnel>();
  private readonly unread = new UnreadBytes();
  /** Requests that wait for a board, by node; each is also bounded by its own request. */
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(
    private readonly log: Log,
    private readonly wait_ms = patience_ms,
    private readonly calls?: Pick<Dialer, "dial"> | undefined,
  ) {}

  get reachesDirectly(): boolean {
    return this.calls !== undefined;
  }

  async dial(node: string, target: TunnelTarget, signal?: AbortSignal): Promise<Duplex> {
    if (this.calls && !this.tunnels.has(node)) return this.calls.dial(node, target, signal);
    if (!this.tunnels.has(node)) await this.arrival(node, signal);
    const tunnel = this.tunnels.get(node);
    if (!tunnel) throw serviceUnavailable(`node ${node} is not connected to this API server`);
    return tunnel.open(target);
  }

  /** Resolves when the board has a tunnel or was waited for long enough. */
  private async arrival(node: string, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => reject(signal?.reason);
    const waiting = this.waiting.get(node) ?? new Set();
    this.waiting.set(node, waiting.add(resolve));
    const timer = setTimeout(resolve, this.wait_ms);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      waiting.delete(resolve);
      if (waiting.size === 0 && this.waiting.get(node) === waiting) this.waiting.delete(node);
    }
  }

  get boards(): string[] {
    return [...this.tunnels.keys()];
  }

  /** Takes an upgraded connection of `user`; only a node's own identity may bring one. False: refused. */
  accept(user: User, socket: Duplex, head: Buffer): boolean {
    const node = nodeOf(user);
    if (node === undefined) return false;
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${tunnelProtocol}\r\n\r\n`);
    const tunnel = new Tunnel(socket, { unread: this.unread, head });
    // A board that connects anew has lost its old connection, whether or not this side has noticed.
    this.tunnels.get(node)?.close();
    this.tunnels.set(node, tunnel);
    this.log.info("tunnel up", { node });
    for (const resume of this.waiting.get(node) ?? []) resume();
    void tunnel.closed.then(() => {
      if (this.tunnels.get(node) !== tunnel) return;
      this.tunnels.delete(node);
      this.log.info("tunnel down", { node });
    });
    return true;
  }

  close(): void {
    for (const waiting of this.waiting.values()) for (const resume of waiting) resume();
    for (const tunnel of this.tunnels.values()) tunnel.close();
  }
}

function nodeOf(user: User): string | undefined {
  const prefix = "system:node:";
  if (!user.groups.includes("system:nodes") || !user.name.startsWith(prefix)) return undefined;
  return user.name.slice(prefix.length);
}
