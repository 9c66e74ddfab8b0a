import { GatheredBytes } from "#shared/http/gathered-bytes.ts";
import { FRAME_BYTES, FRAME_HEAD_BYTES, type Frame, preface } from "./frames.ts";

/** The payload is a part of what arrived, not a copy. */
export interface ArrivedFrame extends Frame {
  readonly payload: Buffer;
}

/** Cuts what a client sends into frames. */
export class FrameReader {
  readonly #arrived = new GatheredBytes();
  #need_bytes = preface.length;
  #hasBegun = false;

  /** The frames that are complete with these bytes, in order; "preface" where the connection does not begin as it must, "size"
   *  for a frame that is too large. */
  *read(bytes: Buffer): Generator<ArrivedFrame | "preface" | "size"> {
    this.#arrived.push(bytes);
    if (this.#arrived.length < this.#need_bytes) return;
    const all = this.#arrived.takeAll();
    let at = 0;
    if (!this.#hasBegun) {
      if (!all.subarray(0, preface.length).equals(preface)) {
        yield "preface";
        return;
      }
      this.#hasBegun = true;
      at = preface.length;
    }
    this.#need_bytes = FRAME_HEAD_BYTES;
    while (all.length - at >= FRAME_HEAD_BYTES) {
      const length = all.readUIntBE(at, 3);
      if (length > FRAME_BYTES) {
        yield "size";
        return;
      }
      const end = at + FRAME_HEAD_BYTES + length;
      if (all.length < end) {
        this.#need_bytes = FRAME_HEAD_BYTES + length;
        break;
      }
      const [type, flags] = [all[at + 3] ?? 0, all[at + 4] ?? 0];
      // The first bit is reserved.
      const stream = all.readUInt32BE(at + 5) & 0x7fffffff;
      const payload = all.subarray(at + FRAME_HEAD_BYTES, end);
      at = end;
      yield { type, flags, stream, payload };
    }
    this.#arrived.push(all.subarray(at));
  }
}
