import { Duplex } from "node:stream";
import { GatheredBytes } from "#shared/http/gathered-bytes.ts";
import { HeaderReader, type Headers, HeaderWriter } from "./header-block.ts";

/**
 * One side of a SPDY/3.1 connection, as Kubernetes uses it for exec, attach and port-forward: a server gets the streams
 * that the client opens; both answer pings. Go's spdystream neither sends nor honours WINDOW_UPDATE, so windows would stall:
 * what is bounded is bounded by TCP, whose reading rests while a stream's reader is behind.
 */
const control = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;
const flagFin = 1;
const resetCode = { protocolError: 1, refusedStream: 3, cancel: 5 } as const;
const maxFrame_bytes = 1 << 20;
const head_bytes = 8;
const maxData_bytes = 16_384;
const mostStreams = 512;
/** Of frames that wait for a header block before them. */
const mostWaiting_bytes = 256 * 1024;

export type OnStream = (stream: SpdyStream) => void;

export class SpdyConnection {
  private readonly streams = new Map<number, SpdyStream>();
  /** What reading rests for: streams that are behind, frames that wait their turn, answers that the other side does not read. */
  private readonly behind = new Set<SpdyStream | "frames" | "answers">();
  private readonly reader = new HeaderReader();
  private readonly writer = new HeaderWriter();
  private readonly arrived = new GatheredBytes();
  /** Of what arrives, before there is anything to do. */
  private need_bytes = head_bytes;
  /** Frames are handled in order although inflating a header block takes a turn. */
  private order: Promise<void> = Promise.resolve();
  private waiting_bytes = 0;
  private readonly end = Promise.withResolvers<void>();
  private isClosed = false;
  private nextId = 1;
  private readonly onStream: OnStream | undefined;

  constructor(
    private readonly socket: Duplex,
    side: OnStream | "client",
  ) {
    this.onStream = side === "client" ? undefined : side;
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    for (const end of ["error", "end", "close"]) socket.on(end, () => this.closeInOrder());
    socket.on("drain", () => this.goOn("answers"));
  }

  /** Resolves when the connection has ended. */
  get closed(): Promise<void> {
    return this.end.promise;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const stream of [...this.streams.values()]) stream.abandon();
    this.reader.close();
    this.socket.end(() => this.socket.destroy());
    this.end.resolve();
  }

  /** Opens a stream, of the client's side. */
  open(headers: Headers): SpdyStream {
    const stream = new SpdyStream(this, this.nextId, headers);
    this.nextId += 2;
    this.streams.set(stream.id, stream);
    const associatedAndPriority = Buffer.alloc(6);
    this.sendControl(
      control.synStream,
      0,
      Buffer.concat([numbers(stream.id), associatedAndPriority, this.writer.write(headers)]),
    );
    return stream;
  }

  /** For SpdyStream. */
  sendData(id: number, data: Uint8Array, isLast: boolean, done?: () => void): void {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(id, 0);
    head.writeUInt32BE(((isLast ? flagFin : 0) << 24) | data.length, 4);
    if (this.isClosed) done?.();
    else this.socket.write(Buffer.concat([head, data]), () => done?.());
  }

  /** Reads no more from the socket until everything that is behind has caught up. */
  rest(what: SpdyStream | "frames" | "answers"): void {
    this.behind.add(what);
    this.socket.pause();
  }

  goOn(what: SpdyStream | "frames" | "answers"): void {
    if (this.behind.delete(what) && this.behind.size === 0) this.socket.resume();
  }

  /** Behind the frames that have come. */
  private closeInOrder(): void {
    this.order = this.order.then(() => this.close());
  }

  sendReset(id: number, code: number = resetCode.cancel): void {
    this.sendControl(control.rstStream, 0, numbers(id, code));
  }

  forget(id: number): void {
    this.streams.delete(id);
  }

  private sendControl(type: number, flags: number, payload: Buffer): void {
    const head = Buffer.alloc(8);
    head.writeUInt16BE(0x8003, 0);
    head.writeUInt16BE(type, 2);
    head.writeUInt32BE((flags << 24) | payload.length, 4);
    this.write(Buffer.concat([head, payload]));
  }

  private write(frame: Buffer): void {
    if (!this.isClosed && !this.socket.write(frame)) this.rest("answers");
  }

  private receive(chunk: Buffer): void {
    this.arrived.push(chunk);
    if (this.arrived.length < this.need_bytes) return;
    let rest = this.arrived.takeAll();
    this.need_bytes = head_bytes;
    while (rest.length >= head_bytes) {
      const length = rest.readUInt32BE(4) & 0xffffff;
      if (length > maxFrame_bytes) {
        this.close();
        return;
      }
      if (rest.length < head_bytes + length) {
        this.need_bytes = head_bytes + length;
        break;
      }
      const frame = rest.subarray(0, head_bytes + length);
      rest = rest.subarray(head_bytes + length);
      this.waiting_bytes += frame.length;
      this.order = this.order.then(() => this.take(frame)).catch(() => this.close());
      this.order = this.order.then(() => this.took(frame.length));
    }
    this.arrived.push(rest);
    if (this.waiting_bytes > mostWaiting_bytes) this.rest("frames");
  }

  private took(length: number): void {
    this.waiting_bytes -= length;
    if (this.waiting_bytes <= mostWaiting_bytes / 2) this.goOn("frames");
  }

  private async take(frame: Buffer): Promise<void> {
    if (this.isClosed) return;
    const flags = frame.readUInt8(4);
    const payload = frame.subarray(head_bytes);
    if ((frame.readUInt8(0) & 0x80) === 0) {
      this.takeData(frame.readUInt32BE(0) & 0x7fffffff, payload, (flags & flagFin) !== 0);
      return;
    }
    const id = payload.length >= 4 ? payload.readUInt32BE(0) & 0x7fffffff : 0;
    switch (frame.readUInt16BE(2)) {
      case control.synStream:
        await this.takeSynStream(id, payload, (flags & flagFin) !== 0);
        return;
      case control.synReply:
      case control.headers:
        // Its block belongs to the connection's zlib stream, whatever is done with it.
        await this.reader.read(payload.subarray(4));
        return;
      case control.rstStream:
        this.streams.get(id)?.abandon();
        return;
      case control.ping:
        // A client numbers its pings odd, a server even: what has our parity would answer one of ours.
        if (id % 2 === (this.onStream ? 1 : 0)) this.sendControl(control.ping, 0, numbers(id));
        return;
      default:
        // SETTINGS, GOAWAY and WINDOW_UPDATE ask for nothing here.
        return;
    }
  }

  private takeData(id: number, payload: Buffer, isLast: boolean): void {
    const stream = this.streams.get(id);
    if (stream) stream.takeData(payload, isLast);
    else this.sendReset(id, resetCode.protocolError);
  }

  private async takeSynStream(id: number, payload: Buffer, isLast: boolean): Promise<void> {
    const headers = await this.reader.read(payload.subarray(10));
    if (!this.onStream || this.streams.has(id) || this.streams.size >= mostStreams) {
      this.sendReset(id, resetCode.refusedStream);
      return;
    }
    const stream = new SpdyStream(this, id, headers);
    this.streams.set(id, stream);
    if (isLast) stream.takeData(Buffer.alloc(0), true);
    this.sendControl(control.synReply, 0, Buffer.concat([numbers(id), this.writer.write({})]));
    this.onStream(stream);
  }
}

/** One stream: a Duplex with the headers that the client opened it with (names in lower case where they came by wire). */
export class SpdyStream extends Duplex {
  private isAbandoned = false;
  private hasEnd = false;

  constructor(
    private readonly connection: SpdyConnection,
    readonly id: number,
    readonly headers: Headers,
  ) {
    super({ allowHalfOpen: true });
    // Nobody may be listening when a client goes away; whoever uses the stream sees it end.
    this.on("error", () => undefined);
  }

  takeData(payload: Buffer, isLast: boolean): void {
    if (payload.length > 0 && !this.push(payload)) this.connection.rest(this);
    if (isLast) this.endReading();
  }

  /** The other side is done with the stream in both directions. What it sent before can still be read. */
  abandon(): void {
    this.isAbandoned = true;
    this.endReading();
    if (this.readableLength === 0) this.destroy();
    else this.once("end", () => this.destroy());
  }

  private endReading(): void {
    if (this.hasEnd) return;
    this.hasEnd = true;
    this.push(null);
  }

  override _read(): void {
    this.connection.goOn(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.isAbandoned || chunk.length === 0) {
      done();
      return;
    }
    for (let start = 0; start < chunk.length; start += maxData_bytes) {
      const isLastPart = start + maxData_bytes >= chunk.length;
      this.connection.sendData(
        this.id,
        chunk.subarray(start, start + maxData_bytes),
        false,
        isLastPart ? done : undefined,
      );
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.isAbandoned) this.connection.sendData(this.id, Buffer.alloc(0), true);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.isAbandoned && !(this.readableEnded && this.writableFinished)) this.connection.sendReset(this.id);
    this.connection.forget(this.id);
    this.connection.goOn(this);
    done(error);
  }
}

function numbers(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value >>> 0, 4 * index);
  return buffer;
}
