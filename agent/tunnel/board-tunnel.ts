import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import type { Log } from "#shared/client/log.ts";
import { outOfUrl } from "#shared/http/host-port.ts";
import { watchConnection } from "#shared/net/connection-watch.ts";
import {
  longestPause_ms,
  Tunnel,
  type TunnelTarget,
  tunnelLimits,
  tunnelPath,
  tunnelProtocol,
} from "#shared/tunnel/tunnel.ts";
import type { TlsIdentity } from "../tls-identity.ts";

export interface BoardTunnelOptions {
  /** The API server, `https://host:port`. */
  readonly server: string;
  /** Read anew for each connection. */
  readonly credentials: () => TlsIdentity;
  /** Where the kubelet's server listens for what comes through the tunnel. */
  readonly kubeletSocket: string;
  readonly log: Log;
}

const firstRetry_ms = 500;
/** Boards that have lost their master together come back one after another. */
const mostJitter = 1 / 3;
const longestRetry_ms = longestPause_ms / (1 + mostJitter);
/** An API server that knows no tunnels is asked again as rarely: it may be another by then. */
const refusedRetry_ms = 600_000;
const handshake_ms = 10_000;

/** The API server knows no such path: it is not one of Bramble's, and reaches the kubelet by its port. */
class NoTunnelsError extends Error {
  override readonly name = "NoTunnelsError";
}

/** Keeps a reverse tunnel to one API server, through which that server reaches the kubelet and pods of this board. */
export class BoardTunnel {
  private readonly ending = new AbortController();
  private wake: () => void = () => undefined;
  /** The server was seen during the present try. */
  private isAwaited = false;
  private tunnel: Tunnel | undefined;
  private running: Promise<void> | undefined;

  constructor(private readonly options: BoardTunnelOptions) {}

  start(): void {
    this.running = this.keep();
  }

  /** The server is known to be there, perhaps anew: a pause between tries ends, or is left out after the present one, and
   *  a tunnel that stands is tried. */
  retryNow(): void {
    this.isAwaited = true;
    this.wake();
    this.tunnel?.touch();
  }

  async stop(): Promise<void> {
    this.ending.abort(new Error("the board's agent ends"));
    this.tunnel?.close();
    this.wake();
    await this.running;
  }

  private async keep(): Promise<void> {
    const { server, log } = this.options;
    const { signal } = this.ending;
    let failures = 0;
    while (!signal.aborted) {
      let longest_ms = longestRetry_ms;
      this.isAwaited = false;
      try {
        const tunnel = await this.connect();
        this.isAwaited = false;
        this.tunnel = tunnel;
        if (failures > 0) log.info("the tunnel stands again", { server });
        failures = 0;
        if (signal.aborted) tunnel.close();
        await tunnel.closed;
        this.tunnel = undefined;
        this.isAwaited = false;
      } catch (error) {
        if (signal.aborted) return;
        if (failures === 0) log.warn("no tunnel", { server, error });
        if (error instanceof NoTunnelsError) longest_ms = refusedRetry_ms;
      }
      failures++;
      const pause_ms = exponentialDelay_ms(failures - 1, firstRetry_ms, longest_ms);
      if (!signal.aborted && !this.isAwaited) await this.sleep(pause_ms * (1 + Math.random() * mostJitter));
    }
  }

  private sleep(pause_ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pause_ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** TLS with the node's certificate, then an HTTP upgrade. */
  private connect(): Promise<Tunnel> {
    const url = new URL(this.options.server);
    const { signal } = this.ending;
    return new Promise((resolve, reject) => {
      const socket = connectTls({
        host: outOfUrl(url.hostname),
        port: Number(url.port || 443),
        ...this.options.credentials(),
        ALPNProtocols: ["http/1.1"],
      });
      const timer = setTimeout(() => fail(new Error("the server did not answer in time")), handshake_ms);
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onEnd);
        socket.off("error", fail).off("close", onClose).off("data", onData);
      };
      const fail = (error: Error): void => {
        settle();
        // An error may follow as it is torn down.
        socket.on("error", () => undefined);
        socket.destroy();
        reject(error);
      };
      const onClose = (): void => fail(new Error("the server closed the connection"));
      const onEnd = (): void => fail(signal.reason as Error);
      socket.on("error", fail).on("close", onClose);
      signal.addEventListener("abort", onEnd);
      socket.once("secureConnect", () => {
        watchConnection(socket, tunnelLimits);
        socket.write(
          `GET ${tunnelPath} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: ${tunnelProtocol}\r\n\r\n`,
        );
      });
      let received = Buffer.alloc(0);
      const onData = (chunk: Buffer): void => {
        received = Buffer.concat([received, chunk]);
        const end = received.indexOf("\r\n\r\n");
        if (end < 0 && received.length < 8192) return;
        const status = received.toString("latin1").split("\r\n", 1)[0] ?? "";
        if (end < 0 || !status.startsWith("HTTP/1.1 101")) {
          const why = `the server refused the tunnel: ${status}`;
          fail(/^HTTP\/1\.[01] (403|404)/.test(status) ? new NoTunnelsError(why) : new Error(why));
          return;
        }
        settle();
        // A server that was waited for opens streams at once, right behind the head. The tunnel takes over in this turn:
        // what a connection reads while nobody listens is lost.
        const head = received.subarray(end + 4);
        resolve(new Tunnel(socket, { head, onStream: (target, stream) => this.serve(target, stream) }));
      };
      socket.on("data", onData);
    });
  }

  private serve(target: TunnelTarget, stream: Duplex): void {
    const local =
      target.kind === "kubelet" ? connectTcp(this.options.kubeletSocket) : connectTcp(target.port, target.host);
    local.once("error", (error) => stream.destroy(error));
    stream.once("error", () => local.destroy());
    stream.once("close", () => local.destroy());
    local.once("connect", () => {
      stream.pipe(local);
      local.pipe(stream);
    });
  }
}
