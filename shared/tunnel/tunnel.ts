import { Duplex } from "node:stream";
import { UnreadBytes } from "#shared/http/unread-bytes.ts";
import type { ConnectionLimits } from "#shared/net/connection-watch.ts";
import {
  encodeFrame,
  type Frame,
  FrameDecoder,
  frameType,
  initialCredit_bytes,
  maxPayload_bytes,
  TunnelProtocolError,
} from "./frames.ts";

/** What a stream leads to on the board. */
export type TunnelTarget =
  /** The kubelet's own HTTP server. `unverified`: one that is called without a tunnel may show any certificate. */
  | { readonly kind: "kubelet"; readonly unverified?: boolean | undefined }
  /** An address that the board reaches: a pod, a Service's endpoint, a port of the board. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Protocol name in the `Upgrade` header, and the path that boards ask for it. */
export const tunnelProtocol = "bramble-tunnel/1";
export const tunnelPath = "/bramble/v1/tunnel";

/** A board that has lost its tunnel tries again within this time. */
export const longestPause_ms = 8_000;
/** A dead link, or a machine without power, shows to the other side within a minute, without traffic of our own above TCP. */
export const tunnelLimits: ConnectionLimits = { dead_ms: 45_000, idle_s: 20, interval_s: 5 };

/** The number of no stream. */
const noStream = 0;
const mostStreams = 1024;

export interface TunnelOptions {
  /** The accepting side: called with each stream that the other side opens. Absent: opening one ends the tunnel. */
  readonly onStream?: ((target: TunnelTarget, stream: Duplex) => void) | undefined;
  /** Shared with other tunnels; its own unless given. */
  readonly unread?: UnreadBytes | undefined;
  /** What of the tunnel was read from the connection already, with the end of the handshake before it. */
  readonly head?: Buffer | undefined;
}

/** Many byte streams over one connection, each with its own flow control. */
export class Tunnel {
  private readonly streams = new Map<number, TunnelStream>();
  private readonly decoder = new FrameDecoder();
  private readonly unread: UnreadBytes;
  private readonly end = Promise.withResolvers<void>();
  private nextStream = 1;
  private isClosed = false;

  constructor(
    private readonly connection: Duplex,
    private readonly options: TunnelOptions = {},
  ) {
    this.unread = options.unread ?? new UnreadBytes();
    connection.on("data", (chunk: Buffer) => this.receive(chunk));
    connection.on("error", (error) => this.close(error));
    connection.once("close", () => this.close(new Error("the tunnel's connection closed")));
    connection.once("end", () => this.close(new Error("the tunnel's connection ended")));
    if (options.head) this.receive(options.head);
  }

  /** Resolves when the connection is gone, for whatever reason. */
  get closed(): Promise<void> {
    return this.end.promise;
  }

  /** A stream to the target. It is usable at once; a target that cannot be reached shows as an error on it. */
  open(target: TunnelTarget): Duplex {
    if (this.isClosed) throw new Error("the tunnel is closed");
    if (this.streams.size >= mostStreams) throw new Error(`the tunnel carries ${mostStreams} streams already`);
    const number = this.nextStream++;
    this.send(frameType.open, number, Buffer.from(JSON.stringify(target)));
    return this.add(number);
  }

  /** Says something that the other side passes over: a machine that has lost power meanwhile answers that it knows nothing
   *  of the connection, which closes the tunnel. Without that its kernel is silent, and a dead tunnel looks like an idle one. */
  touch(): void {
    this.send(frameType.credit, noStream, Buffer.alloc(4));
  }

  close(reason: Error = new Error("the tunnel was closed")): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const stream of [...this.streams.values()]) stream.destroy(reason);
    this.connection.end(() => this.connection.destroy());
    this.end.resolve();
  }

  private add(number: number): TunnelStream & Duplex {
    const stream = new TunnelStream({
      send: (type, payload) => this.send(type, number, payload),
      ended: () => this.streams.delete(number),
      unread: this.unread,
    });
    // Whoever reads or writes learns of an error; one that comes when nobody does must not end the process.
    stream.on("error", () => undefined);
    this.streams.set(number, stream);
    return stream;
  }

  private send(type: Frame["type"], stream: number, payload?: Uint8Array): void {
    if (!this.isClosed) this.connection.write(encodeFrame(type, stream, payload));
  }

  private receive(chunk: Buffer): void {
    try {
      for (const frame of this.decoder.push(chunk)) this.take(frame);
    } catch (error) {
      this.close(error as Error);
    }
  }

  private take({ type, stream: number, payload }: Frame): void {
    if (type === frameType.open) {
      const { onStream } = this.options;
      if (!onStream) throw new TunnelProtocolError("this side opens the streams");
      this.accept(number, payload, onStream);
      return;
    }
    // Frames for a stream that this side has reset already may still be on their way.
    this.streams.get(number)?.receive(type, payload);
  }

  private accept(number: number, payload: Buffer, onStream: NonNullable<TunnelOptions["onStream"]>): void {
    const target = parseTarget(payload);
    if (!target || this.streams.has(number) || this.streams.size >= mostStreams) {
      this.send(frameType.reset, number, Buffer.from("the stream was refused"));
      return;
    }
    onStream(target, this.add(number));
  }
}

interface Wire {
  send(type: Frame["type"], payload?: Uint8Array): void;
  ended(): void;
  readonly unread: UnreadBytes;
}

class TunnelStream extends Duplex {
  private credit_bytes = initialCredit_bytes;
  /** Bytes taken in that the other side has not been granted anew. */
  private consumed_bytes = 0;
  private blocked: { readonly rest: Buffer; readonly done: (error?: Error | null) => void } | undefined;
  private isReset = false;
  /** By `performance.now()`; what it was opened at, before. */
  readAt_ms = performance.now();

  constructor(private readonly wire: Wire) {
    super({ allowHalfOpen: true, readableHighWaterMark: initialCredit_bytes });
  }

  receive(type: Frame["type"], payload: Buffer): void {
    switch (type) {
      case frameType.data:
        this.consumed_bytes += payload.length;
        // A side that does not keep to it could fill this one's memory.
        if (this.consumed_bytes > initialCredit_bytes)
          throw new TunnelProtocolError("more data came than there was credit for");
        this.push(payload);
        // While the reader is slow its buffer stays full and grants nothing.
        if (this.readableLength < initialCredit_bytes / 2) this.grant();
        this.countUnread();
        return;
      case frameType.end:
        this.push(null);
        return;
      case frameType.reset:
        this.isReset = true;
        this.destroy(new Error(payload.toString() || "the stream was reset"));
        return;
      case frameType.credit:
        if (payload.length !== 4) throw new TunnelProtocolError("a grant of credit has 4 bytes");
        this.credit_bytes += payload.readUInt32BE(0);
        this.unblock();
        return;
      case frameType.open:
        throw new TunnelProtocolError("a stream cannot be opened twice");
    }
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    if (chunk !== null) {
      this.readAt_ms = performance.now();
      this.countUnread();
    }
    return chunk;
  }

  override _read(): void {
    this.grant();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.transmit(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.wire.send(frameType.end);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const isOver = this.readableEnded && this.writableFinished;
    if (!this.isReset && !isOver) this.wire.send(frameType.reset, Buffer.from(error?.message ?? "").subarray(0, 1024));
    this.wire.ended();
    this.wire.unread.count(this, 0);
    const { blocked } = this;
    this.blocked = undefined;
    blocked?.done(error ?? new Error("the stream was closed"));
    done(error);
  }

  private transmit(chunk: Buffer, done: (error?: Error | null) => void): void {
    let rest = chunk;
    while (rest.length > 0 && this.credit_bytes > 0) {
      const part = rest.subarray(0, Math.min(maxPayload_bytes, this.credit_bytes));
      this.wire.send(frameType.data, part);
      this.credit_bytes -= part.length;
      rest = rest.subarray(part.length);
    }
    if (rest.length > 0) this.blocked = { rest, done };
    else done();
  }

  private unblock(): void {
    const { blocked } = this;
    if (!blocked) return;
    this.blocked = undefined;
    this.transmit(blocked.rest, blocked.done);
  }

  private countUnread(): void {
    this.wire.unread.count(this, this.destroyed ? 0 : this.readableLength);
  }

  private grant(): void {
    if (this.consumed_bytes < initialCredit_bytes / 4) return;
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(this.consumed_bytes);
    this.consumed_bytes = 0;
    this.wire.send(frameType.credit, payload);
  }
}

function parseTarget(payload: Buffer): TunnelTarget | undefined {
  try {
    const value = JSON.parse(payload.toString()) as
      | Partial<Extract<TunnelTarget, { kind: "tcp" }>>
      | { kind: "kubelet" };
    if (value.kind === "kubelet") return { kind: "kubelet" };
    const { kind, host, port } = value;
    if (kind !== "tcp" || typeof host !== "string" || !Number.isInteger(port)) return undefined;
    return { kind, host, port: port as number };
  } catch {
    return undefined;
  }
}
