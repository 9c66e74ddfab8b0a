/** A piece of output and where it came from. */
export interface OutputFrame {
  readonly stream: "stdout" | "stderr";
  readonly data: Buffer;
  /** Whether Docker's frame begins here; a frame may come in several pieces. */
  readonly begins: boolean;
}

const headerSize = 8;
/** Docker writes frames of at most 16 KiB of log, 32 KiB of exec; far more than that is no frame header. */
const largestFrame_bytes = 64 * 1024 * 1024;

/**
 * Splits Docker's multiplexed output (Engine API, "Stream format": 1 byte stream, 3 bytes 0, 4 bytes size big-endian).
 * Data is handed on as it comes, also when a frame is not complete, so nothing is held back or gathered.
 */
export class FrameParser {
  #header = Buffer.alloc(0);
  #remaining = 0;
  #begins = false;
  #stream: OutputFrame["stream"] = "stdout";

  /** The frames' data within `chunk`. Throws RangeError for what is no frame. */
  push(chunk: Buffer): OutputFrame[] {
    const frames: OutputFrame[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#remaining === 0) {
        const header = Buffer.concat([this.#header, rest.subarray(0, headerSize - this.#header.length)]);
        rest = rest.subarray(header.length - this.#header.length);
        if (header.length < headerSize) {
          this.#header = header;
          break;
        }
        this.#header = Buffer.alloc(0);
        this.#remaining = header.readUInt32BE(4);
        this.#begins = true;
        this.#stream = header[0] === 2 ? "stderr" : "stdout";
        if ((header[0] ?? 0) > 3 || this.#remaining > largestFrame_bytes) {
          throw new RangeError("Docker's output is not in frames");
        }
        continue;
      }
      const data = rest.subarray(0, this.#remaining);
      this.#remaining -= data.length;
      rest = rest.subarray(data.length);
      frames.push({ stream: this.#stream, data, begins: this.#begins });
      this.#begins = false;
    }
    return frames;
  }
}
