import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { afterReading } from "../net/after-reading.ts";

/** How many connections there may be, and how long each may keep the server waiting (ms). */
export interface ConnectionLimits {
  /** A board alone holds some twenty, for its watches. Where all are taken, the client that has most of them gives one up. */
  readonly connections: number;
  /** Those by which nobody has authenticated yet: beyond, the oldest goes. */
  readonly unproven: number;
  readonly handshakeWithin_ms: number;
  readonly headersWithin_ms: number;
  readonly idleFor_ms: number;
  /** For a client to take some of what was written. */
  readonly stalledFor_ms: number;
}

export const connectionLimits: ConnectionLimits = {
  connections: 10_000,
  unproven: 256,
  // As upstream's. Less is too little for a server that is starved: a client would hear nothing, and not know why.
  handshakeWithin_ms: 32_000,
  headersWithin_ms: 32_000,
  idleFor_ms: 180_000,
  stalledFor_ms: 60_000,
};

/** Of the memory that the process may use, for each connection: one by TLS holds some 45 kB, so that all take less than a fifth. */
const MEMORY_EACH_BYTES = 256 * 1024;

/** How many connections there may be where so many bytes of memory may be used. */
export const connectionsWithin = (usable_bytes: number): number =>
  Math.min(connectionLimits.connections, Math.floor(usable_bytes / MEMORY_EACH_BYTES));

/** An answer on its way to a client. */
export interface Reading<S> {
  readonly response: { readonly closed: boolean; once(event: "close", listener: () => void): unknown };
  readonly connection: S;
  /** Of what was answered, the bytes that the client has not taken yet. */
  untaken_bytes(): number;
  /** Leaves a client that takes nothing. */
  leave(): void;
}

interface Connection {
  /** Requests that are not answered yet. */
  requests: number;
  readonly address: string;
  /** At most one: for the handshake, the next request, or the client's reading. */
  /** Lets it off its deadline, once it has one. */
  letOff?: () => void;
}

/** The open connections of a server, by TLS most often. Bun's own limits of handshakes and headers do not hold for these: it tells of a
 *  handshake that takes too long, and leaves it open. */
export class Connections<S extends Socket = TLSSocket> {
  readonly #limits: ConnectionLimits;
  /** Oldest first. */
  readonly #open = new Map<S, Connection>();
  /** How many each client has, by its address. */
  readonly #byClient = new Map<string, number>();
  /** Oldest first. */
  readonly #unproven = new Set<S>();

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#open.size;
  }

  get sockets(): Iterable<S> {
    return this.#open.keys();
  }

  /** A connection before its handshake. */
  opened(socket: S): void {
    socket.on("error", () => socket.destroy());
    const address = socket.remoteAddress ?? "";
    if (this.#open.size >= this.#limits.connections && !this.#makeRoom(address)) {
      socket.destroy();
      return;
    }
    const connection: Connection = { requests: 0, address };
    this.#open.set(socket, connection);
    this.#byClient.set(address, this.#held(address) + 1);
    this.#unproven.add(socket);
    socket.on("close", () => this.#forget(socket));
    this.#endAfter(socket, this.#limits.handshakeWithin_ms);
    const [oldest] = this.#unproven;
    if (this.#unproven.size > this.#limits.unproven) oldest?.destroy();
  }

  /** After its handshake, or where there is none. */
  secured(socket: S): void {
    this.#endAfter(socket, this.#limits.headersWithin_ms);
  }

  requestBegan(socket: S): void {
    const connection = this.#open.get(socket);
    if (!connection) return;
    connection.requests += 1;
    connection.letOff?.();
  }

  requestEnded(socket: S): void {
    const connection = this.#open.get(socket);
    if (!connection) return;
    connection.requests -= 1;
    if (connection.requests === 0) this.#endAfter(socket, this.#limits.idleFor_ms);
  }

  /** Somebody has authenticated by it. */
  proven(socket: S): void {
    this.#unproven.delete(socket);
  }

  /** Its handshake is done, and others look after it from now on. */
  settled(socket: S): void {
    const connection = this.#open.get(socket);
    connection?.letOff?.();
    this.proven(socket);
  }

  /** Leaves a client that takes nothing of an answer that is written. */
  awaitReader(reading: Reading<S>): void {
    const { response, connection } = reading;
    let left_bytes = Number.POSITIVE_INFINITY;
    // Of its own: a request that follows in the same connection must not take it back.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = (): void => {
      if (!this.#open.has(connection) || response.closed) return;
      const waiting_bytes = reading.untaken_bytes();
      if (waiting_bytes >= left_bytes) {
        reading.leave();
        return;
      }
      left_bytes = waiting_bytes;
      timer = setTimeout(look, this.#limits.stalledFor_ms);
    };
    response.once("close", () => clearTimeout(timer));
    look();
  }

  /** Takes a connection from the client that has most, if that leaves it no fewer than the one that comes has then. */
  #makeRoom(address: string): boolean {
    const mine = this.#held(address);
    const [holder] = [...this.#byClient].reduce((most, each) => (each[1] > most[1] ? each : most), ["", 0]);
    if (this.#held(holder) <= mine + 1) return false;
    for (const [socket, connection] of this.#open) {
      if (connection.address !== holder) continue;
      this.#forget(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  #held(address: string): number {
    return this.#byClient.get(address) ?? 0;
  }

  #forget(socket: S): void {
    const connection = this.#open.get(socket);
    if (!connection) return;
    connection.letOff?.();
    this.#open.delete(socket);
    this.#unproven.delete(socket);
    const left = this.#held(connection.address) - 1;
    if (left > 0) this.#byClient.set(connection.address, left);
    else this.#byClient.delete(connection.address);
  }

  #endAfter(socket: S, within_ms: number): void {
    const connection = this.#open.get(socket);
    if (!connection) return;
    connection.letOff?.();
    connection.letOff = afterReading(within_ms, () => socket.destroy());
  }
}
