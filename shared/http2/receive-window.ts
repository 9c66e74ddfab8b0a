import { ConnectionError } from "./connection-error.ts";
import { errorCodes } from "./frames.ts";

/** What all streams of a connection together may have on their way to us. Given back as it comes: each stream has a bound of its own. */
export const CONNECTION_WINDOW_BYTES = 1024 * 1024;

/** The connection's own window, for what a client sends (RFC 9113, 6.9). */
export class ReceiveWindow {
  /** What came and is not given back yet. */
  #taken_bytes = 0;

  /** Counts what came; how much is to be given back now, which is told in large steps. Throws ConnectionError for more than the window. */
  take(bytes: number): number {
    this.#taken_bytes += bytes;
    if (this.#taken_bytes > CONNECTION_WINDOW_BYTES)
      throw new ConnectionError(errorCodes.flowControlError, "more than the connection's window");
    if (this.#taken_bytes < CONNECTION_WINDOW_BYTES / 2) return 0;
    const back_bytes = this.#taken_bytes;
    this.#taken_bytes = 0;
    return back_bytes;
  }
}
