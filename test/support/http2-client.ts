/** A client that speaks HTTP/2 frame by frame, so that it can do what no well-behaved one does. */
import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";
import { FRAME_HEAD_BYTES, flags, frameTypes, preface, putFrameHead } from "#shared/http2/frames.ts";
import { HeaderDecoder } from "#shared/http2/header-decoder.ts";

export interface Http2Place {
  readonly port: number;
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface ClientFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A header block of literal fields, without Huffman's code. */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0]),
      lengthOf(name),
      bytesOf(name),
      lengthOf(value),
      bytesOf(value),
    ]),
  );
}

const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1");

function lengthOf({ length }: string): Buffer {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

export function frame(type: number, flag: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  putFrameHead(head, 0, { type, flags: flag, stream, payload });
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** @param settings number and value of each. */
export function settings(...each: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * each.length);
  for (const [index, [id, value]] of each.entries()) {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return frame(frameTypes.settings, 0, 0, payload);
}

export class Http2Client {
  readonly socket: TLSSocket;
  readonly frames: ClientFrame[] = [];
  readonly #decoder = new HeaderDecoder(Number.MAX_SAFE_INTEGER);
  readonly #news = new Set<() => void>();
  #rest: Buffer = Buffer.alloc(0);
  #nextStream = 1;
  isClosed = false;

  /** Connected, the preface and its settings sent. */
  static async connect(place: Http2Place, first: Buffer = settings()): Promise<Http2Client> {
    const { port, ca, cert, key } = place;
    const socket = connect({ host: "127.0.0.1", port, ca, ALPNProtocols: ["h2"], ...(cert ? { cert, key } : {}) });
    await once(socket, "secureConnect");
    const client = new Http2Client(socket);
    socket.write(Buffer.concat([preface, first]));
    return client;
  }

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("close", () => {
      this.isClosed = true;
      this.#ring();
    });
  }

  send(type: number, flag: number, stream: number, payload?: Buffer): void {
    this.socket.write(frame(type, flag, stream, payload));
  }

  /** Sends the head of a request; its stream. */
  begin(method: string, path: string, headers: readonly (readonly [string, string])[] = [], endsStream = true): number {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.send(
      frameTypes.headers,
      flags.endHeaders | (endsStream ? flags.endStream : 0),
      stream,
      headerBlock([...requestFields(method, path), ...headers]),
    );
    return stream;
  }

  /** The whole answer of a stream. Rejects when the stream or the connection ends before. */
  async answer(stream: number): Promise<Answer> {
    await this.until(
      () =>
        this.isClosed ||
        this.of(stream).some(
          (each) =>
            each.type === frameTypes.reset || (each.type <= frameTypes.headers && (each.flags & flags.endStream) !== 0),
        ),
    );
    const own = this.of(stream);
    const isWhole = own.some((each) => each.type <= frameTypes.headers && (each.flags & flags.endStream) !== 0);
    if (!isWhole) throw new Error(`stream ${stream} ended before its answer`);
    const heads = own.filter(({ type }) => type === frameTypes.headers).map(({ payload }) => this.headersOf(payload));
    const headers = heads.at(-1) ?? {};
    const body = Buffer.concat(own.filter(({ type }) => type === frameTypes.data).map(({ payload }) => payload));
    return { status: Number(headers[":status"]), headers, body };
  }

  /** The server uses no dynamic table, so that any block can be read at any time. */
  headersOf(block: Buffer): Record<string, string> {
    const { fields } = this.#decoder.decode(block);
    const headers: Record<string, string> = {};
    for (let at = 0; at < fields.length; at += 2) headers[fields[at] ?? ""] = fields[at + 1] ?? "";
    return headers;
  }

  of(stream: number): ClientFrame[] {
    return this.frames.filter((each) => each.stream === stream);
  }

  /** The code by which a stream was reset; undefined if it was not. */
  resetCode(stream: number): number | undefined {
    return this.of(stream)
      .find(({ type }) => type === frameTypes.reset)
      ?.payload.readUInt32BE(0);
  }

  /** The code of the last GOAWAY. */
  get goAwayCode(): number | undefined {
    return this.frames.findLast(({ type }) => type === frameTypes.goAway)?.payload.readUInt32BE(4);
  }

  /** Bytes of the body that have come. */
  bodyLength(stream: number): number {
    return this.of(stream).reduce((sum, { type, payload }) => sum + (type === frameTypes.data ? payload.length : 0), 0);
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#news.add(resolve));
  }

  /** Resolves when the server has read all that was sent before. */
  async heard(): Promise<void> {
    const before = this.#pings;
    this.send(frameTypes.ping, 0, 0, Buffer.alloc(8));
    await this.until(() => this.isClosed || this.#pings > before);
  }

  get #pings(): number {
    return this.frames.filter(({ type, flags: flag }) => type === frameTypes.ping && flag === flags.ack).length;
  }

  close(): void {
    this.socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) break;
      this.frames.push({
        type: this.#rest[3] ?? 0,
        flags: this.#rest[4] ?? 0,
        stream: this.#rest.readUInt32BE(5),
        payload: this.#rest.subarray(FRAME_HEAD_BYTES, end),
      });
      this.#rest = this.#rest.subarray(end);
    }
    this.#ring();
  }

  #ring(): void {
    const waiting = [...this.#news];
    this.#news.clear();
    for (const wake of waiting) wake();
  }
}

export const requestFields = (method: string, path: string): [string, string][] => [
  [":method", method],
  [":scheme", "https"],
  [":path", path],
  [":authority", "localhost"],
];
