import type { Duplex } from "node:stream";
import { AnswerRoom } from "./answer-room.ts";
import { ConnectionError, calm, protocolError, requireLength } from "./connection-error.ts";
import { type ArrivedFrame, FrameReader } from "./frame-reader.ts";
import {
  type ErrorCode,
  errorCodes,
  FRAME_BYTES,
  type Frame,
  flags,
  frameTypes,
  goAwayFrame,
  headerFrames,
  LARGEST_WINDOW_BYTES,
  LAST_STREAM_ID,
  pingAck,
  resetFrame,
  settingsAck,
  WINDOW_BYTES,
  windowUpdateFrame,
} from "./frames.ts";
import { HeaderBlock, priorityFault, unpadded } from "./header-block.ts";
import { CompressionError, HeaderDecoder, type HeaderList } from "./header-decoder.ts";
import { encodeHeaders } from "./header-encoder.ts";
import type { Http2Handler, Http2Options } from "./options.ts";
import { Output } from "./output.ts";
import { CONNECTION_WINDOW_BYTES, ReceiveWindow } from "./receive-window.ts";
import { Http2Request } from "./request.ts";
import { isField, requestHeadOf } from "./request-head.ts";
import { ResetAllowance } from "./reset-allowance.ts";
import { ResetStreams } from "./reset-streams.ts";
import { Http2Response } from "./response.ts";
import { SendTurns } from "./send-turns.ts";
import { ownSettings, settingsIn } from "./settings.ts";
import type { StreamPort } from "./stream-port.ts";

interface Stream {
  readonly request: Http2Request;
  readonly response: Http2Response;
}

/** Requests that go on after their client gave them up, as a multiple of those that it may have. */
const MAX_LEFT_BEHIND = 4;
const TOO_LARGE_HEADERS = 431;
const FAREWELL_MS = 1000;

/** A server's side of one HTTP/2 connection (RFC 9113), on a socket whose client will speak nothing else. */
export class Http2Connection implements StreamPort {
  readonly #socket: Duplex;
  readonly #handler: Http2Handler;
  readonly #options: Http2Options;
  readonly #reader = new FrameReader();
  readonly #decoder: HeaderDecoder;
  readonly #output: Output;
  readonly #streams = new Map<number, Stream>();
  readonly #sending: SendTurns;
  /** Answered to their end, which is told once it has left. */
  #answered: Http2Response[] = [];
  readonly #remembered = new ResetStreams();
  readonly #answers = new AnswerRoom(() => this.#sending.held_bytes);
  #lastStream = 0;
  /** Handlers that have not come to their end. */
  #handling = 0;
  /** One that is not complete yet. */
  #block: HeaderBlock | undefined;
  #hasSettings = false;
  #isOver = false;
  /** Requests after this one are refused: the connection is to be given up. */
  #lastServed: number | undefined;
  /** What the client takes of a new stream. */
  #streamWindow_bytes = WINDOW_BYTES;
  readonly #window = new ReceiveWindow();
  #tellTableSize = false;
  /** Data that waits for those who serve its streams. */
  #unread_bytes = 0;
  readonly #resets = new ResetAllowance();

  constructor(socket: Duplex, handler: Http2Handler, options: Http2Options) {
    this.#socket = socket;
    this.#handler = handler;
    this.#options = options;
    this.#decoder = new HeaderDecoder(options.maxHeaders_bytes);
    this.#output = new Output(socket, options.stalledFor_ms, () => this.#sendMore());
    this.#sending = new SendTurns(this.#output);
    this.push(ownSettings(options));
    this.push(windowUpdateFrame(0, CONNECTION_WINDOW_BYTES - WINDOW_BYTES));
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.once("close", () => this.#closed());
  }

  /** Tells the client to make no more requests here. Those that it makes before it has heard so are served. */
  goAway(): void {
    if (!this.#isOver) this.push(goAwayFrame(LAST_STREAM_ID, errorCodes.noError, ""));
  }

  /** Serves no more requests than those that came, tells the client so, and ends a while after it has their answers: what it sends
   *  meanwhile it may make again elsewhere, and it would take an end without that while for a failure. */
  retire(): void {
    if (this.#lastServed !== undefined || this.#isOver) return;
    this.#lastServed = this.#lastStream;
    this.push(goAwayFrame(this.#lastServed, errorCodes.noError, ""));
  }

  /** Ends all streams, and the connection behind them. The client hears which requests it may make again elsewhere. */
  end(code: ErrorCode = errorCodes.noError, reason = ""): void {
    if (this.#isOver) return;
    this.push(goAwayFrame(this.#lastServed ?? this.#lastStream, code, reason));
    this.#output.flush();
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), FAREWELL_MS).unref();
    this.#closed();
  }

  push(frame: Frame): void {
    if (!this.#isOver) this.#output.push(frame);
  }

  pushHeaders(stream: number, block: Buffer, endsStream: boolean): void {
    // A client that made its table smaller must hear that none is used.
    const whole = this.#tellTableSize ? Buffer.concat([noTable, block]) : block;
    this.#tellTableSize = false;
    for (const frame of headerFrames(stream, whole, endsStream, FRAME_BYTES)) this.push(frame);
  }

  send(response: Http2Response): void {
    if (!this.#isOver) this.#sending.send(response);
  }

  whenRoom(): Promise<void> | undefined {
    return this.#isOver ? undefined : this.#answers.wait();
  }

  unread(more_bytes: number): void {
    this.#unread_bytes += more_bytes;
    if (!this.#isOver) this.#options.room?.count(this, this.#unread_bytes);
  }

  /** Gives up the streams whose data nobody has read yet. One that nobody has begun to read may be sent again (RFC 9113, 8.7). */
  makeWay(): void {
    for (const [id, { request }] of this.#streams) {
      if (!request.hasUnread) continue;
      const code = request.isRead ? errorCodes.enhanceYourCalm : errorCodes.refusedStream;
      request.discard();
      this.reset(id, code);
    }
  }

  ended(id: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    // What is left of the request is not needed any more (RFC 9113, 8.1).
    if (!stream.request.isWhole) this.#tellReset(id, errorCodes.noError);
    this.#streams.delete(id);
    stream.request.close();
    this.#answered.push(stream.response);
    if (this.#lastServed !== undefined && this.#streams.size === 0) setTimeout(() => this.end(), FAREWELL_MS).unref();
  }

  reset(id: number, code: ErrorCode): void {
    if (!this.#streams.has(id)) return;
    this.#tellReset(id, code);
    this.#drop(id);
  }

  #read(bytes: Buffer): void {
    if (this.#isOver) return;
    try {
      for (const frame of this.#reader.read(bytes)) {
        if (frame === "preface") throw new ConnectionError(errorCodes.protocolError, "not HTTP/2");
        if (frame === "size") throw new ConnectionError(errorCodes.frameSizeError, "too large a frame");
        this.#take(frame);
        if (this.#isOver) return;
      }
    } catch (error) {
      if (error instanceof ConnectionError) this.end(error.code, error.message);
      else if (error instanceof CompressionError) this.end(errorCodes.compressionError, error.message);
      else throw error;
    }
  }

  #take(frame: ArrivedFrame): void {
    const { type, stream, payload } = frame;
    if (this.#block && (type !== frameTypes.continuation || stream !== this.#block.stream))
      throw protocolError("a header block is not complete");
    if (!this.#hasSettings && type !== frameTypes.settings) throw protocolError("the first frame is no SETTINGS");
    switch (type) {
      case frameTypes.data:
        this.#takeData(frame);
        break;
      case frameTypes.headers:
        this.#takeBlock(new HeaderBlock(frame), frame.flags);
        break;
      case frameTypes.priority:
        this.#takePriority(stream, payload);
        break;
      case frameTypes.reset:
        this.#takeReset(stream, payload);
        break;
      case frameTypes.settings:
        this.#takeSettings(frame);
        break;
      case frameTypes.pushPromise:
        throw protocolError("a client does not push");
      case frameTypes.ping:
        this.#takePing(frame);
        break;
      case frameTypes.goAway:
        if (stream !== 0) throw protocolError("GOAWAY on a stream");
        break;
      case frameTypes.windowUpdate:
        this.#takeWindowUpdate(stream, payload);
        break;
      case frameTypes.continuation:
        this.#takeContinuation(frame);
        break;
      default:
        // What nobody knows is to be ignored (RFC 9113, 4.1).
        break;
    }
  }

  #takeData({ stream: id, flags: flag, payload }: ArrivedFrame): void {
    if (id === 0 || id > this.#lastStream) throw protocolError("DATA on a stream that is not open");
    const back_bytes = this.#window.take(payload.length);
    if (back_bytes > 0) this.push(windowUpdateFrame(0, back_bytes));
    const data = unpadded(payload, flag, 0);
    const stream = this.#streams.get(id);
    if (!stream) {
      this.#tellReset(id, errorCodes.streamClosed);
      return;
    }
    const fault = stream.request.receive(data, payload.length, (flag & flags.endStream) !== 0);
    if (fault !== undefined) this.reset(id, fault);
  }

  #takeContinuation({ flags: flag, payload }: ArrivedFrame): void {
    const block = this.#block;
    if (!block) throw protocolError("CONTINUATION without a header block");
    // Twice what is taken, so that its client hears an answer.
    block.add(payload, 2 * this.#options.maxHeaders_bytes);
    this.#takeBlock(block, flag);
  }

  #takeBlock(block: HeaderBlock, flag: number): void {
    const isWhole = (flag & flags.endHeaders) !== 0;
    this.#block = isWhole ? undefined : block;
    if (isWhole) this.#endBlock(block);
  }

  #endBlock(block: HeaderBlock): void {
    const { stream: id, endsStream, dependsOnItself } = block;
    const list = this.#decoder.decode(block.whole());
    const stream = this.#streams.get(id);
    if (stream) this.#endByTrailers(id, stream, list, endsStream);
    else if (id > this.#lastStream) this.#open(id, list, endsStream, dependsOnItself);
    else if (!this.#remembered.has(id))
      throw new ConnectionError(errorCodes.streamClosed, "HEADERS on a stream that is closed");
  }

  /** Trailers say nothing that is used here. */
  #endByTrailers(id: number, { request }: Stream, { fields }: HeaderList, endsStream: boolean): void {
    if (request.isWhole) throw new ConnectionError(errorCodes.streamClosed, "HEADERS after a request's end");
    const areFields = fields.every((name, index) => index % 2 === 1 || isField(name, fields[index + 1] ?? ""));
    const fault = endsStream && areFields ? request.end() : errorCodes.protocolError;
    if (fault !== undefined) this.reset(id, fault);
  }

  #open(id: number, { fields, isTooLong }: HeaderList, endsStream: boolean, dependsOnItself: boolean): void {
    this.#lastStream = id;
    const { maxStreams } = this.#options;
    if (this.#handling >= MAX_LEFT_BEHIND * maxStreams) throw calm("too many requests given up");
    if (this.#streams.size >= maxStreams || this.#lastServed !== undefined) {
      this.#tellReset(id, errorCodes.refusedStream);
      return;
    }
    if (isTooLong) {
      this.pushHeaders(id, encodeHeaders(TOO_LARGE_HEADERS, []), true);
      if (!endsStream) this.#tellReset(id, errorCodes.noError);
      return;
    }
    const head = requestHeadOf(fields);
    if (!head || dependsOnItself || (endsStream && (head.contentLength ?? 0) > 0)) {
      this.#tellReset(id, errorCodes.protocolError);
      return;
    }
    const request = new Http2Request(id, this, head, endsStream);
    const response = new Http2Response(id, this, head.method, this.#streamWindow_bytes);
    this.#streams.set(id, { request, response });
    this.#handling += 1;
    const handled = (): void => this.#handled(request);
    void this.#handler(request, response).then(handled, handled);
  }

  #handled(request: Http2Request): void {
    this.#handling -= 1;
    request.served();
  }

  #takePriority(stream: number, payload: Buffer): void {
    const fault = priorityFault(stream, payload);
    if (fault === undefined) return;
    if (this.#streams.has(stream)) this.reset(stream, fault);
    else this.#tellReset(stream, fault);
  }

  #takeReset(id: number, payload: Buffer): void {
    requireLength(payload, 4, "RST_STREAM");
    if (id === 0 || id > this.#lastStream) throw protocolError("RST_STREAM on a stream that is not open");
    if (!this.#resets.take()) throw calm("requests are given up too fast");
    // What it sends on this stream from now on is its own fault, whatever it had heard before.
    this.#remembered.forget(id);
    this.#drop(id);
  }

  #takeSettings(frame: ArrivedFrame): void {
    const settings = settingsIn(frame);
    if (settings === "acknowledged") {
      if (!this.#hasSettings) throw protocolError("the first frame acknowledges");
      return;
    }
    this.#hasSettings = true;
    const { streamWindow_bytes, hasTableSize } = settings;
    if (hasTableSize) this.#tellTableSize = true;
    if (streamWindow_bytes !== undefined) this.#setStreamWindow(streamWindow_bytes);
    this.push(settingsAck);
    this.#sendMore();
  }

  /** Of streams that are open, too (RFC 9113, 6.9.2). */
  #setStreamWindow(bytes: number): void {
    const more_bytes = bytes - this.#streamWindow_bytes;
    for (const { response } of this.#streams.values())
      this.#widen(response, more_bytes, () => {
        throw new ConnectionError(errorCodes.flowControlError, "too large a window");
      });
    this.#streamWindow_bytes = bytes;
  }

  #takePing({ stream, flags: flag, payload }: ArrivedFrame): void {
    if (stream !== 0) throw protocolError("PING on a stream");
    requireLength(payload, 8, "PING");
    if ((flag & flags.ack) === 0) this.push(pingAck(payload));
  }

  #takeWindowUpdate(id: number, payload: Buffer): void {
    requireLength(payload, 4, "WINDOW_UPDATE");
    if (id > this.#lastStream) throw protocolError("WINDOW_UPDATE on a stream that is not open");
    const more_bytes = payload.readUInt32BE(0) & 0x7fffffff;
    const response = this.#streams.get(id)?.response;
    if (id === 0) {
      if (more_bytes === 0) throw protocolError("WINDOW_UPDATE by nothing");
      this.#sending.widen(more_bytes);
    } else if (more_bytes === 0) {
      if (response) this.reset(id, errorCodes.protocolError);
      else this.#tellReset(id, errorCodes.protocolError);
    } else if (response) this.#widen(response, more_bytes, () => this.reset(id, errorCodes.flowControlError));
    this.#sendMore();
  }

  #widen(response: Http2Response, more_bytes: number, tooFar: () => void): void {
    response.window_bytes += more_bytes;
    if (response.window_bytes > LARGEST_WINDOW_BYTES) tooFar();
  }

  /** A frame of each stream in turn, as long as there is room for one. */
  #sendMore(): void {
    const answered = this.#answered;
    if (answered.length > 0) {
      this.#answered = [];
      for (const response of answered) response.close(true);
    }
    if (this.#sending.sendMore()) this.#answers.look();
  }

  #tellReset(id: number, code: ErrorCode): void {
    if (this.#remembered.has(id)) return;
    this.push(resetFrame(id, code));
    this.#remembered.add(id);
  }

  #drop(id: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    this.#streams.delete(id);
    this.#sending.forget(stream.response);
    stream.request.close();
    stream.response.close(false);
    this.#answers.look();
  }

  #closed(): void {
    this.#isOver = true;
    this.#options.room?.count(this, 0);
    for (const response of this.#answered.splice(0)) response.close(true);
    for (const id of [...this.#streams.keys()]) this.#drop(id);
    this.#sending.clear();
    this.#answers.end();
  }
}

/** An update of the dynamic table's size to nothing (RFC 7541, 6.3). */
const noTable = Buffer.from([0x20]);
