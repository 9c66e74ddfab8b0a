import { ConnectionError } from "./connection-error.ts";
import { errorCodes, FRAME_BYTES, LARGEST_WINDOW_BYTES, WINDOW_BYTES } from "./frames.ts";
import type { Output } from "./output.ts";
import type { Http2Response } from "./response.ts";

/** What the streams of a connection have to send: a frame of each in turn, as far as the client's windows and the socket have
 *  room for it. */
export class SendTurns {
  readonly #output: Pick<Output, "hasRoom">;
  /** Those that have something to send, in turn. */
  readonly #senders = new Set<Http2Response>();
  /** What the client takes of all streams together. */
  #window_bytes = WINDOW_BYTES;

  constructor(output: Pick<Output, "hasRoom">) {
    this.#output = output;
  }

  /** What waits for its turn. */
  get held_bytes(): number {
    let bytes = 0;
    for (const { writableLength } of this.#senders) bytes += writableLength;
    return bytes;
  }

  /** Sends of the response as much as may go now; the rest gets its turns. */
  send(response: Http2Response): void {
    this.#senders.delete(response);
    while (response.hasWaiting) {
      if (!this.#mayUse(response)) {
        this.#senders.add(response);
        return;
      }
      this.#sendFrame(response);
    }
  }

  /** A frame of each stream in turn. Gives false when the socket has no room for another. */
  sendMore(): boolean {
    for (const response of this.#senders) {
      if (!this.#output.hasRoom) return false;
      if (!this.#mayUse(response)) continue;
      this.#senders.delete(response);
      this.#sendFrame(response);
      if (response.hasWaiting) this.#senders.add(response);
      else response.drained();
    }
    return true;
  }

  /** The client takes more of all streams together. Throws ConnectionError for more than a window can be. */
  widen(more_bytes: number): void {
    this.#window_bytes += more_bytes;
    if (this.#window_bytes > LARGEST_WINDOW_BYTES)
      throw new ConnectionError(errorCodes.flowControlError, "too large a window");
  }

  forget(response: Http2Response): void {
    this.#senders.delete(response);
  }

  clear(): void {
    this.#senders.clear();
  }

  #mayUse(response: Http2Response): boolean {
    if (!this.#output.hasRoom) return false;
    // The end alone needs no window.
    return response.writableLength === 0 || (this.#window_bytes > 0 && response.window_bytes > 0);
  }

  /** No larger than the client must take: longer frames would only let one stream hold up the others. */
  #sendFrame(response: Http2Response): void {
    const most_bytes = Math.min(FRAME_BYTES, this.#window_bytes, response.window_bytes);
    this.#window_bytes -= response.sendFrame(most_bytes);
  }
}
