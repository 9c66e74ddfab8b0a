import type { Duplex } from "node:stream";
import { FRAME_HEAD_BYTES, type Frame, putFrameHead } from "./frames.ts";

/** So much may be on its way to the socket at once; what follows waits in its stream, where it is held back in turn. */
const ON_THE_WAY_BYTES = 256 * 1024;
/** Of frames that answer the client's own (acknowledgements, resets), while it takes nothing. */
const UNTAKEN_BYTES = 1024 * 1024;

/** Gathers the frames of one turn of the event loop: one write, so one TLS record and one system call for many streams. */
export class Output {
  readonly #socket: Duplex;
  readonly #stalledFor_ms: number;
  readonly #onRoom: () => void;
  #frames: Frame[] = [];
  #bytes = 0;
  #isScheduled = false;
  #isBlocked = false;
  #drains = 0;
  #stalled: ReturnType<typeof setTimeout> | undefined;
  readonly #flushNow = (): void => this.flush();

  /** @param onRoom called when frames have gone and more may come. */
  constructor(socket: Duplex, stalledFor_ms: number, onRoom: () => void) {
    this.#socket = socket;
    this.#stalledFor_ms = stalledFor_ms;
    this.#onRoom = onRoom;
    socket.on("drain", () => this.#drained());
    socket.once("close", () => clearTimeout(this.#stalled));
  }

  /** Whether there is room for what can wait. */
  get hasRoom(): boolean {
    return !this.#isBlocked && this.#bytes < ON_THE_WAY_BYTES;
  }

  push(frame: Frame): void {
    this.#frames.push(frame);
    this.#bytes += FRAME_HEAD_BYTES + frame.payload.length;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // After the microtasks of this turn: whoever else has something to send to this client then has sent it.
    process.nextTick(this.#flushNow);
  }

  flush(): void {
    this.#isScheduled = false;
    const socket = this.#socket;
    if (this.#frames.length === 0 || socket.destroyed || socket.writableEnded) return;
    const length = this.#bytes;
    const bytes = joined(this.#frames, length);
    this.#frames = [];
    this.#bytes = 0;
    const hasRoom = isPooled(length)
      ? socket.write(bytes.subarray(0, length), () => {
          if (pool.length < MAX_POOLED) pool.push(bytes);
        })
      : socket.write(bytes);
    if (!hasRoom) this.#block();
    this.#onRoom();
  }

  #block(): void {
    if (this.#socket.writableLength > UNTAKEN_BYTES) this.#socket.destroy();
    this.#isBlocked = true;
    this.#stalled ??= this.#lookLater();
  }

  /** Ends the connection of a client that takes nothing at all for that long. */
  #lookLater(): ReturnType<typeof setTimeout> {
    const drains = this.#drains;
    const untaken_bytes = this.#socket.writableLength;
    return setTimeout(() => {
      this.#stalled = undefined;
      if (!this.#isBlocked) return;
      if (this.#drains === drains && this.#socket.writableLength >= untaken_bytes) this.#socket.destroy();
      else this.#stalled = this.#lookLater();
    }, this.#stalledFor_ms);
  }

  #drained(): void {
    this.#drains += 1;
    this.#isBlocked = false;
    this.#onRoom();
  }
}

/** Buffers for large writes, given back when the socket has passed them on: as garbage, each would last until a collection. */
const POOLED_BYTES = 288 * 1024;
const POOLED_FROM_BYTES = 16 * 1024;
const MAX_POOLED = 4;
const pool: Buffer[] = [];

const isPooled = (length: number): boolean => length >= POOLED_FROM_BYTES && length <= POOLED_BYTES;

/** The frames one after the other. The socket keeps the buffer until it has passed it on. */
function joined(frames: readonly Frame[], length: number): Buffer {
  const bytes = isPooled(length)
    ? (pool.pop() ?? Buffer.allocUnsafeSlow(POOLED_BYTES))
    : Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const frame of frames) {
    at = putFrameHead(bytes, at, frame);
    bytes.set(frame.payload, at);
    at += frame.payload.length;
  }
  return bytes;
}
